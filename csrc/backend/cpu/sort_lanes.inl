// sort_lanes.inl — the loops of sort_lanes.h over vectors. The file that includes it defines Lanes<K>: vectors of keys
// and how to load, compare, shuffle and compress them.
//
// Long rows are divided by a pivot again and again, always from one buffer into the other (quicksort). What fits the
// registers is sorted by a network: its vectors are rows, columns are sorted first, then neighbouring columns merged
// into wider ones until one is left. A merge compares a row with the row opposite, its lanes reversed: bitonic
// sequences folded in the middle (Batcher, Sorting networks and their applications, 1968). Start at quick().
// No functions of the standard library: they would be compiled for these instructions, and may serve other files.

namespace mx::cpu {

namespace {

// ---- small rows, in registers

template <int I, int J, class L>
MX_INLINE void exchange(typename L::V* v) {
  auto low = L::min(v[I], v[J]);
  v[J] = L::max(v[I], v[J]);
  v[I] = low;
}

// Networks of 4, 8 and 16 rows; the last by M. W. Green, in Knuth, The art of computer programming, vol. 3, 5.3.4.
template <class L, int R>
MX_INLINE void sort_columns(typename L::V* v) {
#define MX_EXCHANGE(I, J) exchange<I, J, L>(v);
  if constexpr (R == 2) {
    MX_EXCHANGE(0, 1)
  } else if constexpr (R == 4) {
    MX_EXCHANGE(0, 1) MX_EXCHANGE(2, 3) MX_EXCHANGE(0, 2) MX_EXCHANGE(1, 3) MX_EXCHANGE(1, 2)
  } else if constexpr (R == 8) {
    MX_EXCHANGE(0, 1) MX_EXCHANGE(2, 3) MX_EXCHANGE(4, 5) MX_EXCHANGE(6, 7) MX_EXCHANGE(0, 2) MX_EXCHANGE(1, 3)
    MX_EXCHANGE(4, 6) MX_EXCHANGE(5, 7) MX_EXCHANGE(1, 2) MX_EXCHANGE(5, 6) MX_EXCHANGE(0, 4) MX_EXCHANGE(3, 7)
    MX_EXCHANGE(1, 5) MX_EXCHANGE(2, 6) MX_EXCHANGE(1, 4) MX_EXCHANGE(3, 6) MX_EXCHANGE(2, 4) MX_EXCHANGE(3, 5)
    MX_EXCHANGE(3, 4)
  } else if constexpr (R == 16) {
    MX_EXCHANGE(0, 1) MX_EXCHANGE(2, 3) MX_EXCHANGE(4, 5) MX_EXCHANGE(6, 7) MX_EXCHANGE(8, 9) MX_EXCHANGE(10, 11)
    MX_EXCHANGE(12, 13) MX_EXCHANGE(14, 15) MX_EXCHANGE(0, 2) MX_EXCHANGE(1, 3) MX_EXCHANGE(4, 6) MX_EXCHANGE(5, 7)
    MX_EXCHANGE(8, 10) MX_EXCHANGE(9, 11) MX_EXCHANGE(12, 14) MX_EXCHANGE(13, 15) MX_EXCHANGE(0, 4) MX_EXCHANGE(1, 5)
    MX_EXCHANGE(2, 6) MX_EXCHANGE(3, 7) MX_EXCHANGE(8, 12) MX_EXCHANGE(9, 13) MX_EXCHANGE(10, 14) MX_EXCHANGE(11, 15)
    MX_EXCHANGE(0, 8) MX_EXCHANGE(1, 9) MX_EXCHANGE(2, 10) MX_EXCHANGE(3, 11) MX_EXCHANGE(4, 12) MX_EXCHANGE(5, 13)
    MX_EXCHANGE(6, 14) MX_EXCHANGE(7, 15) MX_EXCHANGE(5, 10) MX_EXCHANGE(6, 9) MX_EXCHANGE(3, 12) MX_EXCHANGE(13, 14)
    MX_EXCHANGE(4, 8) MX_EXCHANGE(7, 11) MX_EXCHANGE(1, 2) MX_EXCHANGE(1, 4) MX_EXCHANGE(7, 13) MX_EXCHANGE(2, 8)
    MX_EXCHANGE(11, 14) MX_EXCHANGE(2, 4) MX_EXCHANGE(5, 6) MX_EXCHANGE(9, 10) MX_EXCHANGE(11, 13) MX_EXCHANGE(3, 8)
    MX_EXCHANGE(7, 12) MX_EXCHANGE(6, 8) MX_EXCHANGE(10, 12) MX_EXCHANGE(3, 5) MX_EXCHANGE(7, 9) MX_EXCHANGE(3, 4)
    MX_EXCHANGE(5, 6) MX_EXCHANGE(7, 8) MX_EXCHANGE(9, 10) MX_EXCHANGE(11, 12) MX_EXCHANGE(6, 7) MX_EXCHANGE(8, 9)
  }
#undef MX_EXCHANGE
}

// Within a row: lanes D apart are put in order.
template <class L, int R, int D>
MX_INLINE void order_lanes(typename L::V* v) {
  if constexpr (D >= 1) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) v[r] = L::template order<D, D>(v[r]);
    order_lanes<L, R, D / 2>(v);
  }
}

// Blocks of R rows and C / 2 columns, each sorted row by row, become blocks of C columns.
template <class L, int R, int C>
MX_INLINE void merge_columns(typename L::V* v) {
  if constexpr (C <= L::lanes) {
#pragma GCC unroll 4
    for (int rows = R; rows > 1; rows /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < R / 2; ++k) {
        int first = k / (rows / 2) * rows, i = first + k % (rows / 2), j = first + rows - 1 - k % (rows / 2);
        auto opposite = L::template shuffle<C - 1>(v[j]);
        v[j] = L::max(v[i], opposite);
        v[i] = L::min(v[i], opposite);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) v[r] = L::template order<C - 1, C / 2>(v[r]);
    order_lanes<L, R, C / 4>(v);
    merge_columns<L, R, 2 * C>(v);
  }
}

template <class L, int R>
void sort_small(const typename L::K* from, int64_t n, typename L::K* to) {
  typename L::V v[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    int64_t left = n - r * L::lanes;
    v[r] = left >= L::lanes ? L::load(from + r * L::lanes) : L::load_part(from + r * L::lanes, left);
  }
  sort_columns<L, R>(v);
  merge_columns<L, R, 2>(v);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    int64_t left = n - r * L::lanes;
    if (left >= L::lanes) {
      L::store(to + r * L::lanes, v[r]);
    } else {
      L::store_part(to + r * L::lanes, v[r], left);
    }
  }
}

// n <= L::rows * L::lanes; `to` may be `from`.
template <class L>
void sort_network(const typename L::K* from, int64_t n, typename L::K* to) {
  if (n <= L::lanes) return sort_small<L, 1>(from, n, to);
  if (n <= 2 * L::lanes) return sort_small<L, 2>(from, n, to);
  if (n <= 4 * L::lanes) return sort_small<L, 4>(from, n, to);
  if (L::rows == 8 || n <= 8 * L::lanes) return sort_small<L, 8>(from, n, to);
  sort_small<L, L::rows>(from, n, to);
}

// ---- long rows

template <class L>
int64_t split(const typename L::K* from, int64_t n, typename L::K pivot, typename L::K* to) {
  auto *left = to, *right = to + n;
  auto p = L::set1(pivot);
  int64_t i = 0;
  // Stores of whole vectors must fit between the two ends.
  for (; i + 2 * L::lanes <= n; i += L::lanes) L::divide(from + i, p, left, right);
  for (; i < n; ++i) {
    auto x = from[i];
    bool above = x > pivot;
    *left = x;
    right[-1] = x;
    left += !above;
    right -= above;
  }
  return left - to;
}

template <class K>
K median_of_three(K a, K b, K c) {
  K low = a < b ? a : b, high = a < b ? b : a;
  return c < low ? low : c > high ? high : c;
}

template <class L>
typename L::K choose_pivot(const typename L::K* xs, int64_t n) {
  using K = typename L::K;
  if (n < 2048) {
    K m[3];
    int64_t step = n / 9;
    for (int64_t k = 0; k < 3; ++k) m[k] = median_of_three(xs[(3 * k) * step], xs[(3 * k + 1) * step], xs[(3 * k + 2) * step]);
    return median_of_three(m[0], m[1], m[2]);
  }
  constexpr int64_t samples = 4 * L::lanes;
  K sample[samples];
  for (int64_t k = 0; k < samples; ++k) sample[k] = xs[n / samples * k + (n / samples) / 2];
  sort_small<L, 4>(sample, samples, sample);
  return sample[samples / 2 - 1];
}

// Sorts xs into `to`, which is xs or `other`. After too many bad pivots comparing takes over.
template <class L>
void quick(typename L::K* xs, typename L::K* other, int64_t n, typename L::K* to, int depth) {
  using K = typename L::K;
  while (n > L::rows * L::lanes) {
    if (depth-- == 0) {
      sort_by_comparing(xs, n);
      if (to != xs) std::memcpy(to, xs, static_cast<size_t>(n) * sizeof(K));
      return;
    }
    K pivot = choose_pivot<L>(xs, n);
    int64_t below = split<L>(xs, n, pivot, other);
    if (below == n) {
      // The pivot is the largest: what equals it is in place.
      constexpr K least = std::numeric_limits<K>::min();
      below = pivot == least ? 0 : split<L>(xs, n, K(pivot - 1), other);
      for (int64_t i = below; i < n; ++i) to[i] = pivot;
    } else {
      quick<L>(other + below, xs + below, n - below, to + below, depth);
    }
    K* from = xs;
    xs = other;
    other = from;
    n = below;
  }
  sort_network<L>(xs, n, to);
}

template <class L>
void sort_row(typename L::K* xs, typename L::K* spare, int64_t n) {
  if (n <= L::rows * L::lanes) return sort_network<L>(xs, n, xs);
  quick<L>(xs, spare, n, xs, 2 * (64 - __builtin_clzll(static_cast<uint64_t>(n))));
}

// ---- selection

// Puts the elements whose place or value is wanted to `out`, a vector at a time while there is room for a whole one.
template <class L, class T, class One, class Put>
MX_INLINE int64_t select(const typename L::K* from, int64_t n, typename L::K low, typename L::K high, T* to, T* end, const One& one,
                         const Put& put) {
  T* out = to;
  auto a = L::set1(low), b = L::set1(high);
  int64_t i = 0;
  for (; i + L::lanes <= n && out + L::lanes <= end; i += L::lanes) out += put(i, L::within(L::load(from + i), a, b), out);
  for (; i + L::lanes <= n && out < end; i += L::lanes) {
    auto in = L::within(L::load(from + i), a, b);
    if (!in) continue;
    T some[L::lanes];
    int count = put(i, in, some);
    for (int k = 0; k < count; ++k) *out++ = some[k];
  }
  for (; i < n && out < end; ++i) {
    *out = one(i);
    out += (from[i] >= low) & (from[i] <= high);
  }
  return out - to;
}

template <class L>
int64_t values_in(const typename L::K* from, int64_t n, typename L::K low, typename L::K high, typename L::K* to, typename L::K* end) {
  return select<L>(
      from, n, low, high, to, end, [from](int64_t i) __attribute__((always_inline)) { return from[i]; },
      [from](int64_t i, auto in, typename L::K* out) __attribute__((always_inline)) { return L::compress(L::load(from + i), in, out); });
}

template <class L>
int64_t places_in(const typename L::K* from, int64_t n, typename L::K low, typename L::K high, uint32_t* to, uint32_t* end) {
  return select<L>(
      from, n, low, high, to, end, [](int64_t i) __attribute__((always_inline)) { return static_cast<uint32_t>(i); },
      [](int64_t i, auto in, uint32_t* out) __attribute__((always_inline)) { return L::compress_places(static_cast<uint32_t>(i), in, out); });
}

template <class K>
constexpr SortLoops<K> kLoops{sort_row<Lanes<K>>, split<Lanes<K>>, values_in<Lanes<K>>, places_in<Lanes<K>>};

}  // namespace

}  // namespace mx::cpu

// reduce_loops.cpp — see reduce_loops.h. Two loops, row() and column(), for each operation and dtype.

#include "backend/cpu/reduce_loops.h"

#include <limits>
#include <utility>

#include "backend/cpu/clones.h"

namespace mx::cpu {

namespace {

template <class T>
MX_INLINE bool before(T a, T b) {
  return a < b;
}
// Complex numbers are ordered by real part, then imaginary part.
MX_INLINE bool before(complex64_t a, complex64_t b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}
template <class T>
MX_INLINE bool nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return x != x;
  return false;
}
MX_INLINE bool nan(complex64_t x) { return x.real() != x.real() || x.imag() != x.imag(); }
/// `best` of a and b as comparisons chose it, or a NaN among them. Real comparisons with NaN have chosen b.
template <class T>
MX_INLINE T keep_nan(T a, T b, T best) {
  if constexpr (std::is_same_v<T, complex64_t>) best = nan(b) ? b : best;
  return nan(a) ? a : best;
}

template <class T>
struct Limits {
  static constexpr T lowest = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  static constexpr T highest = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
};
template <>
struct Limits<complex64_t> {
  static constexpr complex64_t lowest{Limits<float>::lowest, Limits<float>::lowest};
  static constexpr complex64_t highest{Limits<float>::highest, Limits<float>::highest};
};

template <class T>
struct Sum {
  static constexpr T identity = T(0);
  MX_INLINE static T of(T a, T b) { return a + b; }
};
template <class T>
struct Prod {
  static constexpr T identity = T(1);
  MX_INLINE static T of(T a, T b) {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
    } else {
      return a * b;
    }
  }
};
template <class T>
struct Max {
  static constexpr T identity = Limits<T>::lowest;
  MX_INLINE static T of(T a, T b) { return keep_nan(a, b, before(b, a) ? a : b); }
};
template <class T>
struct Min {
  static constexpr T identity = Limits<T>::highest;
  MX_INLINE static T of(T a, T b) { return keep_nan(a, b, before(a, b) ? a : b); }
};

/// Min of bytes that are bool, of which true is the highest.
template <class T>
struct All : Min<T> {
  static constexpr T identity = T(1);
};

template <class T, class Op>
void identity(void* acc, int64_t n) {
  std::fill_n(static_cast<T*>(acc), n, Op::identity);
}

// Lanes half further on, around the end.
template <int half, class V, int... j>
MX_INLINE V rotated(const V& v, std::integer_sequence<int, j...>) {
  return __builtin_shufflevector(v, v, ((j + half) % static_cast<int>(sizeof...(j)))...);
}
// Combines lanes j and j + half for j < half, then halves of that; the result is in lane 0.
template <int half, class V, class I, class Op>
MX_INLINE void combine_halves(V& v, I lanes, Op op) {
  op(v, rotated<half>(v, lanes));
  if constexpr (half > 1) combine_halves<half / 2>(v, lanes, op);
}

// The extreme of real numbers by the processor's own comparison, which forgets NaNs. A sum remembers them; it also becomes
// NaN where infinities meet, so then false is returned, and the answer is not to be used.
template <class T, bool largest>
MX_INLINE bool extreme_but_nan(const T* p, int64_t n, T* acc) {
  typedef T V __attribute__((vector_size(64)));
  constexpr int64_t lanes = 64 / sizeof(T), step = 4 * lanes;
  auto improve = [](auto& y, const auto& x) __attribute__((always_inline)) { y = largest ? (x > y ? x : y) : (x < y ? x : y); };
  V best[4], sum[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    __builtin_memcpy(&best[k], p + k * lanes, sizeof(V));
    sum[k] = best[k];
  }
  auto take = [&](const T* from) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      V x;
      __builtin_memcpy(&x, from + k * lanes, sizeof(V));
      improve(best[k], x);
      sum[k] += x;
    }
  };
  int64_t i = step;
  for (; i + step <= n; i += step) take(p + i);
  // The last step overlaps the one before.
  if (i < n) take(p + n - step);
  improve(best[0], best[1]);
  improve(best[2], best[3]);
  improve(best[0], best[2]);
  V sums = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  constexpr auto each = std::make_integer_sequence<int, static_cast<int>(lanes)>();
  combine_halves<lanes / 2>(best[0], each, improve);
  combine_halves<lanes / 2>(sums, each, [](V& a, const V& b) __attribute__((always_inline)) { a += b; });
  *acc = best[0][0];
  return sums[0] == sums[0];
}

// A sum of at least as many elements as there are lanes, in the order that row() says, all lanes in registers.
template <class T>
MX_INLINE T sum_in_registers(const T* p, int64_t n) {
  typedef T V __attribute__((vector_size(64)));
  constexpr int width = 64 / sizeof(T), lanes = 4 * width;
  V lane[4];
  auto at = [&](int64_t i, int k) __attribute__((always_inline)) {
    V v;
    __builtin_memcpy(&v, p + i + k * width, sizeof(V));
    return v;
  };
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) lane[k] = at(0, k);
  int64_t i = lanes;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) lane[k] += (at(i, k) + at(i + lanes, k)) + (at(i + 2 * lanes, k) + at(i + 3 * lanes, k));
  }
  for (; i + lanes <= n; i += lanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) lane[k] += at(i, k);
  }
  // What is left, and -0, which changes nothing.
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {
    int64_t left = n - i - k * width;
    if (left <= 0) break;
    if (left >= width) {
      lane[k] += at(i, k);
      continue;
    }
    V rest = -V{};
    T part[width];
    __builtin_memcpy(part, &rest, sizeof(V));
    for (int64_t j = 0; j < left; ++j) part[j] = p[i + k * width + j];
    __builtin_memcpy(&rest, part, sizeof(V));
    lane[k] += rest;
  }
  V all = (lane[0] + lane[2]) + (lane[1] + lane[3]);
  combine_halves<width / 2>(all, std::make_integer_sequence<int, width>(), [](V& a, const V& b) __attribute__((always_inline)) { a += b; });
  return all[0];
}

template <class T, class Op>
MX_CLONES void row(const void* x, int64_t n, void* acc) {
  if constexpr (std::is_floating_point_v<T> && std::is_same_v<Op, Sum<T>>) {
    if (n >= static_cast<int64_t>(256 / sizeof(T))) {
      *static_cast<T*>(acc) = sum_in_registers(static_cast<const T*>(x), n);
      return;
    }
  }
  if constexpr (std::is_floating_point_v<T> && (std::is_same_v<Op, Max<T>> || std::is_same_v<Op, Min<T>>)) {
    if (n >= 64 && extreme_but_nan<T, std::is_same_v<Op, Max<T>>>(static_cast<const T*>(x), n, static_cast<T*>(acc))) return;
  }
  constexpr int64_t lanes = sizeof(T) <= 4 ? 64 : 32;
  const T* p = static_cast<const T*>(x);
  T lane[lanes];
  if (n < 8) {
    T y = Op::identity;
    for (int64_t j = 0; j < n; ++j) y = Op::of(y, p[j]);
    *static_cast<T*>(acc) = y;
    return;
  }
  int64_t i = 0;
  if (n >= lanes) {
    for (int64_t j = 0; j < lanes; ++j) lane[j] = p[j];
    i = lanes;
  } else {
    for (int64_t j = 0; j < lanes; ++j) lane[j] = Op::identity;
  }
  // Four at a time, for fewer trips through `lane`.
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    for (int64_t j = 0; j < lanes; ++j) {
      lane[j] = Op::of(lane[j], Op::of(Op::of(p[i + j], p[i + lanes + j]), Op::of(p[i + 2 * lanes + j], p[i + 3 * lanes + j])));
    }
  }
  for (; i + lanes <= n; i += lanes) {
    for (int64_t j = 0; j < lanes; ++j) lane[j] = Op::of(lane[j], p[i + j]);
  }
  for (int64_t j = 0; j < n - i; ++j) lane[j] = Op::of(lane[j], p[i + j]);
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lane[j] = Op::of(lane[j], lane[j + half]);
  }
  *static_cast<T*>(acc) = lane[0];
}

// The same for columns: acc[j] with x[j], x[stride + j], ... of four rows. Extremes may be taken twice, so after false
// everything can be done again.
template <class T, bool largest>
MX_INLINE bool column_extremes_but_nan(const T* p, int64_t stride, int64_t n, T* y) {
  typedef T V __attribute__((vector_size(64)));
  constexpr int64_t lanes = 64 / sizeof(T);
  auto improve = [](V& best, const V& x) __attribute__((always_inline)) { best = largest ? (x > best ? x : best) : (x < best ? x : best); };
  V sums{};
  for (int64_t j = 0; j + lanes <= n; j += lanes) {
    V x[4], best;
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) __builtin_memcpy(&x[k], p + k * stride + j, sizeof(V));
    __builtin_memcpy(&best, y + j, sizeof(V));
    sums += (x[0] + x[1]) + (x[2] + x[3]);
    improve(x[0], x[1]);
    improve(x[2], x[3]);
    improve(x[0], x[2]);
    improve(best, x[0]);
    __builtin_memcpy(y + j, &best, sizeof(V));
  }
  T all = 0;
  for (int64_t k = 0; k < lanes; ++k) all += sums[k];
  return all == all;
}

template <class T, class Op>
MX_CLONES void column(const void* x, int64_t stride, int64_t rows, int64_t n, void* acc) {
  const T* p = static_cast<const T*>(x);
  T* y = static_cast<T*>(acc);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, p += 4 * stride) {
    int64_t done = 0;
    if constexpr (std::is_floating_point_v<T> && (std::is_same_v<Op, Max<T>> || std::is_same_v<Op, Min<T>>)) {
      constexpr int64_t lanes = 64 / sizeof(T);
      if (column_extremes_but_nan<T, std::is_same_v<Op, Max<T>>>(p, stride, n, y)) done = n / lanes * lanes;
    }
    MX_INDEPENDENT
    for (int64_t j = done; j < n; ++j) {
      y[j] = Op::of(y[j], Op::of(Op::of(p[j], p[stride + j]), Op::of(p[2 * stride + j], p[3 * stride + j])));
    }
  }
  for (; r < rows; ++r, p += stride) {
    MX_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) y[j] = Op::of(y[j], p[j]);
  }
}

template <class T, template <class> class Op>
constexpr ReduceLoops kLoops{sizeof(T), identity<T, Op<T>>, row<T, Op<T>>, column<T, Op<T>>};

template <template <class> class Op>
const ReduceLoops& arithmetic(Dtype t) {
  switch (t) {
    case Dtype::int32:
    case Dtype::uint32: return kLoops<uint32_t, Op>;
    case Dtype::int64:
    case Dtype::uint64: return kLoops<uint64_t, Op>;
    case Dtype::float32: return kLoops<float, Op>;
    case Dtype::float64: return kLoops<double, Op>;
    case Dtype::complex64: return kLoops<complex64_t, Op>;
    default: throw DtypeError(cat("[reduce] no loops for ", t, "."));
  }
}

template <template <class> class Op, template <class> class BoolOp>
const ReduceLoops& ordered(Dtype t) {
  switch (t) {
    case Dtype::bool_: return kLoops<uint8_t, BoolOp>;
    case Dtype::uint8: return kLoops<uint8_t, Op>;
    case Dtype::uint16: return kLoops<uint16_t, Op>;
    case Dtype::uint32: return kLoops<uint32_t, Op>;
    case Dtype::uint64: return kLoops<uint64_t, Op>;
    case Dtype::int8: return kLoops<int8_t, Op>;
    case Dtype::int16: return kLoops<int16_t, Op>;
    case Dtype::int32: return kLoops<int32_t, Op>;
    case Dtype::int64: return kLoops<int64_t, Op>;
    case Dtype::float32: return kLoops<float, Op>;
    case Dtype::float64: return kLoops<double, Op>;
    case Dtype::complex64: return kLoops<complex64_t, Op>;
    default: throw DtypeError(cat("[reduce] no loops for ", t, "."));
  }
}

}  // namespace

const ReduceLoops& reduce_loops(Reduction op, Dtype t) {
  switch (op) {
    case Reduction::sum: return arithmetic<Sum>(t);
    case Reduction::prod: return arithmetic<Prod>(t);
    case Reduction::max: return ordered<Max, Max>(t);
    default: return ordered<Min, All>(t);
  }
}

}  // namespace mx::cpu

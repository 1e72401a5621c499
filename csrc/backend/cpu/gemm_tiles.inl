// gemm_tiles.inl — the templates behind the tables of gemm_tiles.h. Included by one .cpp file for each
// instruction set, inside its target pragma and unnamed namespace, after it has defined:
//   Simd<float>, Simd<double>: V, lanes, load, store, set1, fma(a, b, c) = a * b + c
//   load(const float16_t*), load(const bfloat16_t*) and store() to them in Simd<float>
//   load(p, n), store(p, v, n): the first n lanes, fewer than all
//   kRows[v]: most rows of a tile of v vectors that the registers hold, for v up to kWidest;
//   kVectors: the width of tile that is best for wide matrices; kOnlyTiles: the table has nothing but whole tiles.
// Nothing here may use the standard library: its inline functions would be compiled for this instruction
// set and could replace the ones that run on every machine.

template <int... kI>
struct Lanes {};
template <int kN, int... kI>
struct CountLanes : CountLanes<kN - 1, kN - 1, kI...> {};
template <int... kI>
struct CountLanes<0, kI...> {
  using type = Lanes<kI...>;
};

#if defined(__clang__)
#define MX_UNROLL _Pragma("unroll")
#else
#define MX_UNROLL _Pragma("GCC unroll 16")
#endif

// The sums of a tile, in registers. kPart: of the last vector only the first `last` columns are there, in b and in c.
template <class T, int kR, int kV, bool kPart>
struct TileSums {
  using S = Simd<T>;
  typename S::V sum[kR][kV];

  MX_INLINE void start(int64_t k, const T* c, int64_t c_row) {
    // Lines of c lie far apart, where the processor does not foresee them.
    if (k >= 64) {
      MX_UNROLL for (int i = 0; i < kR; ++i) {
        MX_UNROLL for (int j = 0; j < kV; ++j) __builtin_prefetch(c + i * c_row + j * S::lanes, 1);
      }
    }
    MX_UNROLL for (int i = 0; i < kR; ++i) {
      MX_UNROLL for (int j = 0; j < kV; ++j) sum[i][j] = S::set1(T(0));
    }
  }

  MX_INLINE void multiply(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, int last) {
    for (int64_t p = 0; p < k; ++p) {
      typename S::V row[kV];
      MX_UNROLL for (int j = 0; j < kV; ++j) {
        if constexpr (kPart) {
          row[j] = j + 1 < kV ? S::load(b + j * S::lanes) : S::load(b + j * S::lanes, last);
        } else {
          row[j] = S::load(b + j * S::lanes);
        }
      }
      MX_UNROLL for (int i = 0; i < kR; ++i) {
        typename S::V x = S::set1(a[i * a_row]);
        MX_UNROLL for (int j = 0; j < kV; ++j) sum[i][j] = S::fma(x, row[j], sum[i][j]);
      }
      a += a_col;
      b += b_row;
    }
  }

  MX_INLINE void finish(T* c, int64_t c_row, bool add, int last) {
    MX_UNROLL for (int i = 0; i < kR; ++i) {
      MX_UNROLL for (int j = 0; j < kV; ++j) {
        T* to = c + i * c_row + j * S::lanes;
        if constexpr (kPart) {
          if (j + 1 == kV) {
            S::store(to, add ? S::load(to, last) + sum[i][j] : sum[i][j], last);
            continue;
          }
        }
        S::store(to, add ? S::load(to) + sum[i][j] : sum[i][j]);
      }
    }
  }
};

template <class T, int kR, int kV>
void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c, int64_t c_row, bool add) {
  TileSums<T, kR, kV, false> s;
  s.start(k, c, c_row);
  s.multiply(k, a, a_row, a_col, b, b_row, 0);
  s.finish(c, c_row, add, 0);
}
template <class T, int kR, int kV>
void part_tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c, int64_t c_row, bool add, int last) {
  TileSums<T, kR, kV, true> s;
  s.start(k, c, c_row);
  s.multiply(k, a, a_row, a_col, b, b_row, last);
  s.finish(c, c_row, add, last);
}
template <class T, int kR, int kV>
void chain(int64_t n, const ChainLink<T>* links, int64_t a_row, int64_t a_col, int64_t b_row, T* c, int64_t c_row, bool add) {
  TileSums<T, kR, kV, false> s;
  s.start(0, c, c_row);
  for (int64_t i = 0; i < n; ++i) s.multiply(links[i].k, links[i].a, a_row, a_col, links[i].b, b_row, 0);
  s.finish(c, c_row, add, 0);
}

// out = alpha * out + beta * c, row by row; c may be null.
template <class T>
void combine(int64_t rows, int64_t cols, T alpha, T* out, int64_t out_row, T beta, const T* c, int64_t c_row, int64_t c_col) {
  using S = Simd<T>;
  using V = typename S::V;
  V va = S::set1(alpha), vb = S::set1(beta);
  for (int64_t i = 0; i < rows; ++i, out += out_row) {
    int64_t j = 0;
    if (!c) {
      for (; j + S::lanes <= cols; j += S::lanes) S::store(out + j, va * S::load(out + j));
      for (; j < cols; ++j) out[j] = alpha * out[j];
      continue;
    }
    const T* from = c + i * c_row;
    if (c_col == 1) {
      for (; j + S::lanes <= cols; j += S::lanes) S::store(out + j, va * S::load(out + j) + vb * S::load(from + j));
    }
    for (; j < cols; ++j) out[j] = alpha * out[j] + beta * from[j * c_col];
  }
}

// Even lanes of a and b, or odd ones; those of a first.
template <int kOdd, class V, int... kI>
MX_INLINE V every_other(V a, V b, Lanes<kI...>) {
  return (V)__builtin_shufflevector(a, b, (2 * kI + kOdd)...);
}
template <class T>
MX_INLINE typename Simd<T>::V add_neighbours(typename Simd<T>::V a, typename Simd<T>::V b) {
  using I = typename CountLanes<Simd<T>::lanes>::type;
  return every_other<0>(a, b, I()) + every_other<1>(a, b, I());
}
// Sums over the lanes of four vectors, adjacent lanes first: the order is the same for every build of this instruction set.
template <class T>
MX_INLINE void sum_lanes(const typename Simd<T>::V* v, T* out) {
  constexpr int n = Simd<T>::lanes;
  T x[n];
  if constexpr (n == 2) {
    for (int j = 0; j < 4; ++j) {
      Simd<T>::store(x, v[j]);
      out[j] = x[0] + x[1];
    }
  } else {
    auto low = add_neighbours<T>(v[0], v[1]), high = add_neighbours<T>(v[2], v[3]), all = add_neighbours<T>(low, high);
    for (int width = n; width > 4; width /= 2) all = add_neighbours<T>(all, all);
    Simd<T>::store(x, all);
    for (int j = 0; j < 4; ++j) out[j] = x[j];
  }
}

template <class T, class W, int kR>
void dots(int64_t k, const T* x, int64_t x_row, const W* w, int64_t w_row, T* out) {
  using S = Simd<T>;
  using V = typename S::V;
  constexpr int n = S::lanes;
  V sum[kR][4];
  MX_UNROLL for (int i = 0; i < kR; ++i) {
    MX_UNROLL for (int j = 0; j < 4; ++j) sum[i][j] = S::set1(T(0));
  }
  int64_t p = 0;
  for (; p + n <= k; p += n) {
    V wv[4];
    MX_UNROLL for (int j = 0; j < 4; ++j) wv[j] = S::load(w + j * w_row + p);
    MX_UNROLL for (int i = 0; i < kR; ++i) {
      V xv = S::load(x + i * x_row + p);
      MX_UNROLL for (int j = 0; j < 4; ++j) sum[i][j] = S::fma(xv, wv[j], sum[i][j]);
    }
  }
  MX_UNROLL for (int i = 0; i < kR; ++i) sum_lanes<T>(sum[i], out + 4 * i);
  if (p == k) return;
  for (int i = 0; i < kR; ++i) {
    for (int j = 0; j < 4; ++j) {
      T rest = T(0);
      for (int64_t q = p; q < k; ++q) rest += x[i * x_row + q] * static_cast<T>(w[j * w_row + q]);
      out[4 * i + j] += rest;
    }
  }
}

template <class W>
void widen(const W* from, float* to, int64_t n) {
  using S = Simd<float>;
  int64_t i = 0;
  for (; i + S::lanes <= n; i += S::lanes) S::store(to + i, S::load(from + i));
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

template <class W>
void narrow(const float* from, W* to, int64_t n) {
  using S = Simd<float>;
  int64_t i = 0;
  for (; i + S::lanes <= n; i += S::lanes) S::store(to + i, S::load(from + i));
  for (; i < n; ++i) to[i] = static_cast<W>(from[i]);
}

template <class T, int kV, int kR = 1>
constexpr void fill_tiles(TileKernels<T>& t) {
  if constexpr (kR <= kRows[kV]) {
    t.tile[kV][kR] = tile<T, kR, kV>;
    t.chain[kV][kR] = chain<T, kR, kV>;
    if constexpr (!kOnlyTiles) t.part_tile[kV][kR] = part_tile<T, kR, kV>;
    fill_tiles<T, kV, kR + 1>(t);
  }
}

template <class T, int kV = 1>
constexpr void fill_widths(TileKernels<T>& t) {
  t.lanes = Simd<T>::lanes;
  t.widest = kWidest;
  t.vectors = kVectors;
  if constexpr (kV <= kWidest) {
    t.rows[kV] = kRows[kV];
    fill_tiles<T, kV>(t);
    fill_widths<T, kV + 1>(t);
  }
}

template <class T, int kR = 1>
constexpr void fill_dots(TileKernels<T>& t) {
  if constexpr (kR <= kMaxDotRows) {
    t.dots[kR] = dots<T, T, kR>;
    if constexpr (sizeof(T) == 4) {
      t.dots_f16[kR] = dots<T, float16_t, kR>;
      t.dots_bf16[kR] = dots<T, bfloat16_t, kR>;
    }
    fill_dots<T, kR + 1>(t);
  }
}

template <class T>
constexpr TileKernels<T> make_tiles() {
  TileKernels<T> t{};
  fill_widths(t);
  fill_dots(t);
  t.reads_parts = sizeof(typename Simd<T>::V) > 16;
  t.combine = combine<T>;
  t.widen_f16 = widen<float16_t>;
  t.widen_bf16 = widen<bfloat16_t>;
  t.narrow_f16 = narrow<float16_t>;
  t.narrow_bf16 = narrow<bfloat16_t>;
  return t;
}

#undef MX_UNROLL

// gemm_tiles.inl — the templates behind the tables of gemm_tiles.h. Included by one .cpp file for each
// instruction set, inside its target pragma and unnamed namespace, after it has defined:
//   Simd<float>, Simd<double>: V, lanes, load, store, set1, fma(a, b, c) = a * b + c
//   load(const float16_t*), load(const bfloat16_t*) and store() to them in Simd<float>
//   kRows[v]: most rows of a tile of v vectors that the registers hold, for v up to kWidest;
//   kVectors: the width of tile that is best for wide matrices.
// Nothing here may use the standard library: its inline functions would be compiled for this instruction
// set and could replace the ones that run on every machine.

#if defined(__clang__)
#define MX_UNROLL _Pragma("unroll")
#else
#define MX_UNROLL _Pragma("GCC unroll 16")
#endif

template <class T, int kR, int kV>
void tile(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c, int64_t c_row, bool add) {
  using S = Simd<T>;
  using V = typename S::V;
  V sum[kR][kV];
  MX_UNROLL for (int i = 0; i < kR; ++i) {
    MX_UNROLL for (int j = 0; j < kV; ++j) sum[i][j] = S::set1(T(0));
  }
  for (int64_t p = 0; p < k; ++p) {
    V row[kV];
    MX_UNROLL for (int j = 0; j < kV; ++j) row[j] = S::load(b + j * S::lanes);
    MX_UNROLL for (int i = 0; i < kR; ++i) {
      V x = S::set1(a[i * a_row]);
      MX_UNROLL for (int j = 0; j < kV; ++j) sum[i][j] = S::fma(x, row[j], sum[i][j]);
    }
    a += a_col;
    b += b_row;
  }
  MX_UNROLL for (int i = 0; i < kR; ++i) {
    MX_UNROLL for (int j = 0; j < kV; ++j) {
      T* to = c + i * c_row + j * S::lanes;
      S::store(to, add ? S::load(to) + sum[i][j] : sum[i][j]);
    }
  }
}

// Adjacent lanes first: the order is the same for every build of this instruction set.
template <class T>
T sum_lanes(typename Simd<T>::V v) {
  constexpr int n = Simd<T>::lanes;
  T x[n];
  Simd<T>::store(x, v);
  for (int width = n; width > 1; width /= 2) {
    for (int i = 0; i < width / 2; ++i) x[i] = x[2 * i] + x[2 * i + 1];
  }
  return x[0];
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
  for (int i = 0; i < kR; ++i) {
    for (int j = 0; j < 4; ++j) {
      T rest = T(0);
      for (int64_t q = p; q < k; ++q) rest += x[i * x_row + q] * static_cast<T>(w[j * w_row + q]);
      out[4 * i + j] = sum_lanes<T>(sum[i][j]) + rest;
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
  t.widen_f16 = widen<float16_t>;
  t.widen_bf16 = widen<bfloat16_t>;
  t.narrow_f16 = narrow<float16_t>;
  t.narrow_bf16 = narrow<bfloat16_t>;
  return t;
}

#undef MX_UNROLL

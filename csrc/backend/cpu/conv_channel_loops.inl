// conv_channel_loops.inl — the templates behind the tables of conv_channel_loops.h. Included by one .cpp file for each instruction
// set, inside its target pragma and unnamed namespace, behind Simd<float> and Simd<double>. Eight sums at a time keep the
// multipliers busy: of eight pixels, or of fewer and more vectors of each.

#if defined(__clang__)
#define MX_UNROLL _Pragma("unroll")
#else
#define MX_UNROLL _Pragma("GCC unroll 16")
#endif

// Sums of kPixels pixels, kVectors vectors each.
template <class T, int kPixels, int kVectors>
MX_INLINE void sum_block(int n, const T* const* x, const T* const* w, int64_t offset, int64_t channel, T* sum, int64_t x_step, int64_t sum_step, bool add) {
  using S = Simd<T>;
  typename S::V s[kPixels][kVectors];
  MX_UNROLL for (int i = 0; i < kPixels; ++i) {
    MX_UNROLL for (int v = 0; v < kVectors; ++v) s[i][v] = add ? S::load(sum + i * sum_step + v * S::lanes) : S::set1(T(0));
  }
  for (int t = 0; t < n; ++t) {
    const T *at = x[t] + offset + channel, *by = w[t] + channel;
    typename S::V weight[kVectors];
    MX_UNROLL for (int v = 0; v < kVectors; ++v) weight[v] = S::load(by + v * S::lanes);
    MX_UNROLL for (int i = 0; i < kPixels; ++i) {
      MX_UNROLL for (int v = 0; v < kVectors; ++v) s[i][v] = S::fma(S::load(at + i * x_step + v * S::lanes), weight[v], s[i][v]);
    }
  }
  MX_UNROLL for (int i = 0; i < kPixels; ++i) {
    MX_UNROLL for (int v = 0; v < kVectors; ++v) S::store(sum + i * sum_step + v * S::lanes, s[i][v]);
  }
}

// All channels of kPixels pixels, so that memory is read in its order.
template <class T, int kPixels, int kVectors>
MX_INLINE void sum_pixels(int n, const T* const* x, const T* const* w, int64_t offset, T* sum, int64_t x_step, int64_t sum_step, int64_t lanes, bool add) {
  using S = Simd<T>;
  int64_t q = 0;
  for (; q + kVectors * S::lanes <= lanes; q += kVectors * S::lanes) sum_block<T, kPixels, kVectors>(n, x, w, offset, q, sum + q, x_step, sum_step, add);
  if constexpr (kVectors > 1) {
    for (; q + S::lanes <= lanes; q += S::lanes) sum_block<T, kPixels, 1>(n, x, w, offset, q, sum + q, x_step, sum_step, add);
  }
  if (q == lanes) return;
  int rest = static_cast<int>(lanes - q);
  for (int i = 0; i < kPixels; ++i) {
    T* to = sum + i * sum_step + q;
    typename S::V s = add ? S::load(to, rest) : S::set1(T(0));
    for (int t = 0; t < n; ++t) s = S::fma(S::load(x[t] + offset + i * x_step + q, rest), S::load(w[t] + q, rest), s);
    S::store(to, s, rest);
  }
}

template <class T>
void add_taps(int n, const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes, bool add) {
  int64_t j = 0;
  for (; j + 8 <= pixels; j += 8) sum_pixels<T, 8, 1>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, lanes, add);
  if (j + 4 <= pixels) {
    sum_pixels<T, 4, 2>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, lanes, add);
    j += 4;
  }
  if (j + 2 <= pixels) {
    sum_pixels<T, 2, 4>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, lanes, add);
    j += 2;
  }
  if (j < pixels) sum_pixels<T, 1, 8>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, lanes, add);
}

// Some taps at a time, each of whose sums is a vector.
template <class T, int kN>
MX_INLINE void add_some_products(const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes) {
  using S = Simd<T>;
  constexpr int64_t kTogether = 16;  // Pixels whose channels are all read before the next, for memory is read in its order then.
  for (int64_t j = 0; j < pixels; j += kTogether) {
    int64_t end = j + kTogether < pixels ? j + kTogether : pixels, q = 0;
    for (; q + S::lanes <= lanes; q += S::lanes) {
      const T* at[kN];
      typename S::V s[kN];
      MX_UNROLL for (int t = 0; t < kN; ++t) {
        at[t] = x[t] + q;
        s[t] = S::set1(T(0));
      }
      for (int64_t i = j; i < end; ++i) {
        typename S::V u = S::load(y + i * y_step + q);
        MX_UNROLL for (int t = 0; t < kN; ++t) s[t] = S::fma(S::load(at[t] + i * x_step), u, s[t]);
      }
      MX_UNROLL for (int t = 0; t < kN; ++t) S::store(w[t] + q, S::load(w[t] + q) + s[t]);
    }
    if (q == lanes) continue;
    int rest = static_cast<int>(lanes - q);
    for (int t = 0; t < kN; ++t) {
      typename S::V s = S::load(w[t] + q, rest);
      for (int64_t i = j; i < end; ++i) s = S::fma(S::load(x[t] + i * x_step + q, rest), S::load(y + i * y_step + q, rest), s);
      S::store(w[t] + q, s, rest);
    }
  }
}

template <class T>
void add_products(int n, const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes) {
  int t = 0;
  for (; t + 9 <= n; t += 9) add_some_products<T, 9>(x + t, w + t, y, pixels, x_step, y_step, lanes);
  for (; t + 3 <= n; t += 3) add_some_products<T, 3>(x + t, w + t, y, pixels, x_step, y_step, lanes);
  for (; t < n; ++t) add_some_products<T, 1>(x + t, w + t, y, pixels, x_step, y_step, lanes);
}

#undef MX_UNROLL

// conv_channel_loops.inl — the templates behind the tables of conv_channel_loops.h. Included by one .cpp file for each instruction
// set, inside its target pragma and unnamed namespace, behind Simd<float> and Simd<double>. Eight sums at a time keep the
// multipliers busy: of eight pixels, or of fewer and more vectors of each.

#if defined(__clang__)
#define MX_UNROLL _Pragma("unroll")
#else
#define MX_UNROLL _Pragma("GCC unroll 16")
#endif

constexpr int64_t kAhead = 8;               // Pixels that memory needs time for.
constexpr int64_t kWeightBytes = 12 << 10;  // Of a part of the channels.

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

// The next kRun taps, each a pixel behind the one before, for eight pixels: an element of x is read once for all of them.
template <class T, int kRun>
MX_INLINE void add_run(const T* x, const T* const* w, int64_t channel, int64_t x_step, typename Simd<T>::V* s) {
  using S = Simd<T>;
  typename S::V weight[kRun];
  MX_UNROLL for (int t = 0; t < kRun; ++t) weight[t] = S::load(w[t] + channel);
  MX_UNROLL for (int j = 0; j < 7 + kRun; ++j) {
    typename S::V v = S::load(x + j * x_step);
    MX_UNROLL for (int t = 0; t < kRun; ++t) {
      if (j - t >= 0 && j - t < 8) s[j - t] = S::fma(v, weight[t], s[j - t]);
    }
  }
}

// Sums of eight pixels, a vector each. `lengths` says for every tap how many follow it, itself included, as add_run wants them.
template <class T>
MX_INLINE void sum_eight(int n, const T* const* x, const T* const* w, const int* lengths, int64_t offset, int64_t channel, T* sum, int64_t x_step,
                         int64_t sum_step, bool add) {
  using S = Simd<T>;
  typename S::V s[8];
  MX_UNROLL for (int i = 0; i < 8; ++i) s[i] = add ? S::load(sum + i * sum_step) : S::set1(T(0));
  for (int t = 0; t < n;) {
    const T* at = x[t] + offset + channel;
    if (lengths[t] >= 7) {
      add_run<T, 7>(at, w + t, channel, x_step, s);
      t += 7;
    } else if (lengths[t] >= 3) {
      add_run<T, 3>(at, w + t, channel, x_step, s);
      t += 3;
    } else {
      add_run<T, 1>(at, w + t, channel, x_step, s);
      ++t;
    }
  }
  // What the last tap reads next has not been read for other taps.
  const T* ahead = x[n - 1] + offset + channel + kAhead * x_step;
  MX_UNROLL for (int i = 0; i < 8; ++i) {
    __builtin_prefetch(ahead + i * x_step);
    __builtin_prefetch(sum + (kAhead + i) * sum_step, 1);
    S::store(sum + i * sum_step, s[i]);
  }
}

// The last channels of some pixels, too few for a vector.
template <class T>
MX_INLINE void sum_rest(int n, const T* const* x, const T* const* w, int64_t offset, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t q,
                        int64_t lanes, bool add) {
  using S = Simd<T>;
  int rest = static_cast<int>(lanes - q);
  for (int64_t i = 0; i < pixels; ++i) {
    T* to = sum + i * sum_step + q;
    typename S::V s = add ? S::load(to, rest) : S::set1(T(0));
    for (int t = 0; t < n; ++t) s = S::fma(S::load(x[t] + offset + i * x_step + q, rest), S::load(w[t] + q, rest), s);
    S::store(to, s, rest);
  }
}

// Channels [q, lanes) of kPixels pixels.
template <class T, int kPixels, int kVectors>
MX_INLINE void sum_pixels(int n, const T* const* x, const T* const* w, int64_t offset, T* sum, int64_t x_step, int64_t sum_step, int64_t q, int64_t lanes,
                          bool add) {
  using S = Simd<T>;
  for (; q + kVectors * S::lanes <= lanes; q += kVectors * S::lanes) sum_block<T, kPixels, kVectors>(n, x, w, offset, q, sum + q, x_step, sum_step, add);
  for (; q + S::lanes <= lanes; q += S::lanes) sum_block<T, kPixels, 1>(n, x, w, offset, q, sum + q, x_step, sum_step, add);
  if (q < lanes) sum_rest(n, x, w, offset, sum, kPixels, x_step, sum_step, q, lanes, add);
}

// Channels [first, lanes) of all pixels, pixel by pixel.
template <class T>
MX_INLINE void sum_channels(int n, const T* const* x, const T* const* w, const int* lengths, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step,
                            int64_t first, int64_t lanes, bool add) {
  using S = Simd<T>;
  int64_t j = 0;
  for (; j + 8 <= pixels; j += 8) {
    int64_t q = first;
    for (; q + S::lanes <= lanes; q += S::lanes) sum_eight(n, x, w, lengths, j * x_step, q, sum + j * sum_step + q, x_step, sum_step, add);
    if (q < lanes) sum_rest(n, x, w, j * x_step, sum + j * sum_step, 8, x_step, sum_step, q, lanes, add);
    // The last pixels may come with some that were done before, unless something is added to.
    if (!add && j + 8 < pixels && j + 16 > pixels) j = pixels - 16;
  }
  if (j + 4 <= pixels) {
    sum_pixels<T, 4, 2>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, first, lanes, add);
    j += 4;
  }
  if (j + 2 <= pixels) {
    sum_pixels<T, 2, 4>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, first, lanes, add);
    j += 2;
  }
  if (j < pixels) sum_pixels<T, 1, 8>(n, x, w, j * x_step, sum + j * sum_step, x_step, sum_step, first, lanes, add);
}

template <class T>
void add_taps(int n, const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes, bool add) {
  int lengths[kMaxChannelTaps];
  for (int t = n - 1; t >= 0; --t) lengths[t] = t + 1 < n && x[t + 1] - x[t] == x_step ? lengths[t + 1] + 1 : 1;
  // All channels of a pixel, as memory likes it, if their weights stay in the first cache.
  constexpr int64_t kVector = Simd<T>::lanes;
  int64_t together = kWeightBytes / (n * static_cast<int64_t>(sizeof(T))) / kVector * kVector;
  if (together < kVector) together = kVector;
  for (int64_t q = 0; q < lanes; q += together) {
    sum_channels(n, x, w, lengths, sum, pixels, x_step, sum_step, q, q + together < lanes ? q + together : lanes, add);
  }
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

// conv_channel_loops.h — the inner loops of convolutions by channel (conv_rows.h): sums over taps, vector by vector, as a table
// for each instruction set. The tables are made by conv_channels_baseline.cpp, _avx2.cpp and _avx512.cpp from conv_channel_loops.inl.
#pragma once

#include <cstdint>

#include "backend/cpu/instructions.h"

namespace mx::cpu {

constexpr int kMaxChannelTaps = 64;

template <class T>
struct ChannelLoops {
  /// sum[j] (+)= x[0][j] * w[0] + ... + x[n - 1][j] * w[n - 1] for pixels j, `x_step` and `sum_step` elements apart, of `lanes`
  /// elements each, for at most kMaxChannelTaps taps. In order of taps, with one rounding a step where the machine has such a multiply-add.
  void (*add_taps)(int n, const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes, bool add);
  /// w[t] += sum over pixels of x[t][j] * y[j], for n taps.
  void (*add_products)(int n, const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes);
};

extern const ChannelLoops<float> channel_loops_baseline_f32;
extern const ChannelLoops<double> channel_loops_baseline_f64;
#if defined(__x86_64__)
extern const ChannelLoops<float> channel_loops_avx2_f32, channel_loops_avx512_f32;
extern const ChannelLoops<double> channel_loops_avx2_f64, channel_loops_avx512_f64;
#endif

/// The best table for the processor we run on. T is float or double.
template <class T>
const ChannelLoops<T>& channel_loops() {
  if constexpr (sizeof(T) == 4) {
#if defined(__x86_64__)
    static const ChannelLoops<float>& best = best_of(channel_loops_avx512_f32, channel_loops_avx2_f32, channel_loops_baseline_f32);
    return best;
#else
    return channel_loops_baseline_f32;
#endif
  } else {
#if defined(__x86_64__)
    static const ChannelLoops<double>& best = best_of(channel_loops_avx512_f64, channel_loops_avx2_f64, channel_loops_baseline_f64);
    return best;
#else
    return channel_loops_baseline_f64;
#endif
  }
}

}  // namespace mx::cpu

// norm_rows.h — rms_norm and layer_norm of one row, forward and backward, as a table for each instruction set (norm_rows.inl).
// Sums are taken in lanes that are added pairwise, without fused multiply-add: the same on every CPU.
#pragma once

#include <cstdint>

namespace mx::cpu {

/// T is float or double. A null weight is 1, a null bias 0. Without `centred` the mean is taken to be 0.
template <class T>
struct NormRows {
  /// y = (x - mean) / sqrt(mean of squares + eps) weight + bias.
  void (*forward)(const T* x, const T* weight, const T* bias, T* y, int64_t n, T eps, bool centred);
  /// dx = scale (g - mean(g) - u mean(g u)) with u the normalised x and g = ct weight; dw += ct u; db += ct, if not null.
  void (*backward)(const T* x, const T* ct, const T* weight, T* dx, T* dw, T* db, int64_t n, T eps, bool centred);
};

extern const NormRows<float> norm_rows_baseline_f32;
extern const NormRows<double> norm_rows_baseline_f64;
#if defined(__x86_64__)
extern const NormRows<float> norm_rows_avx2_f32, norm_rows_avx512_f32;
extern const NormRows<double> norm_rows_avx2_f64, norm_rows_avx512_f64;
#endif

}  // namespace mx::cpu

// norm_rows_avx2.cpp — the rows of rms_norm and layer_norm with AVX2.

#include "backend/cpu/norm_rows.h"

#if defined(__x86_64__)

#include "backend/cpu/lanes_avx2.h"

namespace mx::cpu {

namespace {

#include "backend/cpu/norm_rows.inl"

}  // namespace

constinit const NormRows<float> norm_rows_avx2_f32 = {norm_row<F32>, norm_vjp_row<F32>};
constinit const NormRows<double> norm_rows_avx2_f64 = {norm_row<F64>, norm_vjp_row<F64>};

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

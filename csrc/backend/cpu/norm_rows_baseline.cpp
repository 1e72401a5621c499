// norm_rows_baseline.cpp — the rows of rms_norm and layer_norm with what every processor has.

#include "backend/cpu/norm_rows.h"

#include "backend/cpu/lanes_baseline.h"

namespace mx::cpu {

namespace {

#include "backend/cpu/norm_rows.inl"

}  // namespace

constinit const NormRows<float> norm_rows_baseline_f32 = {norm_row<F32>, norm_vjp_row<F32>};
constinit const NormRows<double> norm_rows_baseline_f64 = {norm_row<F64>, norm_vjp_row<F64>};

}  // namespace mx::cpu

// fft_rows.h — complex Fourier transforms of many rows, or of adjacent columns, in memory.
#pragma once

#include <cstdint>

#include "backend/cpu/fft_plan.h"

namespace mx::cpu::fft {

/// Transforms `count` rows of plan.n complex numbers (pairs of floats); row i begins at in + 2 i in_step and goes to
/// out + 2 i out_step, multiplied by `scale`. `out` may be `in` if the steps are equal. Runs on the pool.
void transform_rows(const Plan& plan, const float* in, int64_t in_step, float* out, int64_t out_step, int64_t count, bool inverse, float scale);

/// Transforms along the middle axis of (outer, plan.n, inner), contiguous; needs plan.whole. `out` may be `in`.
void transform_columns(const Plan& plan, const float* in, float* out, int64_t outer, int64_t inner, bool inverse, float scale);

/// How many transforms of size n are worth a thread.
int64_t rows_per_piece(int64_t n);

}  // namespace mx::cpu::fft

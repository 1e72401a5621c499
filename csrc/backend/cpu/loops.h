// loops.h — the innermost loops of elementwise work: n elements, every operand contiguous, one thread.
//
// One loop for each row of the tables and dtype it computes in, made from scalar/*.h. loops_real.cpp has float32 and
// float64, loops_complex.cpp complex64, loops_int*.cpp bool and integers, loops_cast*.cpp the casts.
#pragma once

#include "ops/elementwise_params.h"

namespace mx::cpu {

/// Computes n elements. `out` may be one of the inputs if their elements have one size; otherwise no overlap.
using Loop = void (*)(const void* const* in, void* out, int64_t n);

/// The loop for inputs of dtype `t` (for select: of its last two inputs); null if there is none. float16 and
/// bfloat16 have none: convert to float32, run its loop, convert back.
Loop find_loop(ElementwiseCode code, Dtype t);

/// The loop that converts between two dtypes, float16 and bfloat16 among them. in[0] is its one input.
/// From a dtype to itself it copies.
Loop find_cast(Dtype from, Dtype to);

}  // namespace mx::cpu

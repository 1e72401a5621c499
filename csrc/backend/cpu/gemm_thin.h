// gemm_thin.h — products with few rows or few columns: the large operand is read once, where it lies.
#pragma once

#include "backend/cpu/gemm.h"

namespace mx::cpu {

/// Computes g and returns true if one side is short and the other lies so that dot products of contiguous
/// rows do it, or so that the transposed product is better. Otherwise false, and nothing is done.
template <class S>
bool thin_gemm(const Gemm<S>& g);

extern template bool thin_gemm(const Gemm<float>&);
extern template bool thin_gemm(const Gemm<double>&);
extern template bool thin_gemm(const Gemm<float16_t>&);
extern template bool thin_gemm(const Gemm<bfloat16_t>&);

}  // namespace mx::cpu

// gemm_thin.h — products with few rows or few columns: the large operand is read once, where it lies.
#pragma once

#include "backend/cpu/gemm.h"

namespace mx::cpu {

/// Computes g and returns true if one side is so short, and the other lies so, that dot products of contiguous rows are best.
template <class S>
bool thin_gemm(const Gemm<S>& g);

}  // namespace mx::cpu

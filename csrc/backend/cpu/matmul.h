// matmul.h — kernels of matrix products; the arithmetic is in gemm.h.
#pragma once

#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels.h"

namespace mx::cpu {

void matmul_kernel(const Task& task);
void addmm_kernel(const Task& task);

/// out (..., m, n) = alpha * a (..., m, k) · b (..., k, n) + beta * c, with any strides of a, b and c (which may be null, or broadcast
/// by strides of 0: a bias has row stride 0). `out` is row-contiguous. The epilogue sees the result as one matrix of
/// (product of leading axes * m) rows.
void multiply(const array& a, const array& b, const array* c, array& out, double alpha, double beta, const Epilogue& epilogue = {});

/// Whether products of this dtype can have one: real floating types.
bool matmul_takes_epilogue(Dtype t);

}  // namespace mx::cpu

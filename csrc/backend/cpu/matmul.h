// matmul.h — kernels of matrix products; the arithmetic is in gemm.h.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void matmul_kernel(const Task& task);
void addmm_kernel(const Task& task);

}  // namespace mx::cpu

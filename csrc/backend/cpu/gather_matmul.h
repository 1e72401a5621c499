// gather_matmul.h — kernels of products of chosen, masked or segmented matrices; the arithmetic is in gemm.h.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void gather_mm_kernel(const Task& task);
void block_masked_mm_kernel(const Task& task);
void segmented_mm_kernel(const Task& task);
void segment_sum_mm_kernel(const Task& task);

}  // namespace mx::cpu

// quantized.h — kernels of quantized formats (quantized.cpp) and of products with them (quantized_matmul.cpp).
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void quantize_kernel(const Task& task);
void dequantize_kernel(const Task& task);
void quantized_matmul_kernel(const Task& task);
void gather_qmm_kernel(const Task& task);
void to_fp8_kernel(const Task& task);
void from_fp8_kernel(const Task& task);

}  // namespace mx::cpu

// quantized.h — plans of quantized formats and of products with quantized matrices (metal/kernels/quantized.metal).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_quantize(const Task& task, Plan& plan);
bool plan_dequantize(const Task& task, Plan& plan);
bool plan_quantized_matmul(const Task& task, Plan& plan);
bool plan_gather_qmm(const Task& task, Plan& plan);

}  // namespace mx::metal

// fused.h — running fused programs (compile/program.h), by themselves or on a product of matrices.
#pragma once

#include "backend/cpu/fused_plan.h"
#include "backend/cpu/kernels.h"

namespace mx::cpu {

void fused_kernel(const Task& task);
void fused_matmul_kernel(const Task& task);

/// A program without rows as one pass over elements that lie side by side; `single` inputs have one element for all.
/// It is prepared once and kept in the program.
const Pass& flat_pass(const Program& program, std::span<const Level> levels);

}  // namespace mx::cpu

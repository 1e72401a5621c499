// fused.h — running fused elementwise programs (compile/program.h) in tiles.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void fused_kernel(const Task& task);

}  // namespace mx::cpu

// elementwise.h — the kernels of the table operations and of the cast.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

/// Any primitive of unary.def, binary.def and ternary.def.
void elementwise_kernel(const Task& task);
void astype_kernel(const Task& task);

}  // namespace mx::cpu

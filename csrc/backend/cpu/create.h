// create.h — kernels of the creation primitives.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void arange_kernel(const Task& task);

}  // namespace mx::cpu

// conv.h — kernels of convolutions.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void conv_kernel(const Task& task);
void conv_weight_kernel(const Task& task);

}  // namespace mx::cpu

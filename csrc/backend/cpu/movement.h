// movement.h — kernels of the movement primitives that are not always views. reshape is copy_kernel (copy.h).
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void slice_update_kernel(const Task& task);
void dynamic_slice_kernel(const Task& task);
void dynamic_slice_update_kernel(const Task& task);
void as_strided_add_kernel(const Task& task);
void concatenate_kernel(const Task& task);

}  // namespace mx::cpu

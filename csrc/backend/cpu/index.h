// index.h — CPU kernels of gather and scatter.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void gather_kernel(const Task&);
void scatter_kernel(const Task&);
void gather_axis_kernel(const Task&);
void scatter_axis_kernel(const Task&);

}  // namespace mx::cpu

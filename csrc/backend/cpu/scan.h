// scan.h — CPU kernels of the running reductions.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void cumsum_kernel(const Task&);
void cumprod_kernel(const Task&);
void cummax_kernel(const Task&);
void cummin_kernel(const Task&);
void cumargmax_kernel(const Task&);
void cumargmin_kernel(const Task&);
void logcumsumexp_kernel(const Task&);
void linear_recurrence_kernel(const Task&);

}  // namespace mx::cpu

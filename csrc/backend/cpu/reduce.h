// reduce.h — CPU kernels of reductions.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void sum_kernel(const Task&);
void prod_kernel(const Task&);
void max_kernel(const Task&);
void min_kernel(const Task&);
void all_kernel(const Task&);
void any_kernel(const Task&);
void argmax_kernel(const Task&);
void argmin_kernel(const Task&);

}  // namespace mx::cpu

// sort.h — CPU kernels of sorting and searching.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void sort_kernel(const Task&);
void argsort_kernel(const Task&);
void partition_kernel(const Task&);
void argpartition_kernel(const Task&);
void searchsorted_kernel(const Task&);

}  // namespace mx::cpu

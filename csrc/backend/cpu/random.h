// random.h — CPU kernels of random bits and keys.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void random_bits_kernel(const Task&);
void random_draw_kernel(const Task&);
void fold_in_kernel(const Task&);

}  // namespace mx::cpu

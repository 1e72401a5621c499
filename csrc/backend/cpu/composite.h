// composite.h — CPU kernels of softmax and logsumexp.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void softmax_kernel(const Task&);
void logsumexp_kernel(const Task&);

}  // namespace mx::cpu

// hadamard.h — kernel of the Walsh-Hadamard transform.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void hadamard_kernel(const Task& task);

}  // namespace mx::cpu

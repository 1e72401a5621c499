// gather_matmul.h — kernels of products of chosen, masked or segmented matrices.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

}  // namespace mx::cpu

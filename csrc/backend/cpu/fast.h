// fast.h — kernels of the fast functions.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

}  // namespace mx::cpu

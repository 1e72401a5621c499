// conv.h — kernels of convolutions.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

}  // namespace mx::cpu

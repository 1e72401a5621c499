// quantized.h — kernels of quantized formats.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

}  // namespace mx::cpu

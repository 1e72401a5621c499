// quantized_params.h — parameters of quantized formats.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx

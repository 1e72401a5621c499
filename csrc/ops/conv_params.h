// conv_params.h — parameters of convolutions.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx

// fast_params.h — parameters of the fast functions.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx

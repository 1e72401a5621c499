// gather_matmul_params.h — parameters of products of chosen, masked or segmented matrices.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx

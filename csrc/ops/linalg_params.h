// linalg_params.h — parameters of factorisations and solvers.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx

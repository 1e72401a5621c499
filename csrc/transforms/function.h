// function.h — what a transformation transforms: arrays in, arrays out. Containers are flattened outside.
#pragma once

#include <functional>

#include "graph/array.h"

namespace mx {

using Function = std::function<Arrays(const Arrays&)>;

}  // namespace mx

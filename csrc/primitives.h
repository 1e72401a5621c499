// primitives.h — the explicit list of every primitive: what tests enumerate and coverage tables print.
#pragma once

#include <span>

#include "graph/primitive.h"

namespace mx {

/// Every primitive of the library, in the order of primitives.cpp.
std::span<const Primitive* const> all_primitives();

}  // namespace mx

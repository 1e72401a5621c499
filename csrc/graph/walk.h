// walk.h — the one walk over a graph. Iterative, so that a million chained operations are fine.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// The calls on which `outputs` depend and that depend on a marker or placeholder made since serial `since`
/// (0: all calls), inputs before outputs. The calls stay alive as long as `outputs` do.
/// With `constants`, also those newer than `since` that do not depend on markers and are not evaluated.
std::vector<CallRecord*> calls_above(std::span<const array> outputs, uint64_t since, bool constants = false);

}  // namespace mx

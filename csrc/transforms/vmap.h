// vmap.h — carrying a batch axis through a function.
#pragma once

#include <optional>

#include "transforms/function.h"

namespace mx {

using BatchAxes = std::vector<std::optional<int>>;

/// `f` of one example made a function of a batch. `in_axes` has one entry per input (nullopt: not mapped),
/// `out_axes` one per output (nullopt: the output must not depend on the batch). Negative axes count from the end.
Arrays vmap(const Function& f, const Arrays& inputs, const BatchAxes& in_axes, const std::function<BatchAxes(size_t)>& out_axes);

}  // namespace mx

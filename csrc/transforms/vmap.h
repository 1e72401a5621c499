// vmap.h — carrying a batch axis through a function.
#pragma once

#include <optional>

#include "transforms/function.h"

namespace mx {

using BatchAxes = std::vector<std::optional<int>>;

struct VmapOptions {
  /// The size of the batch, for when no input is mapped; else it must be theirs.
  std::optional<int64_t> axis_size = {};
  /// How many examples to compute at a time, to bound memory. The function is traced once all the same.
  std::optional<int64_t> chunk_size = {};
};

/// `f` of one example made a function of a batch. `in_axes` has one entry per input (nullopt: not mapped),
/// `out_axes` one per output (nullopt: the output must not depend on the batch). Negative axes count from the end.
Arrays vmap(const Function& f, const Arrays& inputs, const BatchAxes& in_axes, const std::function<BatchAxes(size_t)>& out_axes,
            const VmapOptions& options = {});

}  // namespace mx

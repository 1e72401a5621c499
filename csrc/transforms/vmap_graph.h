// vmap_graph.h — the vmap engine below vmap(): a batch carried through a graph.
#pragma once

#include "graph/array.h"

namespace mx {

/// `outputs` of one example, for a whole batch: `sources` (placeholders made since `since`) stand for one
/// example of `batched` (batch axis in front). An output that does not depend on them comes back undefined.
Arrays vmap_graph(const Arrays& outputs, const Arrays& sources, const Arrays& batched, int64_t size, uint64_t since);

/// Example `b` of a batch with its axis in front.
array example_of(const array& batched, int64_t b);

}  // namespace mx

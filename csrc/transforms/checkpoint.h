// checkpoint.h — recomputation: the forward pass keeps only the inputs, the backward pass computes again.
#pragma once

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx {

/// The outputs of `f` at `inputs`, as one call that holds `f`'s graph. Arrays that `f` captures are inputs of
/// that call, so they get their gradients; random draws inside repeat their numbers when recomputed.
Arrays checkpoint(const Function& f, const Arrays& inputs);

struct CheckpointParams {
  std::shared_ptr<const Subgraph> graph;
  auto fields() const { return std::tie(graph); }
};
extern const Primitive checkpoint_p;

}  // namespace mx

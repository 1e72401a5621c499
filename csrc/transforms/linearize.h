// linearize.h — derivatives at a point as linear maps: the function runs once, its derivative any number of times.
#pragma once

#include <utility>

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx {

/// A linear map of arrays, held as a graph. Calling it makes nodes, which transformations see as any others. What
/// it needs of the point of linearisation is captured: computed once, at the first evaluation, and then kept.
class LinearMap {
 public:
  /// One array per input type, of its shape and cast to its dtype; an undefined one is a zero. Throws
  /// TransformError on a mismatch. Inputs of integer or boolean type do not move anything.
  Arrays operator()(const Arrays& inputs) const;

  const Types& input_types() const { return input_types_; }
  const Types& output_types() const { return output_types_; }
  const Subgraph& graph() const { return graph_; }
  const Arrays& captured() const { return captured_; }

 private:
  friend class LinearTrace;
  Types input_types_, output_types_;
  std::vector<size_t> moving_;   // for each input of the graph, which of input_types_ it is
  std::vector<size_t> reached_;  // the same for its outputs; the others are zero
  Subgraph graph_;
  Arrays captured_;
};

/// The outputs of `f` at `primals`, and its pushforward there: tangents of the primals to tangents of the outputs.
std::pair<Arrays, LinearMap> linearize(const Function& f, const Arrays& primals);

/// The outputs of `f` at `primals`, and its pullback there: cotangents of the outputs to cotangents of the primals.
std::pair<Arrays, LinearMap> vjp_fn(const Function& f, const Arrays& primals);

}  // namespace mx

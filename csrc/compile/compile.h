// compile.h — a function traced once and called as a simplified graph.
//
// trace() runs the function on placeholders, takes the graph out, and simplifies it: common subexpressions and
// dead code (simplify.cpp), elementwise groups fused into programs (fuse.cpp). The cache of traces belongs
// to the caller (the Python layer keys it by tree structure, types and constants).
#pragma once

#include <memory>

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx {

class CompiledTrace {
 public:
  /// Traces `f` for inputs of these types. Arrays that `f` captures are constants of the trace.
  CompiledTrace(const Function& f, const Types& inputs);

  /// The outputs for inputs of the traced types. Builds graph nodes; nothing is computed yet.
  Arrays operator()(const Arrays& inputs) const;

  /// False if a captured array belongs to a transformation that is still running: the trace must not outlive it.
  bool cacheable() const { return cacheable_; }
  const Subgraph& graph() const { return graph_; }
  const Arrays& captured() const { return captured_; }

 private:
  Subgraph graph_;  ///< Its last n_effects_ outputs are effects.
  Arrays captured_;
  size_t n_effects_ = 0;
  bool cacheable_ = true;
};

/// False after disable_compile(): compiled functions then run as they are.
bool compile_enabled();
void set_compile_enabled(bool on);

/// Removes the markers that transformations inside the function left: nobody walks to them again.
void drop_markers(Subgraph& graph);
/// Merges equal steps and drops those that no output needs.
void merge_common_steps(Subgraph& graph);
void drop_dead_steps(Subgraph& graph);
/// Replaces groups of elementwise steps by fused programs. `captured` serves to fold scalar constants.
void fuse_elementwise(Subgraph& graph, const Arrays& captured);

}  // namespace mx

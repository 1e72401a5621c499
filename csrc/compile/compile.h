// compile.h — a function traced once and called as a simplified graph.
//
// trace: the function runs on placeholders and its graph is taken out (CompiledTrace). A call makes one node that holds the
// graph (compiled_body.h). Its evaluation lowers the graph — rewrites (rewrite.h), elementwise groups fused into programs
// (fuse.cpp) — and runs it from a plan (plan.h), which is kept. Transformations of the call are made from the graph
// (compiled_rules.cpp), and kept too. The cache of traces belongs to the caller (the Python layer keys it by tree
// structure, types and constants).
#pragma once

#include <memory>

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx {

class CompiledBody;
class Compiled;

class CompiledTrace {
 public:
  /// Traces `f` for inputs of these types. Arrays that `f` captures are constants of the trace.
  CompiledTrace(const Function& f, const Types& inputs);

  /// The outputs for inputs of the traced types. Builds graph nodes; nothing is computed yet.
  Arrays operator()(const Arrays& inputs) const { return call({inputs.begin(), inputs.end()}); }
  Arrays call(SmallVector<array, 3> inputs) const;

  /// False if a captured array belongs to a transformation that is still running: the trace must not outlive it.
  bool cacheable() const { return extras_.empty(); }
  /// What is run, with elementwise groups fused.
  const Subgraph& graph() const;
  /// What was traced, simplified: what transformations see.
  const Subgraph& traced() const;
  const Arrays& captured() const;
  const CompiledBody& body() const;
  /// Operations that the function called.
  size_t n_called() const { return n_called_; }

 private:
  std::shared_ptr<const Compiled> compiled_;
  Arrays extras_;  ///< Captured arrays of transformations that are running: further inputs.
  size_t n_called_ = 0;
};

/// False after disable_compile(): compiled functions then run as they are.
bool compile_enabled();
void set_compile_enabled(bool on);

/// While one lives, compiled functions that this thread calls do not become one node: their operations do. For
/// traces, whose graphs are simplified and fused as a whole.
class InlineCompiled {
 public:
  enum Form : uint8_t { none, operations, programs };
  explicit InlineCompiled(Form form = operations);
  ~InlineCompiled();
  InlineCompiled(const InlineCompiled&) = delete;
  InlineCompiled& operator=(const InlineCompiled&) = delete;
  static Form active();

 private:
  Form outer_;
};

/// Removes the markers that transformations inside the function left: nobody walks to them again.
void drop_markers(Subgraph& graph);
/// Merges equal steps and drops those that no output needs.
void merge_common_steps(Subgraph& graph);
void drop_dead_steps(Subgraph& graph);
/// Replaces groups of elementwise steps by fused programs. `captured` serves to fold scalar constants.
void fuse_elementwise(Subgraph& graph, const Arrays& captured);

}  // namespace mx

// body.h — the functions that control flow holds: traced once on placeholders, kept as data, run many times.
//
// A body's inputs are what the loop gives it, then the arrays that it captured. Rules work on `graph`, which has
// one step for each operation; the scheduler runs `program`, which is the same with elementwise groups fused.
#pragma once

#include <memory>

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx {

struct Body {
  std::shared_ptr<const Subgraph> graph;
  std::shared_ptr<const Subgraph> program;  ///< Null in a body that was read from a file; then `graph` runs.
  /// The program is made from the graph: equality and files need the graph alone.
  auto fields() const { return std::tie(graph); }
  bool operator==(const Body& o) const { return graph == o.graph; }

  Types output_types() const { return graph->output_types(); }
  /// The outputs as graph nodes, for inputs followed by captured arrays.
  Arrays operator()(const Arrays& all) const;
  /// What a loop runs. `captured` are the evaluated arrays that it captured.
  std::shared_ptr<const Subgraph> prepared(std::span<const array> captured) const;
};

/// A traced function and what it captured.
struct Traced {
  Subgraph graph;
  Arrays captured;
  bool draws = false;  ///< Whether there are random draws without a key.
  /// Ready for a loop: simplified, without captured arrays that nothing reads.
  Body body();
};

/// Traces `f` for inputs of these types. `op` is what errors call the place. What `f` computes from captured arrays alone
/// is done once, before the loop; with `constants` it is part of the body, for a branch that may not run.
Traced trace_body(const Function& f, const Types& inputs, const char* op, bool constants = false);

/// The same for a loop's step, with its number as a further input, which only random draws get to see. With `count`
/// the next number is a further output.
Traced trace_step(const Function& f, Types inputs, const char* op, bool count = false);
/// Takes the number away again, if nothing was drawn.
void drop_number(Traced& step, bool count = false);

/// Takes away slots (ascending) that nothing names; those after them move up.
void drop_slots(Subgraph& g, const std::vector<int>& gone);

/// The arrays' values as leaves without a history, so that nothing of a loop's run is retained.
Arrays without_history(std::span<const array> arrays);

/// Where row i along axis 0 is.
Storage row_of(const Storage& stacked, const Shape& shape, int64_t i);

/// Which outputs may depend on the inputs `from` (followed by captured arrays). `by_tangents`: through derivatives.
/// A look at the graph instead of a transformation, which in a nest of loops would double the work at every level.
std::vector<bool> reached(const Body& body, const std::vector<bool>& from, bool by_tangents);
/// The same after any number of steps: the first outputs feed the first inputs, and `from` grows with them.
std::vector<bool> reached_in_loop(const Body& body, std::vector<bool>& from, size_t n_carry, bool by_tangents);

/// Tangents of a body's outputs (undefined: zero) where inputs have one, and its outputs.
struct Moved {
  Arrays outs, tangents;
};
Moved push_body(const Body& body, const Arrays& all, const Arrays& tangents);

/// Cotangents of the inputs where `need` (undefined: zero) for cotangents of the outputs (undefined: zero).
Arrays pull_body(const Body& body, const Arrays& all, const Arrays& cotangents, const std::vector<bool>& need);

/// Outputs for inputs with a batch axis in front where `mapped`, and which of them depend on the batch; those have
/// it in front.
struct Batched {
  Arrays outs;
  std::vector<bool> mapped;
};
Batched vmap_body(const Body& body, const Arrays& all, const std::vector<bool>& mapped, int64_t size);

/// `x` with a batch axis in front.
array with_batch(const array& x, int64_t size);

}  // namespace mx

// subgraph.h — a piece of graph taken out as data: what checkpoint, compile and control flow hold.
//
// Values are numbered slots: the inputs, then the captured arrays, then the outputs of each step in order.
// replay() makes the same calls again on other inputs.
#pragma once

#include <memory>
#include <string>

#include "graph/primitive.h"

namespace mx {

struct Step {
  const Primitive* primitive;
  Params params;
  Stream stream;
  std::vector<int> in;   ///< Slots.
  std::vector<int> out;  ///< Slots; one per output.
  Types types;           ///< Of the outputs.
  std::shared_ptr<const std::string> origin = {};  ///< Of the call, if it was traced.
};

struct Subgraph {
  Types input_types;
  Types captured_types;      ///< Of the arrays from outside; their slots follow the inputs.
  std::vector<Step> steps;   ///< Inputs before outputs.
  std::vector<int> outputs;  ///< Slots.
  int n_slots = 0;

  int n_inputs() const { return static_cast<int>(input_types.size()); }
  /// The types of the outputs.
  Types output_types() const;
};

/// A subgraph and the arrays that it captured.
struct Extract {
  Subgraph graph;
  Arrays captured;
};

/// What lies between `sources` (markers or placeholders made since `since`) and `outputs`.
/// With `constants`, also what was computed since then from captured arrays alone, unless it has a value already.
Extract extract(const Arrays& outputs, const Arrays& sources, uint64_t since, bool constants = false);

/// The outputs for other inputs and captured arrays, of the same types.
Arrays replay(const Subgraph& graph, std::span<const array> inputs, std::span<const array> captured);

/// Stable text, one line a step: `%3 float32(2, 4) = add %0 %2`.
std::string to_string(const Subgraph& graph);

}  // namespace mx

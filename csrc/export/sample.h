// sample.h — a trace taken apart for comparison with others: what must be equal, and the numbers that may differ.
#pragma once

#include <optional>

#include "export/function_trace.h"
#include "export/trace.h"

namespace mx::exporting {

/// A number among the parameters of a trace.
struct Number {
  int step, place;  ///< Its hole.
  bool real;
  int64_t n;
  double x;
};

struct Sample {
  std::vector<int64_t> sizes;        ///< Of the symbols.
  Types inputs;
  Subgraph graph;
  Arrays captured;                   ///< Evaluated.
  std::vector<Shape> slots;
  std::vector<std::string> structure;  ///< One for each step, then one for the outputs.
  std::vector<Number> numbers;

  Sample(Traced t, std::vector<int64_t> sizes);
};

/// Where two traces differ otherwise than in numbers: "the operation slice"; nullopt if nowhere.
std::optional<std::string> difference(const Sample& a, const Sample& b);
/// The first operation that uses a slot: "the operation add".
std::string user_of(const Subgraph& g, int slot);

/// Same dtype, shape and bytes. Both evaluated.
bool same_value(const array& a, const array& b);

/// Whether `t`, made from the trace `base`, is at the sizes of `s` what `s` is: number by number, or else as a graph
/// without the steps that change nothing.
bool agrees(const FunctionTrace& t, const Sample& base, const Sample& s);

}  // namespace mx::exporting

// function_trace.h — one trace of an exported function: what a file holds, once for every set of example inputs.
//
// A trace for fixed shapes is a graph and its constants. A shapeless one also has a Sizes: which axes of the inputs
// may change, and by which rule the numbers in parameters and constants follow them. at() puts in the numbers for one
// set of shapes, checks every call again and infers its types anew.
#pragma once

#include <optional>

#include "export/expr.h"
#include "graph/subgraph.h"

namespace mx::exporting {

struct Sizes {
  /// A size that may change.
  struct Symbol {
    int64_t least = 0, most = INT64_MAX;
  };
  /// A number among the parameters of a step, in the order of visit_numbers().
  struct Hole {
    int step = 0, number = 0;
    Scaled value;  ///< For an integer only `value.x` counts.
  };
  /// An element of a small constant, counted in row order.
  struct Constant {
    int captured = 0, element = 0;
    Scaled value;
  };
  std::vector<Symbol> symbols;
  std::vector<std::vector<int>> axes;  ///< For each axis of each input its symbol, or -1: the size of the example.
  std::vector<Hole> holes;             ///< By step.
  std::vector<Constant> constants;     ///< By constant and element.
};

struct FunctionTrace {
  int n_positional = 0;
  std::vector<std::string> names;  ///< Keywords of the inputs after the positional ones; ascending.
  Subgraph graph;                  ///< Of a shapeless trace: with the numbers of the example.
  Arrays captured;
  std::optional<Sizes> sizes;

  /// Whether inputs of these types can be given; if not, `why` says what is wrong.
  bool takes(const Types& inputs, std::string* why = nullptr) const;
};

/// A graph for one set of shapes.
struct Concrete {
  Subgraph graph;
  Arrays captured;
};

/// A shapeless trace for inputs of these types, which it takes. Throws ValueError if some call does not fit them.
Concrete at(const FunctionTrace& t, const Types& inputs);

/// Calls `f(Field&)` for every integer and real number in `f`, in order.
template <class F>
void visit_numbers(Field& field, F&& f) {
  if (field.kind == Field::integer || field.kind == Field::real) f(field);
  for (Field& item : field.items) visit_numbers(item, f);
}

/// Constants of more elements do not follow sizes.
constexpr int64_t kSmallConstant = 64;
/// `x` as an element of this dtype (the first bytes). Throws ValueError if it is not within the dtype's range.
uint64_t element_bits(double x, Dtype t);
/// The constants with their elements put in, given the shapes of the slots before the first step.
Arrays constants_at(const Sizes& sizes, const Arrays& captured, const std::vector<Shape>& slots);

}  // namespace mx::exporting

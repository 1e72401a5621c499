// simplify.h — writing a graph anew, step by step: equal steps become one, rewrites (rewrite.h) replace steps by simpler
// ones, and what no output needs is left out. Whatever takes traced graphs apart or puts them together goes through
// GraphWriter: pruning to some outputs, cutting a gradient into a forward and a backward piece, lowering for a run.
//
// The writer's values have numbers of their own: inputs, constants (arrays from outside), and what steps make.
#pragma once

#include <deque>
#include <optional>

#include "base/pointer_map.h"
#include "graph/subgraph.h"

namespace mx {

class GraphWriter {
 public:
  /// With `rewrites` for a graph that is only run. Without, steps are merged but not replaced, so that derivatives of the
  /// graph are those of the one that came.
  explicit GraphWriter(bool rewrites = false) : rewrites_(rewrites), table_(64, -1) {}

  int input(const Type& type);
  /// An array from outside; the same array has the same number.
  int constant(const array& a);
  /// Adds a step whose `in` are values; returns its outputs.
  SmallVector<int, 2> add(Step step);
  /// Adds a graph, with values for its inputs and captured arrays; returns its outputs.
  std::vector<int> add(Subgraph graph, std::span<const int> leaves);

  /// The graph of these outputs. `captured` becomes the constants that it needs. The writer has no steps afterwards.
  Subgraph finish(std::span<const int> outputs, Arrays& captured);
  /// The piece between values that are its inputs and the outputs.
  Subgraph piece(std::span<const int> inputs, std::span<const int> outputs, Arrays& captured) const { return cut(inputs, outputs, captured, nullptr); }

  // ---- for rewrites: what has been written

  size_t n_values() const { return values_.size(); }
  const Type& type(int v) const { return *values_[static_cast<size_t>(v)].type; }
  /// The step that makes a value, or null. Valid until the next one is added.
  const Step* maker(int v) const {
    int s = values_[static_cast<size_t>(v)].step;
    return s < 0 ? nullptr : &steps_[static_cast<size_t>(s)];
  }
  /// The same, if it is this operation.
  const Step* maker(int v, const Primitive& p) const {
    const Step* s = maker(v);
    return s && s->primitive == &p ? s : nullptr;
  }
  /// The array behind a constant, or null.
  const array* constant_of(int v) const {
    int c = values_[static_cast<size_t>(v)].constant;
    return c < 0 ? nullptr : &constants_[static_cast<size_t>(c)].value;
  }
  /// The real number that a constant holds everywhere.
  std::optional<double> number(int v) const {
    int c = values_[static_cast<size_t>(v)].constant;
    return c < 0 ? std::nullopt : constants_[static_cast<size_t>(c)].number;
  }
  /// A constant that holds `x` everywhere.
  int filled(double x, const Type& type);
  /// An operation with one output, on the stream and with the origin of `like`.
  int make(const Primitive& primitive, Params params, std::vector<int> in, Type type, const Step& like);
  const std::vector<Step>& steps() const { return steps_; }

 private:
  struct Value {
    const Type* type;
    int step = -1, constant = -1;
  };
  struct Held {
    array value;
    std::optional<double> number;
  };
  int leaf(const Type& type, int constant);
  Subgraph cut(std::span<const int> inputs, std::span<const int> outputs, Arrays& captured, std::vector<Step>* take) const;
  int* place_of(size_t hash, const Step& step);
  void grow();

  bool rewrites_;
  std::vector<Value> values_;
  std::deque<Type> leaf_types_;
  std::vector<int> inputs_;
  std::vector<Held> constants_;
  PointerMap<int> constant_values_;
  std::vector<Step> steps_;
  std::vector<size_t> hashes_;  ///< Of the steps.
  std::vector<int> table_;      ///< Steps by hash, open addressing.
};

/// The number that an evaluated array holds at every place, if strides say so and it is real.
std::optional<double> repeated_number(const array& a);

}  // namespace mx

// reduce_params.h — reductions as a backend sees them. `axes` are ascending and not empty. `keepdims` only
// matters to the output's shape: its elements are the same.
#pragma once

#include "graph/primitive.h"

namespace mx {

struct ReduceParams {
  Axes axes;
  bool keepdims = false;
  auto fields() const { return std::tie(axes, keepdims); }
};

struct ArgReduceParams {
  int axis;
  bool keepdims = false;
  auto fields() const { return std::tie(axis, keepdims); }
};

extern const Primitive sum_p;
extern const Primitive prod_p;
extern const Primitive max_p;
extern const Primitive min_p;
extern const Primitive all_p;
extern const Primitive any_p;
extern const Primitive argmax_p;
extern const Primitive argmin_p;

}  // namespace mx

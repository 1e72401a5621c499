// create_params.h — parameters of the creation primitives.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// Element i is `int_start + i * int_step` if `exact`, else `start + i * step` in float64; the last one is `last`, so
/// that linspace ends where it was told to.
struct ArangeParams {
  Dtype dtype;
  int64_t n;
  bool exact;
  int64_t int_start, int_step;
  double start, step, last;
  auto fields() const { return std::tie(dtype, n, exact, int_start, int_step, start, step, last); }
};

extern const Primitive arange_p;

}  // namespace mx

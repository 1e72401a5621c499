// hadamard_params.h — parameters of Walsh-Hadamard transforms.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// Product of every row (last axis, of size m 2^k) with the Hadamard matrix of that size, or its transpose, times `scale`.
struct HadamardParams {
  double scale = 1;
  bool transposed = false;
  auto fields() const { return std::tie(scale, transposed); }
};

extern const Primitive hadamard_p;

}  // namespace mx

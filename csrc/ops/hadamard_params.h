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

/// A Hadamard matrix that is not a power of two large: entries 1 and -1, row by row.
struct HadamardSigns {
  int order = 1;
  std::vector<int8_t> values = {1};
  int at(int row, int column) const { return values[static_cast<size_t>(row * order + column)]; }
};
/// The matrix of order m for rows of size n = m 2^k: m is 1, 12, 20 or 28.
const HadamardSigns& hadamard_signs(int64_t n);

extern const Primitive hadamard_p;

}  // namespace mx

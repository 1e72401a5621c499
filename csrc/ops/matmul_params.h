// matmul_params.h — matrix products: the one primitive that all of ops/matmul.h comes down to.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// a (..., m, k) times b (..., k, n) -> (..., m, n). Inputs have equal batch dimensions and the same dtype,
/// any strides: transposed or broadcast operands are read where they are.
extern const Primitive matmul_p;

/// alpha * (a @ b) + beta * c in one pass; inputs a, b, c, with c of the result's shape.
struct AddmmParams {
  double alpha = 1.0;
  double beta = 1.0;
  auto fields() const { return std::tie(alpha, beta); }
};
extern const Primitive addmm_p;

}  // namespace mx

// gather_matmul_params.h — parameters of products of chosen, masked or segmented matrices. Each family is closed
// under differentiation: the derivative of a product is a product of the same kind. Inputs have equal leading batch
// axes (written ...) and a real floating dtype; indices are int64.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// a (..., A, m, k), b (..., B, k, n), two or three index vectors (..., l) -> products of matrix pairs.
/// Without `sums`, result i is a[ia[i]] · b[ib[i]]: shape (..., l, m, n). With it, a third index vector says to which of
/// n_out results product i is added: (..., n_out, m, n).
struct GatherMatmulParams {
  bool sums;
  int64_t n_out;
  auto fields() const { return std::tie(sums, n_out); }
};
extern const Primitive gather_mm_p;

/// a (..., m, k), b (..., k, n), then the masks that there are, one number a block: out (..., ⌈m⌉, ⌈n⌉),
/// lhs (..., ⌈m⌉, ⌈k⌉), rhs (..., ⌈k⌉, ⌈n⌉), boolean or of the dtype of a.
struct BlockMaskParams {
  int block_size;
  bool out, lhs, rhs;
  auto fields() const { return std::tie(block_size, out, lhs, rhs); }
};
extern const Primitive block_masked_mm_p;

/// a (..., m, k), b (..., k, n), segments (..., s, 2) of begin and end -> (..., s, m, n): a[:, begin:end] · b[begin:end].
/// Segments are cut to [0, k).
extern const Primitive segmented_mm_p;

/// Its transpose: x (..., s, m, n), y (..., n, k), segments (..., s, 2) -> (..., m, k), where each x[i] · y[:, begin:end] is
/// added to the columns begin:end.
extern const Primitive segment_sum_mm_p;

}  // namespace mx

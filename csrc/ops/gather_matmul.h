// gather_matmul.h — products of matrices that are chosen by index, masked by blocks, or cut into segments, without copies
// of the operands. Plain products are in matmul.h.
#pragma once

#include <optional>

#include "graph/array.h"

namespace mx {

/// a[lhs] @ b[rhs], with indices into the flattened batch axes of a (..., m, k) and b (..., k, n); they broadcast, and
/// the result is (*indices, m, n). Without indices an operand is taken in order. Negative indices count from the end;
/// one out of bounds raises IndexError when the result is computed. `sorted_indices` is a hint.
array gather_mm(const array& a, const array& b, const std::optional<array>& lhs_indices = {},
                const std::optional<array>& rhs_indices = {}, bool sorted_indices = false);

/// a @ b with blocks of block_size² of the operands or the result scaled by masks: one boolean or number a block.
/// Blocks whose mask is zero are not read: they count as exact zeros. block_size is 32 or 64.
array block_masked_mm(const array& a, const array& b, int block_size = 64, const std::optional<array>& mask_out = {},
                      const std::optional<array>& mask_lhs = {}, const std::optional<array>& mask_rhs = {});

/// a[:, begin:end] @ b[begin:end] for every (begin, end) in segments (..., 2): shape (..., m, n). Segments may overlap or
/// be empty; they are cut to the inner dimension.
array segmented_mm(const array& a, const array& b, const array& segments);

}  // namespace mx

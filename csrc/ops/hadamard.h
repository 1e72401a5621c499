// hadamard.h — the Walsh-Hadamard transform.
#pragma once

#include <optional>

#include "graph/array.h"
#include "ops/hadamard_params.h"

namespace mx {

/// Every row of the last axis times the Hadamard matrix H of its size n = m 2^k, m in {1, 12, 20, 28}, and `scale`
/// (absent: 1 / sqrt(n), which makes it orthonormal). H is the Kronecker product of one of order m (Paley's for 12,
/// Williamson's for 20 and 28) and Sylvester's. Integers give float32. Throws ValueError for other sizes.
array hadamard_transform(const array& a, std::optional<double> scale = {});

}  // namespace mx

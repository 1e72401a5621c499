// matmul.h — products of matrices and vectors, and contractions of any axes.
// Everything comes down to matmul_p (matmul_params.h); einsum is in einsum.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "graph/array.h"

namespace mx {

/// Product of matrices a (..., m, k) and b (..., k, n) -> (..., m, n), by NumPy's rules: batch dimensions broadcast, a
/// vector takes part as a row (left) or column (right) that is then dropped. Integer dtypes throw DtypeError.
array matmul(const array& a, const array& b);

/// alpha * (a @ b) + beta * c, with c broadcast to the product's shape, in one pass.
array addmm(const array& c, const array& a, const array& b, double alpha = 1.0, double beta = 1.0);

/// Sum of products over the last axes of both: a (..., k), b (***, k) -> (..., ***). Scalars multiply.
array inner(const array& a, const array& b);

/// All products of elements, both flattened: (a.size, b.size).
array outer(const array& a, const array& b);

/// Sum over `axis` of conj(a) * b, broadcast; the axis counts from the end of the broadcast shape if negative.
array vecdot(const array& a, const array& b, int axis = -1);

/// Sum of products over the last `n_axes` axes of a and the first of b.
array tensordot(const array& a, const array& b, int n_axes = 2);
/// Sum of products over pairs of axes: a's axes_a[i] with b's axes_b[i].
array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b);

/// Kronecker product: blocks of b, scaled by the elements of a.
array kron(const array& a, const array& b);

/// Sums of products by index names, as numpy.einsum: `einsum("ij,jk->ik", {a, b})`. Letters, "..." and repeated
/// indices; contracts two operands at a time, cheapest first. Throws ValueError on malformed subscripts.
array einsum(std::string_view subscripts, const Arrays& operands);

/// The order in which einsum contracts: positions of the operands taken at each step (results go last), and a
/// printed summary.
std::pair<std::vector<std::vector<int>>, std::string> einsum_path(std::string_view subscripts, const Arrays& operands);

}  // namespace mx

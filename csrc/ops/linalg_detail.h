// linalg_detail.h — what the rules of factorisations and solvers share.
#pragma once

#include "ops/linalg_params.h"
#include "ops/linalg_spectral_detail.h"

namespace mx::linalg::detail {

/// Solves with one triangle of a (..., n, n) for b (..., n, k). Batch dimensions broadcast.
array triangular_solution(const array& a, const array& b, const TriangularParams& p);

/// All three outputs of lu_factor. Derivatives do not pass.
Arrays frozen_lu(const array& a);

/// a⁻¹·b or a⁻ᴴ·b by a's factors (frozen_lu). Derivatives with respect to a and b are those of the solution.
/// Batch dimensions broadcast; one matrix solves for a whole batch at once.
array lu_solution(const array& a, const array& b, const array& lu, const array& pivots, const LuSolveParams& p = {});

/// The matrices' inverses by their factors; not finite where singular.
array lu_inverse(const array& a, const array& lu, const array& pivots);

/// `shape` with the last two sizes replaced.
inline Shape matrix_shape(const Shape& shape, int64_t rows, int64_t columns) {
  Shape s(shape.begin(), shape.end() - 2);
  s.push_back(rows);
  s.push_back(columns);
  return s;
}

/// a and b of solve: checked, of one dtype, b with a column axis.
struct System {
  array a, b;
  bool vector;  ///< The solution's last axis is to be dropped.
  array result(const array& x) const { return vector ? squeeze(x, -1) : x; }
};
System checked_system(const char* op, const array& a, const array& b);

}  // namespace mx::linalg::detail

// linalg_params.h — parameters of factorisations and solvers. All work on the matrices in the last two axes.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// cholesky: the lower factor of the Hermitian part of its input; NaN where there is none.
/// inverse: throws when a matrix is exactly singular.
extern const Primitive cholesky_p, inverse_p;

/// triangular_inverse and solve_triangular: which triangle of input 0 is read.
struct TriangularParams {
  bool upper = false;
  bool unit = false;    ///< The diagonal is not read but taken as ones.
  bool strict = false;  ///< A zero on the diagonal is an error, not a division by zero.
  auto fields() const { return std::tie(upper, unit, strict); }
};
/// solve_triangular: inputs a (..., n, n), b (..., n, k).
extern const Primitive triangular_inverse_p, solve_triangular_p;

/// lu_factor: a (..., m, n) -> L and U in one matrix (..., m, n), pivots (..., min(m, n)): row i was swapped with row
/// pivots[i], in order; and the resulting order (..., m): row i of L·U is row order[i] of a.
extern const Primitive lu_factor_p;

/// lu_solve: inputs a (..., n, n), b (..., n, k), and the first two outputs of lu_factor for a.
/// a is there for derivatives only: its value is not read.
struct LuSolveParams {
  bool adjoint = false;  ///< Solves with the conjugate transpose of a.
  bool strict = false;   ///< As above.
  auto fields() const { return std::tie(adjoint, strict); }
};
extern const Primitive lu_solve_p;

/// det, slogdet (sign, logarithm of the absolute value), adjugate: inputs a and the first two outputs of lu_factor.
/// adjugate_slope: inputs a, t; the derivative of adjugate at a in direction t, linear in t.
extern const Primitive det_p, slogdet_p, adjugate_p, adjugate_slope_p;

}  // namespace mx

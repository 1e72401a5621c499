// linalg.h — factorisations and solvers, on the matrices in the last two axes of arrays of any batch shape.
//
// dtypes are float32, float64 and complex64; determinants take the others too. cholesky, lu and determinants of
// matrices that have none give NaN or zeros; inverses and solutions that do not exist throw BackendError when computed.
// Sources: linalg.cpp (Cholesky, triangular matrices, inverses), linalg_lu.cpp, linalg_det.cpp. Orthogonal
// factorisations, spectra and norms are in linalg_spectral.h; docs/linear-algebra.md has the conventions.
#pragma once

#include <utility>

#include "graph/array.h"

namespace mx::linalg {

/// L with L·Lᴴ = a, or with `upper` U = Lᴴ, for a positive definite a; of a, the Hermitian part (a + aᴴ)/2 is taken.
/// A matrix that is not positive definite gives NaNs.
array cholesky(const array& a, bool upper = false);

/// The inverse of the matrix whose Cholesky factor is `a`.
array cholesky_inv(const array& a, bool upper = false);

array inv(const array& a);

/// Inverse of a triangular matrix, of which only that triangle is read.
array tri_inv(const array& a, bool upper = false);

/// x with a·x = b: a (..., n, n), b (..., n, k) or one vector (n,); batch dimensions broadcast.
array solve(const array& a, const array& b);

/// The same for triangular a, of which only that triangle is read.
array solve_triangular(const array& a, const array& b, bool upper = false);

/// p, L, U of a (..., m, n): row i of a is row p[i] of L·U. p (..., m) is uint32.
Arrays lu(const array& a);

/// L (unit diagonal, not stored) and U in one matrix, and the pivots (..., min(m, n)), uint32: row i was swapped with
/// row pivots[i], in order.
std::pair<array, array> lu_factor(const array& a);

/// Determinant. Its first two derivatives are right for singular matrices too.
array det(const array& a);

/// Sign (0 for a singular matrix; of modulus 1 for complex ones) and logarithm of the absolute value of the determinant.
std::pair<array, array> slogdet(const array& a);

}  // namespace mx::linalg

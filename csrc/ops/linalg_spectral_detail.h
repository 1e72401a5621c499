// linalg_spectral_detail.h — what the rules of spectral functions share: adjoints, and reciprocals that are zero where
// there is nothing to divide by.
#pragma once

#include <string_view>

#include "ops/elementwise.h"
#include "ops/movement.h"

namespace mx::linalg::detail {

/// The conjugate transpose of matrices.
inline array adjoint(const array& x) {
  array t = matrix_transpose(x);
  return is_complex(x.dtype()) ? conjugate(t) : t;
}

/// Throws unless `a` has at least two axes and dtype float32, float64 or complex64.
void check_matrices(const array& a, std::string_view op);
/// The same, and square.
void check_square(const array& a, std::string_view op);

/// The largest magnitude along the last axis, which stays with size 1. A constant to derivatives.
array largest(const array& w);

/// 1 / x, and 0 where |x| <= 4 eps · size. Finite to every order: the reciprocal is never taken of what is too small.
array safe_reciprocal(const array& x, const array& size);

/// (..., k, k) with 1 / (w_j - w_i) at (i, j), and 0 where the two are equal to working precision, so on the diagonal.
array gap_reciprocals(const array& w);

/// y (..., m, n) with column j multiplied by w (..., n)[j].
array scale_columns(const array& y, const array& w);

/// sum over rows of conj(x) * y: the diagonal of adjoint(x) @ y.
array column_products(const array& x, const array& y);

}  // namespace mx::linalg::detail

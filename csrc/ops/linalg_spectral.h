// linalg_spectral.h — orthogonal factorisations, singular values, eigenvalues, and norms.
//
// Matrices are in the last two axes; the others are batch axes. dtypes: float32, float64, complex64. A matrix with NaN or
// infinity gives NaN. All are differentiable to every order where the mathematics is; what the derivatives
// of vectors mean (their sign and phase are free) and what happens at repeated values is said at each function
// and in docs/linear-algebra.md. Factorisations that solve systems are in linalg.h.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "graph/array.h"

namespace mx::linalg {

/// a (m, n) = q (m, k) · r (k, n) with k = min(m, n), orthonormal columns in q and r upper triangular with a real
/// diagonal. Differentiable where the first k columns of `a` are independent; elsewhere
/// what would be divided by a zero on the diagonal of r is left out.
std::pair<array, array> qr(const array& a);

struct Svd {
  array u, s, vh;
};
/// a (m, n) = u · diag(s) · vh, with s descending, u (m, m) and vh (n, n) unitary; or, not `full`, u (m, k) and vh (k, n).
Svd svd(const array& a, bool full = true);
/// The singular values alone, k = min(m, n) of them, descending.
array singular_values(const array& a);

/// Eigenvalues (real, ascending) and eigenvectors (columns, orthonormal) of symmetric or Hermitian matrices, of which only
/// the triangle "L" or "U" is read. The derivative is the one with respect to a Hermitian matrix: tangents are made
/// Hermitian, and cotangents are.
std::pair<array, array> eigh(const array& a, const std::string& uplo = "L");
array eigvalsh(const array& a, const std::string& uplo = "L");

/// Eigenvalues and eigenvectors (columns of unit 2-norm, largest component real) of square matrices, as complex64.
/// Derivatives are taken as 0 for a matrix whose eigenvectors are dependent.
std::pair<array, array> eig(const array& a);
array eigvals(const array& a);

/// The Moore-Penrose inverse (n, m) of a (m, n). Singular values up to 10 max(m, n) eps of the largest count as zero;
/// the derivative is that at constant rank.
array pinv(const array& a);

/// The square root of a symmetric positive semi-definite matrix.
array psd_sqrt(const array& a);
/// x with b·x + x·b = c, for symmetric positive semi-definite b. Where b is singular, x has no part.
array lyapunov(const array& b, const array& c);

/// Norms, real for complex input; half precision computes in float32. No axes: of all elements. One axis: of vectors;
/// two: of matrices. Derivatives are finite everywhere: 0 at a zero vector, shared evenly between ties.
/// The 2-norm, over any one or two axes; without axes over all.
array norm(const array& a, const std::optional<Axes>& axes = {}, bool keepdims = false);
/// By order. Vectors: any number, with 0 counting the elements that are not zero; matrices: 1, -1, 2, -2, inf, -inf.
array norm(const array& a, double ord, const std::optional<Axes>& axes = {}, bool keepdims = false);
/// Matrix norms by name: "fro" (or "f") and "nuc".
array norm(const array& a, const std::string& ord, const std::optional<Axes>& axes = {}, bool keepdims = false);

/// Cross product along `axis`, whose size is 2 (a third component of 0 is added) or 3.
array cross(const array& a, const array& b, int axis = -1);

}  // namespace mx::linalg

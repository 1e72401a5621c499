// ops_linalg.cpp — the module mx.linalg: factorisations and solvers (ops/linalg.h).

#include "bindings/bind.h"
#include "bindings/named.h"
#include "ops/linalg.h"

namespace mx::python {

namespace {

void bind_cholesky(py::module_& m) {
  def(m, "cholesky(a, upper=False, *, stream=None)", R"(Factor positive definite matrices into a triangular one times its transpose.

Of `a` the symmetric (Hermitian) part (a + aᴴ) / 2 is taken, so gradients are symmetric. A matrix that is not positive
definite gives NaNs, the others of the batch are not affected.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.
    upper (bool, optional): Return the upper factor U with Uᴴ U = a, not the lower L with L Lᴴ = a. Default: False.

Returns:
    array: The factor, shape and dtype of `a`.

Raises:
    ValueError: If `a` does not hold square matrices, or has another dtype.

Example:
    >>> mx.linalg.cholesky(mx.array([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
)",
      [](const Args& a) { return linalg::cholesky(a.arr(0), a.flag(1)); });

  def(m, "cholesky_inv(a, upper=False, *, stream=None)", R"(Invert positive definite matrices by their Cholesky factors.

Args:
    a (array): The factors, shape (..., n, n), float32, float64 or complex64. Only their triangle is read.
    upper (bool, optional): Whether the factors are upper triangular. Default: False.

Returns:
    array: The inverse of L Lᴴ (or Uᴴ U), shape and dtype of `a`.

Raises:
    ValueError: If `a` does not hold square matrices, or has another dtype.
    RuntimeError: When computed, if a factor has a zero on its diagonal.

Example:
    >>> L = mx.linalg.cholesky(mx.array([[4.0, 0.0], [0.0, 2.0]]))
    >>> mx.allclose(mx.linalg.cholesky_inv(L), mx.array([[0.25, 0.0], [0.0, 0.5]])).item()
    True
)",
      [](const Args& a) { return linalg::cholesky_inv(a.arr(0), a.flag(1)); });
}

void bind_solvers(py::module_& m) {
  def(m, "inv(a, *, stream=None)", R"(Invert square matrices.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.

Returns:
    array: The inverses, shape and dtype of `a`.

Raises:
    ValueError: If `a` does not hold square matrices, or has another dtype.
    RuntimeError: When computed, if a matrix is singular.

Example:
    >>> mx.linalg.inv(mx.array([[2.0, 1.0], [1.0, 1.0]])).tolist()
    [[1.0, -1.0], [-1.0, 2.0]]
)",
      [](const Args& a) { return linalg::inv(a.arr(0)); });

  def(m, "tri_inv(a, upper=False, *, stream=None)", R"(Invert triangular matrices.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64. Only its triangle is read.
    upper (bool, optional): Whether that is the upper one. Default: False.

Returns:
    array: The inverses, zero in the other triangle; shape and dtype of `a`.

Raises:
    ValueError: If `a` does not hold square matrices, or has another dtype.
    RuntimeError: When computed, if a matrix has a zero on its diagonal.

Example:
    >>> mx.linalg.tri_inv(mx.array([[2.0, 7.0], [1.0, 1.0]])).tolist()
    [[0.5, 0.0], [-0.5, 1.0]]
)",
      [](const Args& a) { return linalg::tri_inv(a.arr(0), a.flag(1)); });

  def(m, "solve(a, b, *, stream=None)", R"(Solve systems of linear equations a x = b.

The matrix is factored once; derivatives of every order use the same factors.

Args:
    a (array): The matrices, shape (..., n, n).
    b (array): The right-hand sides: (n,), or (..., n, k) with batch axes that broadcast with a's.

Returns:
    array: x, with the batch axes of both; (..., n) for a vector `b`. Its dtype is the common one.

Raises:
    ValueError: If the shapes do not fit, or the common dtype is not float32, float64 or complex64.
    RuntimeError: When computed, if a matrix is singular.

Example:
    >>> mx.linalg.solve(mx.array([[2.0, 0.0], [1.0, 4.0]]), mx.array([2.0, 9.0])).tolist()
    [1.0, 2.0]
)",
      [](const Args& a) {
        auto [x, b] = a.arr_pair(0, 1);
        return linalg::solve(x, b);
      });

  def(m, "solve_triangular(a, b, *, upper=False, stream=None)", R"(Solve systems of linear equations with triangular matrices.

Args:
    a (array): The matrices, shape (..., n, n). Only their triangle is read.
    b (array): The right-hand sides: (n,), or (..., n, k) with batch axes that broadcast with a's.
    upper (bool, optional): Whether that is the upper triangle. Default: False.

Returns:
    array: x, with the batch axes of both; (..., n) for a vector `b`. Its dtype is the common one.

Raises:
    ValueError: If the shapes do not fit, or the common dtype is not float32, float64 or complex64.
    RuntimeError: When computed, if a matrix has a zero on its diagonal.

Example:
    >>> mx.linalg.solve_triangular(mx.array([[2.0, 0.0], [1.0, 4.0]]), mx.array([2.0, 9.0])).tolist()
    [1.0, 2.0]
)",
      [](const Args& a) {
        auto [x, b] = a.arr_pair(0, 1);
        return linalg::solve_triangular(x, b, a.flag(2));
      });
}

void bind_lu(py::module_& m) {
  def(m, "lu(a, *, stream=None)", R"(Factor matrices into a permutation, a lower and an upper triangular matrix.

Row i of `a` is row p[i] of L @ U: `a = (L @ U)[p]`, or `L[p, :] @ U`; for batches
`mx.take_along_axis(L, p[..., None], axis=-2) @ U`.

Args:
    a (array): Shape (..., m, n), float32, float64 or complex64.

Returns:
    tuple(array, array, array): p (..., m) as uint32, L (..., m, k) with a unit diagonal and U (..., k, n), k = min(m, n).

Raises:
    ValueError: If `a` has fewer than two dimensions or another dtype.

Example:
    >>> a = mx.array([[2.0, 1.0], [4.0, 6.0]])
    >>> p, L, U = mx.linalg.lu(a)
    >>> p.tolist(), L.tolist(), U.tolist()
    ([1, 0], [[1.0, 0.0], [0.5, 1.0]], [[4.0, 6.0], [0.0, -2.0]])
)",
      [](const Args& a) { return to_tuple(linalg::lu(a.arr(0))); });

  def(m, "lu_factor(a, *, stream=None)", R"(Factor matrices into triangular ones, in compact form.

Args:
    a (array): Shape (..., m, n), float32, float64 or complex64.

Returns:
    tuple(array, array): U in the upper triangle and L, whose diagonal of ones is not stored, below it, with the shape of
    `a`; and the pivots (..., min(m, n)) as uint32: row i was exchanged with row pivots[i], in order.

Raises:
    ValueError: If `a` has fewer than two dimensions or another dtype.

Example:
    >>> factors, pivots = mx.linalg.lu_factor(mx.array([[2.0, 1.0], [4.0, 6.0]]))
    >>> factors.tolist(), pivots.tolist()
    ([[4.0, 6.0], [0.5, -2.0]], [1, 1])
)",
      [](const Args& a) {
        auto [factors, pivots] = linalg::lu_factor(a.arr(0));
        return to_tuple({factors, pivots});
      });
}

void bind_determinants(py::module_& m) {
  static NamedTuple slogdet_result(m, "SlogdetResult", {"sign", "logabsdet"});
  def(m, "det(a, *, stream=None)", R"(Compute determinants.

First and second derivatives are right for singular matrices too.

Args:
    a (array): Shape (..., n, n). Integers are converted to float32.

Returns:
    array: The determinants, shape (...).

Raises:
    ValueError: If `a` does not hold square matrices.

Example:
    >>> mx.linalg.det(mx.array([[1.0, 2.0], [4.0, 4.0]])).item()
    -4.0
)",
      [](const Args& a) { return linalg::det(a.arr(0)); });

  def(m, "slogdet(a, *, stream=None)", R"(Compute the sign and the logarithm of the absolute value of determinants.

The determinant is `sign * exp(logabsdet)`, also where that would overflow.

Args:
    a (array): Shape (..., n, n). Integers are converted to float32.

Returns:
    SlogdetResult: A named tuple of `sign`, -1, 0 or 1 (for complex matrices a number of modulus 1), and `logabsdet`, which is
    real and -inf for a singular matrix; shapes (...).

Raises:
    ValueError: If `a` does not hold square matrices.

Example:
    >>> sign, logabsdet = mx.linalg.slogdet(mx.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign.item(), logabsdet.item()
    (-1.0, 0.0)
)",
      [](const Args& a) {
        auto [sign, logabsdet] = linalg::slogdet(a.arr(0));
        return slogdet_result({sign, logabsdet});
      });
}

}  // namespace

void bind_linalg(py::module_& parent) {
  py::module_ m = parent.def_submodule("linalg", "Linear algebra.");
  bind_cholesky(m);
  bind_solvers(m);
  bind_lu(m);
  bind_determinants(m);
}

}  // namespace mx::python

// ops_linalg_spectral.cpp — mx.linalg: qr, singular values, eigenvalues, norms (ops/linalg_spectral.h).

#include "bindings/bind.h"
#include "bindings/named.h"
#include "ops/linalg_spectral.h"
#include "ops/linalg_standard.h"

namespace mx::python {

namespace {

array norm_of(const Args& a) {
  array x = a.arr(0);
  std::optional<Axes> axes = a.opt_axes(2);
  bool keepdims = a.flag(3);
  if (a.is_none(1)) return linalg::norm(x, axes, keepdims);
  if (PyUnicode_Check(a.raw(1))) return linalg::norm(x, a.str(1), axes, keepdims);
  return linalg::norm(x, a.real(1), axes, keepdims);
}

void bind_factorisations(py::module_& m) {
  static NamedTuple qr_result(m, "QRResult", {"Q", "R"}), svd_result(m, "SVDResult", {"U", "S", "Vh"});
  def(m, "qr(a, *, stream=None, mode='reduced')", R"(Factor matrices into one with orthonormal columns and an upper triangular one.

The diagonal of R is real; its signs are LAPACK's. The derivative exists where the first min(m, n) columns of `a` are
independent; elsewhere what would be divided by a zero on R's diagonal is left out.

Args:
    a (array): Shape (..., m, n), float32, float64 or complex64.
    mode (str, optional): 'reduced', or 'complete': all m columns of Q. Default: 'reduced'.

Returns:
    QRResult: A named tuple of `Q` (..., m, k) and `R` (..., k, n) with k = min(m, n), or m, so that Q @ R = a.

Raises:
    ValueError: If `a` has fewer than two dimensions or another dtype, or the mode is neither.

Example:
    >>> q, r = mx.linalg.qr(mx.array([[2.0, 3.0], [1.0, 2.0]]))
    >>> mx.allclose(q @ r, mx.array([[2.0, 3.0], [1.0, 2.0]]), atol=1e-5).item()
    True
    >>> r[1, 0].item()
    0.0
)",
      [](const Args& a) {
        std::string mode = a.str(2);
        if (mode != "reduced" && mode != "complete") throw ValueError(cat("[linalg.qr] mode is '", mode, "'; need 'reduced' or 'complete'."));
        auto [q, r] = mode == "complete" ? linalg::qr_complete(a.arr(0)) : linalg::qr(a.arr(0));
        return qr_result({q, r});
      });

  def(m, "svd(a, compute_uv=True, *, stream=None, full_matrices=True)", R"(Find the singular value decomposition a = U @ diag(S) @ Vt of matrices.

Signs (phases, if complex) of the vectors are free, so only functions that do not depend on them have meaningful derivatives.
Where singular values are equal or zero, the part of a derivative that would be divided by their difference or by them
is left out. Derivatives of S alone are exact there too.

Args:
    a (array): Shape (..., m, n), float32, float64 or complex64.
    compute_uv (bool, optional): If False, return only S. Default: True.
    full_matrices (bool, optional): If False, return only k = min(m, n) columns of U and rows of Vt. Default: True.

Returns:
    SVDResult or array: A named tuple of `U` (..., m, m), `S` (..., k) descending with k = min(m, n), and Vt, called
    `Vh`, (..., n, n); or S alone.

Raises:
    ValueError: If `a` has fewer than two dimensions or another dtype.

Example:
    >>> a = mx.array([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    >>> u, s, vt = mx.linalg.svd(a)
    >>> u.shape, vt.shape
    ((3, 3), (2, 2))
    >>> mx.round(mx.linalg.svd(a, compute_uv=False), 3).tolist()
    [5.0, 2.0]
)",
      [](const Args& a) -> py::object {
        if (!a.flag(1)) return py::reinterpret_steal<py::object>(to_python(linalg::singular_values(a.arr(0))));
        auto [u, s, vh] = linalg::svd(a.arr(0), a.flag(3));
        return svd_result({u, s, vh});
      });

  def(m, "pinv(a, *, stream=None, rtol=None)", R"(Find the Moore-Penrose inverse of matrices.

Singular values up to 10 max(m, n) eps of the largest one count as zero. The derivative is that at constant rank.

Args:
    a (array): Shape (..., m, n), float32, float64 or complex64.
    rtol (float or array, optional): Another multiple of the largest one, for which derivatives are those of `svd`; an
        array has shape (...).

Returns:
    array: Shape (..., n, m).

Raises:
    ValueError: If `a` has fewer than two dimensions or another dtype.

Example:
    >>> mx.round(mx.linalg.pinv(mx.array([[2.0, 0.0], [0.0, 0.0]])), 3).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
)",
      [](const Args& a) { return a.is_none(2) ? linalg::pinv(a.arr(0)) : linalg::pinv(a.arr(0), a.arr(2)); });
}

void bind_eigenvalues(py::module_& m) {
  static NamedTuple eigh_result(m, "EighResult", {"eigenvalues", "eigenvectors"}), eig_result(m, "EigResult", {"eigenvalues", "eigenvectors"});
  def(m, "eigh(a, UPLO='L', *, stream=None)", R"(Find eigenvalues and eigenvectors of real symmetric or complex Hermitian matrices.

One triangle is read; that the matrix is symmetric is not checked. Derivatives are with respect to a symmetric (Hermitian)
matrix: a gradient is symmetric. Where eigenvalues are equal, the part of the vectors' derivative that would be
divided by their difference is left out.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.
    UPLO (str, optional): The triangle that is read: 'L' or 'U'. Default: 'L'.

Returns:
    EighResult: A named tuple of `eigenvalues` (..., n), ascending and real, and `eigenvectors` (..., n, n): column i
    belongs to value i.

Raises:
    ValueError: If the matrices are not square, the dtype is another, or `UPLO` is neither.

Example:
    >>> w, v = mx.linalg.eigh(mx.array([[1.0, -2.0], [-2.0, 1.0]]))
    >>> mx.round(w, 3).tolist()
    [-1.0, 3.0]
)",
      [](const Args& a) {
        auto [w, v] = linalg::eigh(a.arr(0), a.str(1));
        return eigh_result({w, v});
      });

  def(m, "eigvalsh(a, UPLO='L', *, stream=None)", R"(Find the eigenvalues of real symmetric or complex Hermitian matrices.

As `eigh`, but faster, and with derivatives that are exact for equal eigenvalues too.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.
    UPLO (str, optional): The triangle that is read: 'L' or 'U'. Default: 'L'.

Returns:
    array: Eigenvalues (..., n), ascending and real.

Raises:
    ValueError: If the matrices are not square, the dtype is another, or `UPLO` is neither.

Example:
    >>> mx.round(mx.linalg.eigvalsh(mx.array([[1.0, -2.0], [-2.0, 1.0]])), 3).tolist()
    [-1.0, 3.0]
)",
      [](const Args& a) { return linalg::eigvalsh(a.arr(0), a.str(1)); });

  def(m, "eig(a, *, stream=None)", R"(Find eigenvalues and eigenvectors of square matrices.

The results are complex even if all eigenvalues are real. Vectors have 2-norm 1 and a real largest component, and
their derivatives keep that. For a matrix whose eigenvectors are dependent all derivatives are taken as 0.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.

Returns:
    EigResult: A named tuple of `eigenvalues` (..., n), not ordered, and `eigenvectors` (..., n, n), both complex64:
    column i belongs to value i.

Raises:
    ValueError: If the matrices are not square or the dtype is another.

Example:
    >>> w, v = mx.linalg.eig(mx.array([[0.0, 1.0], [-1.0, 0.0]]))
    >>> sorted(mx.round(w.imag, 3).tolist())
    [-1.0, 1.0]
)",
      [](const Args& a) {
        auto [w, v] = linalg::eig(a.arr(0));
        return eig_result({w, v});
      });

  def(m, "eigvals(a, *, stream=None)", R"(Find the eigenvalues of square matrices.

The result is complex even if all eigenvalues are real.

Args:
    a (array): Shape (..., n, n), float32, float64 or complex64.

Returns:
    array: Eigenvalues (..., n), not ordered, complex64.

Raises:
    ValueError: If the matrices are not square or the dtype is another.

Example:
    >>> w = mx.linalg.eigvals(mx.array([[0.0, 1.0], [-1.0, 0.0]]))
    >>> sorted(mx.round(w.imag, 3).tolist())
    [-1.0, 1.0]
)",
      [](const Args& a) { return linalg::eigvals(a.arr(0)); });
}

}  // namespace

void bind_linalg_spectral(py::module_& parent) {
  auto m = py::reinterpret_borrow<py::module_>(parent.attr("linalg"));
  bind_factorisations(m);
  bind_eigenvalues(m);

  def(m, "norm(a, /, ord=None, axis=None, keepdims=False, *, stream=None)", R"(Compute norms of vectors or matrices.

    ord     of vectors              of matrices
    None    2-norm                  Frobenius norm
    'fro'                           Frobenius norm
    'nuc'                           sum of singular values
    inf     max(abs(x))             largest sum of abs(x) over a row
    -inf    min(abs(x))             smallest sum of abs(x) over a row
    0       sum(x != 0)
    1       sum(abs(x))             largest sum of abs(x) over a column
    -1      as below                smallest sum of abs(x) over a column
    2       2-norm                  largest singular value
    -2      as below                smallest singular value
    p       sum(abs(x)**p)**(1/p)

Derivatives are finite everywhere: that of the 2-norm at zero is 0, and ties share evenly.

Args:
    a (array): Any shape; integers are taken as float32.
    ord (int, float or str, optional): The order of the norm. Default: None.
    axis (int or list of int, optional): One axis for norms of vectors, two (rows, columns) for norms of matrices. Without it,
        all elements are taken together if `ord` is None too; otherwise `a` must be a vector or a matrix. Default: None.
    keepdims (bool, optional): Leave reduced axes with size 1. Default: False.

Returns:
    array: The norms, real even for complex `a`.

Raises:
    ValueError: If the number of axes or the order do not fit, or an axis is out of range or repeated.

Example:
    >>> x = mx.array([[3.0, -4.0], [0.0, 12.0]])
    >>> mx.linalg.norm(x).item()
    13.0
    >>> mx.linalg.norm(x, ord=1, axis=1).tolist()
    [7.0, 12.0]
    >>> mx.linalg.norm(x, ord='fro', axis=[0, 1], keepdims=True).tolist()
    [[13.0]]
)",
      norm_of);

  def(m, "cross(a, b, axis=-1, *, stream=None)", R"(Compute cross products of vectors along an axis.

Args:
    a (array): Size 2 or 3 along the axis; with size 2 the third component is taken as 0.
    b (array): The same; broadcast with `a`.
    axis (int, optional): The axis that holds the components. Default: -1.

Returns:
    array: The products, of size 3 along the axis.

Raises:
    ValueError: If the size of the axis is neither 2 nor 3, or the axis is out of range.

Example:
    >>> mx.linalg.cross(mx.array([1.0, 0.0, 0.0]), mx.array([0.0, 1.0, 0.0])).tolist()
    [0.0, 0.0, 1.0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return linalg::cross(x, y, a.small(2));
      });

  parent.attr("matrix_norm") = m.attr("norm");
}

}  // namespace mx::python

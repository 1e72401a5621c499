// ops_standard.cpp — functions of the array API standard's extensions `linalg` and `fft` that MLX has not: under these
// names only the standard has them. Those that MLX has too are in ops_linalg*.cpp and ops_fft*.cpp.

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/fft.h"
#include "ops/linalg_standard.h"
#include "ops/movement.h"
#include "ops/reduce.h"

namespace mx::python {

void bind_standard(py::module_& parent);

namespace {

void bind_standard_norms(py::module_& m) {
  def(m, "vector_norm(x, /, *, axis=None, keepdims=False, ord=2, stream=None)", R"(Compute norms of vectors.

Args:
    x (array): Any shape; floating or complex.
    axis (int or sequence of int, optional): The axes whose elements are one vector. Default: all.
    keepdims (bool, optional): Leave these axes in place with size 1. Default: False.
    ord (float, optional): The order, any number: inf and -inf are the largest and smallest abs(x), 0 counts the
        elements that are not zero. Default: 2.

Returns:
    array: Real, the shape of `x` without the axes.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
    >>> mx.linalg.vector_norm(mx.array([[3.0, 4.0], [0.0, 12.0]])).item()
    13.0
)",
      [](const Args& a) { return linalg::vector_norm(a.arr(0), a.axes(1, a.arr(0).ndim()), a.real(3), a.flag(2)); });

  def(m, "matrix_norm(x, /, *, keepdims=False, ord='fro', stream=None)", R"(Compute norms of matrices.

Args:
    x (array): Shape (..., m, n).
    keepdims (bool, optional): Leave the last two axes in place with size 1. Default: False.
    ord (str or float, optional): 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, as for `norm`. Default: 'fro'.

Returns:
    array: Real, shape (...).

Raises:
    ValueError: If `x` has fewer than two dimensions or the order is unknown.

Example:
    >>> mx.linalg.matrix_norm(mx.array([[3.0, 0.0], [0.0, 4.0]])).item()
    5.0
)",
      [](const Args& a) {
        array x = a.arr(0);
        if (x.ndim() < 2) throw ValueError(cat("[linalg.matrix_norm] x has shape ", x.shape(), "; need at least two dimensions."));
        Axes last{-2, -1};
        if (a.is_none(2)) return linalg::norm(x, last, a.flag(1));
        if (PyUnicode_Check(a.raw(2))) return linalg::norm(x, a.str(2), last, a.flag(1));
        return linalg::norm(x, a.real(2), last, a.flag(1));
      });
}

void bind_standard_matrices(py::module_& m) {
  def(m, "diagonal(x, /, *, offset=0, stream=None)", R"(Take a diagonal of matrices.

Args:
    x (array): Shape (..., m, n).
    offset (int, optional): Which one; positive above, negative below the main one. Default: 0.

Returns:
    array: Shape (..., k). A view.

Raises:
    ValueError: If `x` has fewer than two dimensions.

Example:
    >>> mx.linalg.diagonal(mx.array([[1, 2], [3, 4]])).tolist()
    [1, 4]
)",
      [](const Args& a) { return diagonal(a.arr(0), a.integer(1), -2, -1); });

  def(m, "trace(x, /, *, offset=0, dtype=None, stream=None)", R"(Sum a diagonal of matrices.

Args:
    x (array): Shape (..., m, n).
    offset (int, optional): Which one; positive above, negative below the main one. Default: 0.
    dtype (Dtype, optional): The dtype of the sum. Default: as for ``sum``.

Returns:
    array: Shape (...).

Raises:
    ValueError: If `x` has fewer than two dimensions.

Example:
    >>> mx.linalg.trace(mx.array([[1, 2], [3, 4]])).item()
    5
)",
      [](const Args& a) {
        array d = diagonal(a.arr(0), a.integer(1), -2, -1);
        if (a.is_none(2)) return sum(d, -1);
        Dtype t = a.dtype(2);
        return astype(sum(astype(d, t), -1), t);
      });

  def(m, "matrix_power(x, n, /, *, stream=None)", R"(Multiply square matrices by themselves.

Args:
    x (array): Shape (..., k, k).
    n (int): How often. 0 gives identity matrices, a negative number powers of the inverse.

Returns:
    array: Shape of `x`.

Raises:
    ValueError: If the matrices are not square.
    RuntimeError: When computed, if `n` is negative and a matrix is singular.

Example:
    >>> mx.linalg.matrix_power(mx.array([[1.0, 1.0], [0.0, 1.0]]), 5).tolist()
    [[1.0, 5.0], [0.0, 1.0]]
)",
      [](const Args& a) { return linalg::matrix_power(a.arr(0), a.integer(1)); });

  def(m, "matrix_rank(x, /, *, rtol=None, stream=None)", R"(Find the rank of matrices: how many singular values are not zero.

Args:
    x (array): Shape (..., m, n).
    rtol (float or array, optional): Singular values up to this multiple of the largest one count as zero; an array has
        shape (...). Default: max(m, n) times the ``eps`` of the dtype.

Returns:
    array: int32, shape (...).

Raises:
    ValueError: If `x` has fewer than two dimensions.

Example:
    >>> mx.linalg.matrix_rank(mx.array([[1.0, 2.0], [2.0, 4.0]])).item()
    1
)",
      [](const Args& a) {
        array x = a.arr(0);
        return linalg::matrix_rank(x, a.opt_arr(1).value_or(array()));
      });

  def(m, "svdvals(x, /, *, stream=None)", R"(Find the singular values of matrices.

Args:
    x (array): Shape (..., m, n), float32, float64 or complex64.

Returns:
    array: Shape (..., min(m, n)), real and descending.

Raises:
    ValueError: If `x` has fewer than two dimensions or another dtype.

Example:
    >>> mx.round(mx.linalg.svdvals(mx.array([[3.0, 0.0], [0.0, 5.0]])), 3).tolist()
    [5.0, 3.0]
)",
      [](const Args& a) { return linalg::singular_values(a.arr(0)); });
}

// The norm of the opposite direction: what the forward transform divides by, the inverse must not.
fft::Norm opposite(fft::Norm n) {
  return n == fft::Norm::backward ? fft::Norm::forward : n == fft::Norm::forward ? fft::Norm::backward : n;
}

void bind_standard_fft(py::module_& m) {
  def(m, "hfft(a, n=None, axis=-1, norm='backward', *, stream=None)", R"(Transform a signal with Hermitian symmetry, of which half is given: its spectrum is real.

Args:
    a (array): The first half, `n // 2 + 1` elements along the axis: it is cut or filled up with zeros.
    n (int, optional): Size of the result. Default: `2 * (m - 1)` for m elements.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): "backward", "ortho" or "forward", as for `fft`. Default: "backward".

Returns:
    array: float32, size `n` along the axis.

Raises:
    ValueError: If the axis is out of range, `n` is not positive, or the norm is unknown.

Example:
    >>> mx.fft.hfft(mx.array([1.0, 2.0, 3.0])).tolist()
    [8.0, -2.0, 0.0, -2.0]
)",
      [](const Args& a) {
        auto norm = opposite(fft::parse_norm(a.str(3), "hfft"));
        return fft::irfft(conjugate(a.arr(0)), a.opt_integer(1), a.small(2), norm);
      });

  def(m, "ihfft(a, n=None, axis=-1, norm='backward', *, stream=None)", R"(Transform a real spectrum back to half of a signal with Hermitian symmetry: the inverse of hfft.

Args:
    a (array): Any shape but a scalar. Of complex numbers the imaginary part is dropped.
    n (int, optional): Size: the input is cut or filled up with zeros at the end. Default: that of `a`.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): "backward", "ortho" or "forward", as for `fft`. Default: "backward".

Returns:
    array: complex64, size `n // 2 + 1` along the axis.

Raises:
    ValueError: If the axis is out of range, `n` is not positive, or the norm is unknown.

Example:
    >>> mx.fft.ihfft(mx.array([8.0, -2.0, 0.0, -2.0])).real.tolist()
    [1.0, 2.0, 3.0]
)",
      [](const Args& a) {
        auto norm = opposite(fft::parse_norm(a.str(3), "ihfft"));
        return conjugate(fft::rfft(a.arr(0), a.opt_integer(1), a.small(2), norm));
      });
}

}  // namespace

void bind_standard(py::module_& parent) {
  auto linalg = py::reinterpret_borrow<py::module_>(parent.attr("linalg"));
  auto fft = py::reinterpret_borrow<py::module_>(parent.attr("fft"));
  bind_standard_norms(linalg);
  bind_standard_matrices(linalg);
  for (const char* name : {"matmul", "matrix_transpose", "outer", "tensordot", "vecdot"}) linalg.attr(name) = parent.attr(name);
  bind_standard_fft(fft);
}

}  // namespace mx::python

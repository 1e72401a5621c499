// ops_create.cpp — Python functions that make arrays: constants, ranges, matrices, windows (ops/create.h).
// What is here beyond conversion: arange's kinds of call, and numbers that are made in the dtype asked for.

#include <complex>

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/movement.h"

namespace mx::python {

namespace {

Dtype dtype_or(const Args& a, int i, Dtype otherwise) { return a.is_none(i) ? otherwise : a.dtype(i); }

// A Python number becomes an array of `t` at once, so that full(shape, 0.1, float64) has all its digits.
array value_as(const Args& a, int i, Dtype t) {
  return is_python_number(a.raw(i)) ? to_array(a.raw(i), t) : astype(a.arr(i), t);
}

bool is_complex_number(PyObject* o) {
  return PyComplex_Check(o) || (is_array(o) && is_complex(get_array(o).dtype()));
}

// Re and im, float32 of one shape, side by side in memory.
array complex_of(const array& re, const array& im) {
  return squeeze(view(stack({re, im}, -1), Dtype::complex64), Axes{-1});
}

bool is_whole(PyObject* o) {
  if (is_array(o)) return is_integer(get_array(o).dtype());
  return !PyFloat_Check(o) && PyIndex_Check(o);
}

array arange_of(const Args& a) {
  // arange(stop), arange(stop, step=...): one bound is the end.
  bool one = a.is_none(1);
  int from = one ? -1 : 0, to = one ? 0 : 1;
  if (one && a.is_none(0)) throw py::type_error("[arange] no bounds were given; need arange(stop) or arange(start, stop).");
  if (from == 0 && a.is_none(0)) from = -1;
  bool whole = true;
  for (int i : {from, to, 2}) {
    if (i < 0 || a.is_none(i)) continue;
    if (PyBool_Check(a.raw(i))) throw DtypeError("[arange] a bool was given; need numbers.");
    whole &= is_whole(a.raw(i));
  }
  auto t = a.opt_dtype(3);
  if (whole) {
    int64_t start = from < 0 ? 0 : a.integer(from), stop = a.integer(to), step = a.is_none(2) ? 1 : a.integer(2);
    return t ? arange_int(start, stop, step, *t) : arange_int(start, stop, step);
  }
  double start = from < 0 ? 0.0 : a.real(from), stop = a.real(to), step = a.is_none(2) ? 1.0 : a.real(2);
  return arange(start, stop, step, t.value_or(Dtype::float32));
}

std::complex<double> number_of(const Args& a, int i) {
  PyObject* o = a.raw(i);
  if (!is_complex_number(o)) return a.real(i);
  Py_complex z = PyComplex_AsCComplex(o);
  if (PyErr_Occurred()) rethrow();
  return {z.real, z.imag};
}

array linspace_of(const Args& a) {
  int64_t num = a.integer(2);
  bool endpoint = a.flag(3);
  // Given by name as None, the dtype is found from the bounds.
  if (!is_complex_number(a.raw(0)) && !is_complex_number(a.raw(1))) {
    return linspace(a.real(0), a.real(1), num, endpoint, dtype_or(a, 4, Dtype::float32));
  }
  auto start = number_of(a, 0), stop = number_of(a, 1);
  Dtype t = a.given(4) && !a.is_none(4) ? a.dtype(4) : Dtype::complex64;
  if (!is_complex(t)) throw DtypeError(cat("[linspace] a bound is complex and dtype is ", t, "; need complex64."));
  return complex_of(linspace(start.real(), stop.real(), num, endpoint), linspace(start.imag(), stop.imag(), num, endpoint));
}

}  // namespace

void bind_create(py::module_& m) {
  def(m, "full(shape, vals|fill_value, dtype=None, *, stream=None, device=None)", R"(Make an array filled with a value.

Args:
    shape (int or sequence of int): The shape of the result.
    vals (number or array): The value, also called ``fill_value``, of any shape that broadcasts to `shape`. Gradients reach it.
    dtype (Dtype, optional): Default: the dtype of `vals`.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `shape`. It takes no memory until an operation copies it.

Raises:
    ValueError: If a size is negative or `vals` does not broadcast to `shape`.

Example:
    >>> mx.full((2, 2), 7).tolist()
    [[7, 7], [7, 7]]
)",
      [](const Args& a) {
        if (auto t = a.opt_dtype(2)) return full(a.shape(0), value_as(a, 1, *t));
        return full(a.shape(0), a.arr(1));
      });

  def(m, "zeros(shape, dtype=float32, *, stream=None, device=None)", R"(Make an array of zeros.

Args:
    shape (int or sequence of int): The shape of the result.
    dtype (Dtype, optional): Default: float32.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `shape`. It takes no memory until an operation copies it.

Raises:
    ValueError: If a size is negative.

Example:
    >>> mx.zeros((2, 3)).shape
    (2, 3)
)",
      [](const Args& a) { return zeros(a.shape(0), dtype_or(a, 1, Dtype::float32)); });
  alias(m, "empty", "zeros");

  def(m, "ones(shape, dtype=float32, *, stream=None, device=None)", R"(Make an array of ones.

Args:
    shape (int or sequence of int): The shape of the result.
    dtype (Dtype, optional): Default: float32.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `shape`. It takes no memory until an operation copies it.

Raises:
    ValueError: If a size is negative.

Example:
    >>> mx.ones(3, mx.int32).tolist()
    [1, 1, 1]
)",
      [](const Args& a) { return ones(a.shape(0), dtype_or(a, 1, Dtype::float32)); });

  def(m, "full_like(a, vals|fill_value, dtype=None, *, stream=None, device=None)", R"(Make an array filled with a value, with the shape of another.

Args:
    a (array): Gives the shape.
    vals (number or array): The value, also called ``fill_value``, of any shape that broadcasts to `a.shape`. Gradients reach it.
    dtype (Dtype, optional): Default: the dtype of `a`.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `a.shape`.

Raises:
    ValueError: If `vals` does not broadcast to `a.shape`.

Example:
    >>> mx.full_like(mx.zeros((2,)), 3).tolist()
    [3.0, 3.0]
)",
      [](const Args& a) {
        array like = a.arr(0);
        Dtype t = dtype_or(a, 2, like.dtype());
        return full_like(like, value_as(a, 1, t), t);
      });

  def(m, "zeros_like(a, /, dtype=None, *, stream=None, device=None)", R"(Make an array of zeros with the shape of another.

Args:
    a (array): Gives the shape.
    dtype (Dtype, optional): Default: the dtype of `a`.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `a.shape`.

Example:
    >>> mx.zeros_like(mx.array([1, 2])).tolist()
    [0, 0]
)",
      [](const Args& a) {
        array like = a.arr(0);
        return zeros_like(like, dtype_or(a, 1, like.dtype()));
      });
  alias(m, "empty_like", "zeros_like");

  def(m, "ones_like(a, /, dtype=None, *, stream=None, device=None)", R"(Make an array of ones with the shape of another.

Args:
    a (array): Gives the shape.
    dtype (Dtype, optional): Default: the dtype of `a`.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape `a.shape`.

Example:
    >>> mx.ones_like(mx.array([3, 4])).tolist()
    [1, 1]
)",
      [](const Args& a) {
        array like = a.arr(0);
        return ones_like(like, dtype_or(a, 1, like.dtype()));
      });

  def(m, "arange(start=None, stop=None, step=None, dtype=None, *, stream=None, device=None)", R"(Make evenly spaced numbers in a half-open interval.

Called as ``arange(stop)``, ``arange(start, stop)`` or ``arange(start, stop, step)``.

Args:
    start (number, optional): The first number. Default: 0.
    stop (number): The end, itself excluded.
    step (number, optional): Distance between numbers; may be negative. Default: 1.
    dtype (Dtype, optional): Default: float32 if any argument is a float, else int32, or int64 if int32 does not hold them.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape (n,). Floats are computed in float64 as ``start + i * step`` and rounded once.

Raises:
    ValueError: If `step` is 0, a number is not finite, or the dtype is bool.

Example:
    >>> mx.arange(1, 10, 3).tolist()
    [1, 4, 7]
)",
      arange_of);

  def(m, "linspace(start, stop, num=50, endpoint=True, dtype=float32, stream=None, *, device=None)", R"(Make evenly spaced numbers between two bounds.

Args:
    start (number): The first number; may be complex.
    stop (number): The last number, or the one after the last if not `endpoint`.
    num (int, optional): How many. Default: 50.
    endpoint (bool, optional): Include `stop`. Default: True.
    dtype (Dtype, optional): Default: float32, or complex64 if a bound is complex.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape (num,). Computed in float64 and rounded once; truncated for integer dtypes.

Raises:
    ValueError: If `num` is negative.

Example:
    >>> mx.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
)",
      linspace_of);

  def(m, "eye(n, m=None, k=0, dtype=float32, *, stream=None, device=None)", R"(Make a matrix with ones on a diagonal.

Args:
    n (int): Number of rows.
    m (int, optional): Number of columns. Default: n.
    k (int, optional): The diagonal; positive above, negative below the main one. Default: 0.
    dtype (Dtype, optional): Default: float32.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape (n, m).

Raises:
    ValueError: If `n` or `m` is negative.

Example:
    >>> mx.eye(2, 3, k=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
)",
      [](const Args& a) {
        int64_t n = a.integer(0);
        return eye(n, a.opt_integer(1).value_or(n), a.integer(2), dtype_or(a, 3, Dtype::float32));
      });

  def(m, "identity(n, dtype=float32, *, stream=None)", R"(Make the identity matrix.

Args:
    n (int): Number of rows and columns.
    dtype (Dtype, optional): Default: float32.

Returns:
    array: Shape (n, n).

Raises:
    ValueError: If `n` is negative.

Example:
    >>> mx.identity(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
)",
      [](const Args& a) { return identity(a.integer(0), dtype_or(a, 1, Dtype::float32)); });

  def(m, "tri(n, m=None, k=0, dtype=None, *, stream=None)", R"(Make a matrix with ones on and below a diagonal.

Args:
    n (int): Number of rows.
    m (int, optional): Number of columns. Default: n.
    k (int, optional): The diagonal; positive above, negative below the main one. Default: 0.
    dtype (Dtype, optional): Default: float32.

Returns:
    array: Shape (n, m).

Raises:
    ValueError: If `n` or `m` is negative.

Example:
    >>> mx.tri(2, 3).tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
)",
      [](const Args& a) {
        int64_t n = a.integer(0);
        return tri(n, a.opt_integer(1).value_or(n), a.integer(2), dtype_or(a, 3, Dtype::float32));
      });

  def(m, "tril(x, k=0, *, stream=None)", R"(Set what lies above a diagonal to zero.

Args:
    x (array): Shape (..., n, m).
    k (int, optional): The diagonal up to which elements are kept. Default: 0.

Returns:
    array: Shape and dtype of `x`.

Raises:
    ValueError: If `x` has fewer than two dimensions.

Example:
    >>> mx.tril(mx.array([[1, 2], [3, 4]])).tolist()
    [[1, 0], [3, 4]]
)",
      [](const Args& a) { return tril(a.arr(0), a.integer(1)); });

  def(m, "triu(x, k=0, *, stream=None)", R"(Set what lies below a diagonal to zero.

Args:
    x (array): Shape (..., n, m).
    k (int, optional): The diagonal from which elements are kept. Default: 0.

Returns:
    array: Shape and dtype of `x`.

Raises:
    ValueError: If `x` has fewer than two dimensions.

Example:
    >>> mx.triu(mx.array([[1, 2], [3, 4]])).tolist()
    [[1, 2], [0, 4]]
)",
      [](const Args& a) { return triu(a.arr(0), a.integer(1)); });

  def(m, "hanning(M, *, stream=None)", R"(Make the Hanning window, 0.5 - 0.5 cos(2 pi i / (M - 1)).

Args:
    M (int): Number of points. Less than 1 gives an empty window.

Returns:
    array: Shape (M,), float32.

Example:
    >>> mx.hanning(3).tolist()
    [0.0, 1.0, 0.0]
)",
      [](const Args& a) { return hanning(a.integer(0)); });

  def(m, "hamming(M, *, stream=None)", R"(Make the Hamming window, 0.54 - 0.46 cos(2 pi i / (M - 1)).

Args:
    M (int): Number of points. Less than 1 gives an empty window.

Returns:
    array: Shape (M,), float32.

Example:
    >>> mx.hamming(3).shape
    (3,)
)",
      [](const Args& a) { return hamming(a.integer(0)); });

  def(m, "blackman(M, *, stream=None)", R"(Make the Blackman window, 0.42 - 0.5 cos(2 pi i / (M - 1)) + 0.08 cos(4 pi i / (M - 1)).

Args:
    M (int): Number of points. Less than 1 gives an empty window.

Returns:
    array: Shape (M,), float32.

Example:
    >>> mx.blackman(3).tolist()
    [0.0, 1.0, 0.0]
)",
      [](const Args& a) { return blackman(a.integer(0)); });

  def(m, "bartlett(M, *, stream=None)", R"(Make the Bartlett window, a triangle: 1 - |2 i / (M - 1) - 1|.

Args:
    M (int): Number of points. Less than 1 gives an empty window.

Returns:
    array: Shape (M,), float32.

Example:
    >>> mx.bartlett(5).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
)",
      [](const Args& a) { return bartlett(a.integer(0)); });
}

}  // namespace mx::python

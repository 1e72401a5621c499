// ops_matmul.cpp — Python functions that multiply and contract arrays (ops/matmul.h).

#include <pybind11/stl.h>

#include "bindings/bind.h"
#include "ops/matmul.h"

namespace mx::python {

namespace {

array tensordot_of(const Args& a) {
  auto [x, y] = a.arr_pair(0, 1);
  PyObject* axes = a.raw(2);
  if (!PyList_Check(axes) && !PyTuple_Check(axes)) return tensordot(x, y, a.small(2));
  auto pair = py::reinterpret_borrow<py::sequence>(axes);
  if (pair.size() != 2) {
    throw ValueError(cat("[tensordot] axes has ", pair.size(), " entries; need an integer, or one list of axes for a and one for b."));
  }
  return tensordot(x, y, to_axes(py::object(pair[0]).ptr(), a.what(2)), to_axes(py::object(pair[1]).ptr(), a.what(2)));
}

py::object einsum_path_of(const Args& a) {
  auto [path, summary] = einsum_path(a.str(0), a.arrays(1));
  py::list steps;
  for (const std::vector<int>& step : path) steps.append(py::tuple(py::cast(step)));
  return py::make_tuple(steps, summary);
}

}  // namespace

void bind_matmul(py::module_& m) {
  def(m, "matmul(a, b, /, *, stream=None)", R"(Multiply matrices, as `a @ b` does.

The last two axes are matrices, axes before them a batch, which broadcasts. A vector is a row on the left, a column on
the right, and that axis is not in the result.

Args:
    a (array): Shape (..., m, k) or (k,), any dtype but bool.
    b (array): Shape (..., k, n) or (k,), any dtype but bool.

Returns:
    array: Shape (..., m, n), in the promoted dtype. float16 and bfloat16 are summed in float32; integers wrap.

Raises:
    ValueError: If the inner dimensions differ, the batches do not broadcast, or an operand is a scalar.
    DtypeError: If both are bool.

Example:
    >>> (mx.array([[1.0, 2.0], [3.0, 4.0]]) @ mx.array([1.0, 1.0])).tolist()
    [3.0, 7.0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return matmul(x, y);
      });

  def(m, "addmm(c, a, b, /, alpha=1.0, beta=1.0, *, stream=None)", R"(Multiply matrices and add: `alpha * (a @ b) + beta * c` in one pass.

Args:
    c (array): A shape that broadcasts to that of `a @ b`.
    a (array): Shape (..., m, k) or (k,), floating or complex.
    b (array): Shape (..., k, n) or (k,), floating or complex.
    alpha (float): Factor of the product.
    beta (float): Factor of `c`.

Returns:
    array: The shape of `a @ b`, in the promoted dtype, rounded once.

Raises:
    ValueError: If the shapes do not fit.
    DtypeError: If all are integers.

Example:
    >>> mx.addmm(mx.array([1.0]), mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]), beta=10.0).tolist()
    [[21.0]]
)",
      [](const Args& a) { return addmm(a.arr(0), a.arr(1), a.arr(2), a.real(3), a.real(4)); });

  def(m, "inner(a, b, /, *, stream=None)", R"(Sum the products over the last axis of both arrays.

Args:
    a (array): Shape (..., k), or a scalar.
    b (array): Shape (***, k), or a scalar.

Returns:
    array: Shape (..., ***); the plain product if one is a scalar.

Raises:
    ValueError: If the last axes differ in size.

Example:
    >>> mx.inner(mx.array([1.0, 2.0]), mx.array([3.0, 4.0])).item()
    11.0
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return inner(x, y);
      });

  def(m, "outer(a, b, /, *, stream=None)", R"(Multiply every element of one array by every element of the other.

Args:
    a (array): Any shape; taken as flat.
    b (array): Any shape; taken as flat.

Returns:
    array: Shape (a.size, b.size).

Example:
    >>> mx.outer(mx.array([1, 2]), mx.array([3, 4])).tolist()
    [[3, 4], [6, 8]]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return outer(x, y);
      });

  def(m, "vecdot(a, b, /, *, axis=-1, stream=None)", R"(Sum `conjugate(a) * b` over one axis; the others broadcast.

Args:
    a (array): Any shape.
    b (array): The same size along `axis`; the other axes broadcast with those of `a`.
    axis (int): The axis of the broadcast shape to sum over.

Returns:
    array: The broadcast shape without `axis`.

Raises:
    ValueError: If the sizes along the axis differ.

Example:
    >>> mx.vecdot(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([1.0, 1.0])).tolist()
    [3.0, 7.0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return vecdot(x, y, a.small(2));
      });

  def(m, "tensordot(a, b, /, axes=2, *, stream=None)", R"(Sum products over several axes at once.

Args:
    a (array): Any shape.
    b (array): Any shape.
    axes (int or list of two lists): A number n: the last n axes of `a` with the first n of `b`. Or the axes of `a` and,
        in the same order, the axes of `b` that they go with.

Returns:
    array: The axes of `a` and then those of `b` that were not summed.

Raises:
    ValueError: If the axes do not pair up, or paired axes differ in size.

Example:
    >>> mx.tensordot(mx.ones((2, 3, 4)), mx.ones((4, 3)), axes=[[1, 2], [1, 0]]).tolist()
    [12.0, 12.0]
)",
      tensordot_of);

  def(m, "kron(a, b, *, stream=None)", R"(Take the Kronecker product: `b` once for each element of `a`, scaled by it.

Args:
    a (array): Any shape.
    b (array): Any shape; the one with fewer axes gets axes of size 1 in front.

Returns:
    array: The sizes of both multiplied, axis by axis.

Example:
    >>> mx.kron(mx.array([1, 2]), mx.array([1, 1])).tolist()
    [1, 1, 2, 2]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return kron(x, y);
      });

  def(m, "einsum(subscripts, *operands, stream=None)", R"(Sum products of arrays, with indices named by letters.

Each operand has a term of letters, one for each axis; "..." stands for axes without a name, which broadcast. Indices that
are not in the output are summed. Without "->" the output has "..." and then all letters that occur once, in
alphabetical order. More than two operands are contracted in pairs, in the order that einsum_path shows.

Args:
    subscripts (str): For instance "ij,jk->ik".
    *operands (array): One for each term.

Returns:
    array: The axes of the output term.

Raises:
    ValueError: If the subscripts are malformed or do not fit the operands.

Example:
    >>> mx.einsum("ij,j->i", mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([1.0, 1.0])).tolist()
    [3.0, 7.0]
)",
      [](const Args& a) { return einsum(a.str(0), a.arrays(1)); });

  def(m, "einsum_path(subscripts, *operands)", R"(Show in which order einsum contracts its operands.

Args:
    subscripts (str): For instance "ij,jk,kl->il".
    *operands (array): One for each term; only shapes matter.

Returns:
    tuple(list(tuple(int, int)), str): For each step the positions of the two operands taken from the list, their result
    going to its end; and a summary of the cost.

Example:
    >>> mx.einsum_path("ij,jk,kl->il", mx.ones((2, 3)), mx.ones((3, 5)), mx.ones((5, 6)))[0]
    [(1, 2), (0, 1)]
)",
      einsum_path_of);
}

}  // namespace mx::python

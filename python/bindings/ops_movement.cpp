// ops_movement.cpp — Python functions that see elements in another order: shape, axes, slices (ops/movement.h).
// Those that join and split are in ops_movement_join.cpp.

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/movement.h"

namespace mx::python {

void bind_movement_joins(py::module_& m);  // ops_movement_join.cpp

namespace {

// A Python number becomes an array of `t` at once.
array value_as(const Args& a, int i, Dtype t) {
  return is_python_number(a.raw(i)) ? to_array(a.raw(i), t) : a.arr(i);
}

// One array for one argument, a list for several.
template <class F>
py::object each(const Args& a, F f) {
  Arrays out;
  for (const array& x : a.arrays(0)) out.push_back(f(x));
  return py::reinterpret_steal<py::object>(out.size() == 1 ? to_python(out[0]) : to_python(out));
}

array roll_of(const Args& a) {
  array x = a.arr(0);
  Shape shifts = a.shape(1);
  if (!a.is_none(2)) return roll(x, shifts, a.axes(2));
  int64_t total = 0;
  for (int64_t s : shifts) {
    if (__builtin_add_overflow(total, s, &total)) throw OverflowError("[roll] the shifts add up to more than 2**63 - 1.");
  }
  return roll(x, total);
}

void bind_shape(py::module_& m) {
  def(m, "reshape(a, /, shape, *, stream=None, copy=None)", R"(Give an array another shape; the elements keep their row order.

Args:
    a (array): Any shape.
    shape (int or sequence of int): The new shape. One size may be -1: it is found from the others.
    copy (bool, optional): True: into new memory. False: an error if the elements are known not to be in row order.
        Default: as needed.

Returns:
    array: A view where strides allow, else a copy.

Raises:
    ValueError: If the number of elements differs, a -1 cannot be found, or a copy is needed but not allowed.

Example:
    >>> mx.reshape(mx.arange(6), (2, -1)).tolist()
    [[0, 1, 2], [3, 4, 5]]
)",
      [](const Args& a) {
        array x = a.arr(0);
        if (!a.is_none(3) && !a.flag(3) && x.available() && !x.row_contiguous()) {
          throw ValueError("[reshape] the elements are not in row order: that needs a copy. Allow the copy.");
        }
        array y = reshape(x, a.shape(1));
        return !a.is_none(3) && a.flag(3) ? copy(y) : y;
      });

  def(m, "flatten(a, /, start_axis=0, end_axis=-1, *, stream=None)", R"(Merge neighbouring axes into one.

Args:
    a (array): Any shape. A scalar becomes shape (1,).
    start_axis (int, optional): The first axis to merge. Default: 0.
    end_axis (int, optional): The last, included. Default: -1.

Returns:
    array: A view where strides allow, else a copy.

Raises:
    ValueError: If `start_axis` lies after `end_axis`.

Example:
    >>> mx.flatten(mx.zeros((2, 3, 4)), start_axis=1).shape
    (2, 12)
)",
      [](const Args& a) { return flatten(a.arr(0), a.small(1), a.small(2)); });

  def(m, "unflatten(a, /, axis, shape, *, stream=None)", R"(Split one axis into several.

Args:
    a (array): Any shape.
    axis (int): The axis to split.
    shape (sequence of int): Its new sizes. One may be -1.

Returns:
    array: A view where strides allow, else a copy.

Raises:
    ValueError: If the sizes do not multiply to that of the axis.

Example:
    >>> mx.unflatten(mx.zeros((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
)",
      [](const Args& a) { return unflatten(a.arr(0), a.small(1), a.shape(2)); });

  def(m, "squeeze(a, /, axis=None, *, stream=None)", R"(Remove axes of size 1.

Args:
    a (array): Any shape.
    axis (int or sequence of int, optional): The axes to remove. Default: all of size 1.

Returns:
    array: A view.

Raises:
    ValueError: If a named axis is not of size 1.

Example:
    >>> mx.squeeze(mx.zeros((1, 3, 1))).shape
    (3,)
)",
      [](const Args& a) { return a.is_none(1) ? squeeze(a.arr(0)) : squeeze(a.arr(0), a.axes(1)); });

  def(m, "expand_dims(a, /, axis, *, stream=None)", R"(Insert axes of size 1.

Args:
    a (array): Any shape.
    axis (int or sequence of int): Where the new axes are in the result.

Returns:
    array: A view.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
    >>> mx.expand_dims(mx.zeros((3,)), (0, 2)).shape
    (1, 3, 1)
)",
      [](const Args& a) { return expand_dims(a.arr(0), a.axes(1)); });

  def(m, "broadcast_to(a, /, shape, *, stream=None)", R"(Repeat an array to a larger shape, without using memory.

Args:
    a (array or number): Any shape; its sizes, aligned at the right, are equal to those of `shape` or 1.
    shape (int or sequence of int): The shape of the result.

Returns:
    array: A view.

Raises:
    ValueError: If the shapes do not fit.

Example:
    >>> mx.broadcast_to(mx.array([1, 2]), (2, 2)).tolist()
    [[1, 2], [1, 2]]
)",
      [](const Args& a) { return broadcast_to(a.arr(0), a.shape(1)); });

  def(m, "broadcast_arrays(*arrays, stream=None)", R"(Broadcast arrays to their common shape.

Args:
    *arrays (array): Shapes that can be broadcast together.

Returns:
    list of array: Views of equal shape.

Raises:
    ValueError: If the shapes do not fit.

Example:
    >>> [x.shape for x in mx.broadcast_arrays(mx.zeros((2, 1)), mx.zeros((3,)))]
    [(2, 3), (2, 3)]
)",
      [](const Args& a) { return broadcast_arrays(a.arrays(0)); });

  def(m, "broadcast_shapes(*shapes)", R"(Find the shape to which arrays of these shapes broadcast together.

Args:
    *shapes (sequence of int): Any number of shapes.

Returns:
    tuple of int: The common shape.

Raises:
    ValueError: If the shapes do not fit.

Example:
    >>> mx.broadcast_shapes((2, 1), (3,))
    (2, 3)
)",
      [](const Args& a) {
        Shape shape;
        for (PyObject* o : a.rest()) shape = broadcast_shapes(shape, to_shape(o, a.what(0)), "broadcast_shapes");
        return shape;
      });

  def(m, "atleast_1d(*arys, stream=None)", R"(Give arrays at least one dimension.

Args:
    *arys (array or number): A scalar becomes shape (1,).

Returns:
    array or list of array: One array for one argument, else a list.

Example:
    >>> mx.atleast_1d(mx.array(3)).shape
    (1,)
)",
      [](const Args& a) { return each(a, atleast_1d); });

  def(m, "atleast_2d(*arys, stream=None)", R"(Give arrays at least two dimensions.

Args:
    *arys (array or number): Shape (n,) becomes (1, n).

Returns:
    array or list of array: One array for one argument, else a list.

Example:
    >>> mx.atleast_2d(mx.zeros((3,))).shape
    (1, 3)
)",
      [](const Args& a) { return each(a, atleast_2d); });

  def(m, "atleast_3d(*arys, stream=None)", R"(Give arrays at least three dimensions.

Args:
    *arys (array or number): Shape (n,) becomes (1, n, 1), and (m, n) becomes (m, n, 1).

Returns:
    array or list of array: One array for one argument, else a list.

Example:
    >>> mx.atleast_3d(mx.zeros((3,))).shape
    (1, 3, 1)
)",
      [](const Args& a) { return each(a, atleast_3d); });
}

void bind_axes(py::module_& m) {
  def(m, "transpose(a, /, axes=None, *, stream=None)", R"(Change the order of the axes.

Args:
    a (array): Any shape.
    axes (sequence of int, optional): Axis i of the result is axis ``axes[i]`` of `a`. Default: the axes reversed.

Returns:
    array: A view.

Raises:
    ValueError: If `axes` does not name every axis once.

Example:
    >>> mx.transpose(mx.zeros((2, 3, 4)), (1, 2, 0)).shape
    (3, 4, 2)
)",
      [](const Args& a) { return a.is_none(1) ? transpose(a.arr(0)) : transpose(a.arr(0), a.axes(1)); });
  alias(m, "permute_dims", "transpose");

  def(m, "matrix_transpose(a, /, *, stream=None)", R"(Exchange the last two axes.

Args:
    a (array): Shape (..., m, n).

Returns:
    array: Shape (..., n, m). A view.

Raises:
    ValueError: If `a` has fewer than two dimensions.

Example:
    >>> mx.matrix_transpose(mx.zeros((2, 3, 4))).shape
    (2, 4, 3)
)",
      [](const Args& a) { return matrix_transpose(a.arr(0)); });

  def(m, "swapaxes(a, /, axis1, axis2, *, stream=None)", R"(Exchange two axes.

Args:
    a (array): Any shape.
    axis1 (int): One axis.
    axis2 (int): The other.

Returns:
    array: A view.

Raises:
    ValueError: If an axis is out of range.

Example:
    >>> mx.swapaxes(mx.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
)",
      [](const Args& a) { return swapaxes(a.arr(0), a.small(1), a.small(2)); });

  def(m, "moveaxis(a, /, source, destination, *, stream=None)", R"(Move axes to new positions; the others keep their order.

Args:
    a (array): Any shape.
    source (int or sequence of int): The axes to move.
    destination (int or sequence of int): Where each is in the result.

Returns:
    array: A view.

Raises:
    ValueError: If an axis is out of range or named twice, or the two differ in length.

Example:
    >>> mx.moveaxis(mx.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
)",
      [](const Args& a) { return moveaxis(a.arr(0), a.axes(1), a.axes(2)); });

  def(m, "flip(a, /, axis=None, *, stream=None)", R"(Reverse the order of elements.

Args:
    a (array): Any shape.
    axis (int or sequence of int, optional): The axes to reverse. Default: all.

Returns:
    array: A view.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
    >>> mx.flip(mx.array([1, 2, 3])).tolist()
    [3, 2, 1]
)",
      [](const Args& a) { return a.is_none(1) ? flip(a.arr(0)) : flip(a.arr(0), a.axes(1)); });

  def(m, "roll(a, shift, axis=None, /, *, stream=None)", R"(Move elements along axes; those that leave at the end come in at the front.

Args:
    a (array): Any shape.
    shift (int or sequence of int): By how many places.
    axis (int or sequence of int, optional): Along which axes, one a shift. Default: in the flattened array.

Returns:
    array: Shape of `a`.

Raises:
    ValueError: If an axis is out of range, or shifts and axes differ in number and neither is one.

Example:
    >>> mx.roll(mx.array([1, 2, 3]), 1).tolist()
    [3, 1, 2]
)",
      roll_of);
}

void bind_slices(py::module_& m) {
  def(m, "slice(a, start_indices, axes, slice_size, *, stream=None)", R"(Cut a block whose position is held by an array.

Unlike ``a[i:j]``, the position may depend on values that are not known yet.

Args:
    a (array): Any shape.
    start_indices (array of int): Shape (len(axes),). Where the block begins; clamped so that it fits.
    axes (sequence of int): The axes that `start_indices` is about; the block begins at 0 along the others.
    slice_size (sequence of int): The size of the block along every axis of `a`.

Returns:
    array: Shape `slice_size`.

Raises:
    ValueError: If the block is larger than `a`, or the arguments do not fit together.

Example:
    >>> mx.slice(mx.arange(6), mx.array([2]), (0,), (3,)).tolist()
    [2, 3, 4]
)",
      [](const Args& a) { return dynamic_slice(a.arr(0), a.arr(1), a.axes(2), a.shape(3)); });

  def(m, "slice_update(a, update, start_indices, axes, *, stream=None)", R"(Replace a block whose position is held by an array.

Args:
    a (array): Any shape.
    update (array): The new block, no larger than `a`; missing leading axes count as 1. Cast to the dtype of `a`.
    start_indices (array of int): Shape (len(axes),). Where the block begins; clamped so that it fits.
    axes (sequence of int): The axes that `start_indices` is about; the block begins at 0 along the others.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If the block is larger than `a`, or the arguments do not fit together.

Example:
    >>> mx.slice_update(mx.zeros((4,)), mx.ones((2,)), mx.array([1]), (0,)).tolist()
    [0.0, 1.0, 1.0, 0.0]
)",
      [](const Args& a) {
        array x = a.arr(0);
        return dynamic_slice_update(x, value_as(a, 1, x.dtype()), a.arr(2), a.axes(3));
      });

  def(m, "as_strided(a, /, shape=None, strides=None, offset=0, *, stream=None)", R"(See the elements of an array through any strides.

Element (i, j, ...) of the result is element ``offset + i * strides[0] + j * strides[1] + ...`` of `a` in row order.
Windows may overlap; gradients add up.

Args:
    a (array): Any shape.
    shape (sequence of int, optional): The shape of the result. Default: that of `a`.
    strides (sequence of int, optional): In elements. Default: those of a row-contiguous array of `shape`.
    offset (int, optional): Where to begin. Default: 0.

Returns:
    array: A view, if `a` is row-contiguous.

Raises:
    ValueError: If that reaches outside of `a`.

Example:
    >>> mx.as_strided(mx.arange(5), (3, 3), (1, 1)).tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
)",
      [](const Args& a) {
        array x = a.arr(0);
        Shape shape = a.is_none(1) ? x.shape() : a.shape(1);
        return as_strided(x, shape, a.is_none(2) ? row_strides(shape) : a.shape(2), a.integer(3));
      });

  def(m, "diagonal(a, offset=0, axis1=0, axis2=1, stream=None)", R"(Take a diagonal.

Args:
    a (array): At least two dimensions.
    offset (int, optional): Which diagonal; positive above, negative below the main one. Default: 0.
    axis1 (int, optional): The axis of rows. Default: 0.
    axis2 (int, optional): The axis of columns. Default: 1.

Returns:
    array: The shape of `a` without the two axes, and the diagonal as the last one. A view.

Raises:
    ValueError: If `a` has fewer than two dimensions, or the axes are the same.

Example:
    >>> mx.diagonal(mx.array([[1, 2], [3, 4]])).tolist()
    [1, 4]
)",
      [](const Args& a) { return diagonal(a.arr(0), a.integer(1), a.small(2), a.small(3)); });

  def(m, "diag(a, /, k=0, *, stream=None)", R"(Make a diagonal matrix of a vector, or take a diagonal of a matrix.

Args:
    a (array): Shape (n,) or (m, n).
    k (int, optional): Which diagonal; positive above, negative below the main one. Default: 0.

Returns:
    array: Shape (n + abs(k), n + abs(k)) for a vector; the diagonal for a matrix.

Raises:
    ValueError: If `a` has neither one nor two dimensions.

Example:
    >>> mx.diag(mx.array([1, 2])).tolist()
    [[1, 0], [0, 2]]
)",
      [](const Args& a) { return diag(a.arr(0), a.integer(1)); });

  def(m, "trace(a, /, offset=0, axis1=0, axis2=1, dtype=None, *, stream=None)", R"(Sum a diagonal.

Args:
    a (array): At least two dimensions.
    offset (int, optional): Which diagonal; positive above, negative below the main one. Default: 0.
    axis1 (int, optional): The axis of rows. Default: 0.
    axis2 (int, optional): The axis of columns. Default: 1.
    dtype (Dtype, optional): The dtype of the result. Default: as for ``sum``.

Returns:
    array: The shape of `a` without the two axes.

Raises:
    ValueError: If `a` has fewer than two dimensions, or the axes are the same.

Example:
    >>> mx.trace(mx.array([[1, 2], [3, 4]])).item()
    5
)",
      [](const Args& a) {
        if (auto t = a.opt_dtype(4)) return trace(a.arr(0), a.integer(1), a.small(2), a.small(3), *t);
        return trace(a.arr(0), a.integer(1), a.small(2), a.small(3));
      });
}

}  // namespace

void bind_movement(py::module_& m) {
  bind_shape(m);
  bind_axes(m);
  bind_slices(m);
  bind_movement_joins(m);
}

}  // namespace mx::python

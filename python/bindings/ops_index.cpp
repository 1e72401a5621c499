// ops_index.cpp — Python functions that read and write at index arrays (ops/index.h). Index expressions x[...] are in
// indexing.cpp, x.at[...] in array_at.cpp.

#include "bindings/bind.h"
#include "bindings/indexing.h"
#include "ops/index.h"
#include "ops/movement.h"

namespace mx::python {

namespace {

array take_of(const Args& a) {
  array x = a.arr(0);
  if (PyLong_CheckExact(a.raw(1))) return a.is_none(2) ? take(x, a.integer(1)) : take(x, a.integer(1), a.small(2));
  return a.is_none(2) ? take(x, a.arr(1)) : take(x, a.arr(1), a.small(2));
}

}  // namespace

void bind_index(py::module_& m) {
  bind_array_at(m);

  def(m, "take(a, /, indices, axis=None, *, stream=None)", R"(Take elements along an axis.

Args:
    a (array): Any shape and dtype.
    indices (int or array): Integers of any shape. Negative ones count from the end.
    axis (int, optional): The axis to take from. Default: the flattened array.

Returns:
    array: Shape ``a.shape[:axis] + indices.shape + a.shape[axis + 1:]``.

Raises:
    IndexError: For an index out of bounds: at the call if it is an int, else when the result is computed.

Example:
    >>> mx.take(mx.array([10, 20, 30]), mx.array([2, -2])).tolist()
    [30, 20]
)",
      take_of);

  def(m, "take_along_axis(a, /, indices, axis=-1, *, stream=None)", R"(Take elements at indices that differ for each position of the other axes.

Args:
    a (array): Any shape and dtype.
    indices (array): Integers, with as many axes as `a`. On axes other than `axis` both broadcast.
    axis (int or None, optional): The axis to take from; None flattens `a`. Default: -1.

Returns:
    array: The elements, shaped like `indices` after broadcasting.

Raises:
    ValueError: If the shapes do not fit.
    IndexError: For an index out of bounds, when the result is computed.

Example:
    >>> a = mx.array([[3, 1, 2], [6, 5, 4]])
    >>> mx.take_along_axis(a, mx.argsort(a), axis=-1).tolist()
    [[1, 2, 3], [4, 5, 6]]
)",
      [](const Args& a) { return take_along_axis(a.arr(0), a.arr(1), a.opt_small(2)); });

  def(m, "put_along_axis(a, /, indices, values, axis=None, *, stream=None)", R"(Copy an array with new elements at indices along an axis.

If an index occurs several times at one position the last value stays.

Args:
    a (array): Any shape and dtype.
    indices (array): Integers, with as many axes as `a`; on axes other than `axis` of a's size or 1.
    values (array or number): Broadcast to the indices and cast to a's dtype.
    axis (int or None, optional): The axis along which indices point; None flattens `a`. Default: None.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If the shapes do not fit.
    IndexError: For an index out of bounds, when the result is computed.

Example:
    >>> mx.put_along_axis(mx.zeros((2, 3)), mx.array([[0], [2]]), mx.array(7.0), axis=1).tolist()
    [[7.0, 0.0, 0.0], [0.0, 0.0, 7.0]]
)",
      [](const Args& a) {
        array x = a.arr(0);
        return put_along_axis(x, a.arr(1), a.arr_beside(2, x), a.opt_small(3));
      });

  def(m, "nonzero(a, /)", R"(Find the elements that are not zero. Evaluates the array.

Args:
    a (array): At least one axis.

Returns:
    tuple of array: One int64 array of indices per axis, in row order.

Raises:
    TransformError: If the values are not known because a function is being traced.

Example:
    >>> [i.tolist() for i in mx.nonzero(mx.array([[0, 1], [2, 0]]))]
    [[0, 1], [1, 0]]
)",
      [](const Args& a) { return to_tuple(nonzero(a.arr(0))); });
}

}  // namespace mx::python

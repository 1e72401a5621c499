// ops_cast.cpp — Python functions that convert dtypes or pass values on unchanged (ops/cast.h).

#include "bindings/bind.h"
#include "ops/cast.h"

namespace mx::python {

void bind_cast(py::module_& m) {
  def(m, "astype(a, dtype, /, *, stream=None, copy=True, device=None)", R"(Convert an array to a dtype.

Floats become integers by truncation; what is out of range becomes the nearest representable integer, NaN becomes 0.
Integers wrap. Complex numbers lose their imaginary part. Anything becomes bool by comparison with 0. The derivative of
a conversion to integers or bool is 0.

Args:
    a (array): Any shape and dtype.
    dtype (Dtype): The dtype wanted.
    copy (bool, optional): If False and `a` has the dtype, the object `a` is returned, so that assignments to one are
        seen in the other. Default: True.
    device (Device, optional): Where it is computed: the same as ``stream``.

Returns:
    array: The shape of `a`; `a` itself if it has the dtype.

Example:
    >>> mx.astype(mx.array([1.7, -1.7]), mx.int32).tolist()
    [1, -1]
)",
      [](const Args& a) -> py::object {
        array x = a.arr(0);
        Dtype t = a.dtype(1);
        if (x.dtype() == t && !a.flag(3) && is_array(a.raw(0))) return a.obj(0);
        return py::reinterpret_steal<py::object>(to_python(astype(x, t)));
      });

  def(m, "view(a, dtype, stream=None)", R"(Read the bytes of an array as another dtype.

Args:
    a (array): Any shape and dtype.
    dtype (Dtype): If its size differs, the last axis shrinks or grows in proportion. As bool, non-zero bytes are True.

Returns:
    array: The same bytes, usually the same memory.

Raises:
    ValueError: If the last axis does not divide, or a scalar would have to change its size.

Example:
    >>> mx.view(mx.array([1.0]), mx.uint32).tolist()
    [1065353216]
)",
      [](const Args& a) { return view(a.arr(0), a.dtype(1)); });

  def(m, "stop_gradient(a, /, *, stream=None)", R"(Pass values on, but no gradients.

Args:
    a (array): Any shape and dtype.

Returns:
    array: The values of `a`; its tangent and cotangent are zero.

Example:
    >>> mx.stop_gradient(mx.array([1, 2])).tolist()
    [1, 2]
)",
      [](const Args& a) { return stop_gradient(a.arr(0)); });

  def(m, "contiguous(a, /, allow_col_major=False, *, stream=None)", R"(Lay an array out in row order.

Args:
    a (array): Any shape and dtype.
    allow_col_major (bool, optional): Leave column order as it is. Default: False.

Returns:
    array: The values of `a`; copied only if necessary.

Example:
    >>> mx.contiguous(mx.array([[1, 2], [3, 4]]).T).tolist()
    [[1, 3], [2, 4]]
)",
      [](const Args& a) { return contiguous(a.arr(0), a.flag(1)); });

  def(m, "depends(inputs, dependencies)", R"(Make arrays wait for others.

Args:
    inputs (array or sequence of array): The arrays to pass on.
    dependencies (array or sequence of array): What has to be computed before them.

Returns:
    array or list of array: The values of `inputs`, computed after `dependencies`.

Example:
    >>> x = mx.array([1, 2])
    >>> mx.depends(x, x + 1).tolist()
    [1, 2]
)",
      [](const Args& a) -> py::object {
        auto list = [&](int i) { return is_array(a.raw(i)) ? Arrays{a.arr(i)} : a.arrays(i); };
        Arrays outs = depends(list(0), list(1));
        PyObject* result = is_array(a.raw(0)) ? to_python(outs.front()) : to_python(std::move(outs));
        return py::reinterpret_steal<py::object>(result);
      });
}

}  // namespace mx::python

// ops_scan.cpp — Python functions for running sums, products and extremes (ops/scan.h).

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/movement.h"
#include "ops/scan.h"

namespace mx::python {

namespace {

// As sum and prod: what is smaller than 32 bits counts in 32.
Dtype counting_dtype(Dtype t) {
  if (is_inexact(t) || size_of(t) >= 4) return t;
  return is_unsigned(t) ? Dtype::uint32 : Dtype::int32;
}

using Scan = array (*)(const array&, std::optional<int>, bool, bool);

void def_cumulative(py::module_& m, const char* name, const char* what, const char* noun, int initial, const char* example, Scan f) {
  std::string doc = cat(what, R"(

As ``cum)", name[11] == 's' ? "sum" : "prod", R"(``, but small integers are counted in 32 bits.

Args:
    a (array): Any shape.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i is the )", noun, R"( of the elements before it. Default: True.
    dtype (Dtype, optional): Convert to this dtype first. Default: as for ``sum``.
    include_initial (bool, optional): Begin with the )", noun, R"( of no elements: one element more. Default: False.

Returns:
    array: Shape of `a`, one longer along the axis with `include_initial`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.)", example);
  def(m, cat(name, "(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None, include_initial=False)"), doc.c_str(),
      [=](const Args& a) {
        array x = a.arr(0);
        x = astype(x, a.is_none(4) ? counting_dtype(x.dtype()) : a.dtype(4));
        if (a.is_none(1)) x = flatten(x);
        int axis = normalize_axis(a.opt_small(1).value_or(0), x.ndim(), a.signature().name);
        array y = f(x, axis, a.flag(2), a.flag(3));
        if (!a.flag(6)) return y;
        Shape shape = x.shape();
        shape[static_cast<size_t>(axis)] = 1;
        array first = full(shape, array(initial, y.dtype()));
        return a.flag(2) ? concatenate({y, first}, axis) : concatenate({first, y}, axis);
      });
}

}  // namespace

void bind_scan(py::module_& m) {
  def(m, "cumsum(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None)", R"(Sum up the elements along an axis.

Args:
    a (array): Any shape. bool is counted in int32.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i is the sum of the elements before it. Default: True.
    dtype (Dtype, optional): Convert to this dtype first.

Returns:
    array: Shape of `a`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.cumsum(mx.array([1, 2, 3])).tolist()
    [1, 3, 6]
)",
      [](const Args& a) {
        array x = a.is_none(4) ? a.arr(0) : astype(a.arr(0), a.dtype(4));
        return cumsum(x, a.opt_small(1), a.flag(2), a.flag(3));
      });

  def(m, "cumprod(a, /, axis=None, *, reverse=False, inclusive=True, dtype=None, stream=None)", R"(Multiply up the elements along an axis.

The derivative is exact where elements are 0.

Args:
    a (array): Any shape.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i is the product of the elements before it. Default: True.
    dtype (Dtype, optional): Convert to this dtype first.

Returns:
    array: Shape of `a`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.cumprod(mx.array([1, 2, 3])).tolist()
    [1, 2, 6]
)",
      [](const Args& a) {
        array x = a.is_none(4) ? a.arr(0) : astype(a.arr(0), a.dtype(4));
        return cumprod(x, a.opt_small(1), a.flag(2), a.flag(3));
      });

  def(m, "cummax(a, /, axis=None, *, reverse=False, inclusive=True, stream=None)", R"(Find the largest element so far, along an axis.

NaN stays once it is met. Of equal elements the one met first has the derivative.

Args:
    a (array): Any shape.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i looks at the elements before it; the first result is -inf, or the
        lowest integer. Default: True.

Returns:
    array: Shape of `a`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.cummax(mx.array([1, 3, 2])).tolist()
    [1, 3, 3]
)",
      [](const Args& a) { return cummax(a.arr(0), a.opt_small(1), a.flag(2), a.flag(3)); });

  def(m, "cummin(a, /, axis=None, *, reverse=False, inclusive=True, stream=None)", R"(Find the smallest element so far, along an axis.

NaN stays once it is met. Of equal elements the one met first has the derivative.

Args:
    a (array): Any shape.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i looks at the elements before it; the first result is inf, or the
        highest integer. Default: True.

Returns:
    array: Shape of `a`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.cummin(mx.array([2, 3, 1])).tolist()
    [2, 2, 1]
)",
      [](const Args& a) { return cummin(a.arr(0), a.opt_small(1), a.flag(2), a.flag(3)); });

  def(m, "logcumsumexp(a, /, axis=None, *, reverse=False, inclusive=True, stream=None)",
      R"(Compute the logarithm of the running sum of exponentials along an axis, without overflow.

Args:
    a (array): Any shape. Integers become float32.
    axis (int, optional): Default: the flattened array.
    reverse (bool, optional): Start from the end. Default: False.
    inclusive (bool, optional): If False, element i covers the elements before it; the first result is -inf. Default: True.

Returns:
    array: Shape of `a`; one-dimensional without an axis.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.logcumsumexp(mx.array([1000.0, 1000.0])).tolist()[0]
    1000.0
)",
      [](const Args& a) { return logcumsumexp(a.arr(0), a.opt_small(1), a.flag(2), a.flag(3)); });

  def_cumulative(m, "cumulative_sum", "Sum up the elements along an axis, in the words of the array API standard.", "sum", 0,
                 "cumulative_sum(mx.array([1, 2, 3]), include_initial=True).tolist()\n    [0, 1, 3, 6]\n", cumsum);
  def_cumulative(m, "cumulative_prod", "Multiply up the elements along an axis, in the words of the array API standard.", "product", 1,
                 "cumulative_prod(mx.array([1, 2, 3]), include_initial=True).tolist()\n    [1, 1, 2, 6]\n", cumprod);
}

}  // namespace mx::python

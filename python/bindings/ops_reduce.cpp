// ops_reduce.cpp — Python functions for reductions, softmax and their kin (ops/reduce.h, ops/composite.h).

#include <algorithm>
#include <cmath>

#include "bindings/bind.h"
#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::python {

namespace {

using Reduction = array (*)(const array&, const Axes&, bool);

/// name(a, /, axis=None, keepdims=False, *, stream=None); `what` is the doc line, `more` what the result depends on.
void def_reduction(py::module_& m, const char* name, const char* what, const char* more, const char* raises, const char* example, Reduction f) {
  std::string doc = cat(what, "\n\n", more, more[0] ? "\n\n" : "", R"(Args:
    a (array): Any shape.
    axis (int or sequence of int, optional): The axes to combine. Default: all.
    keepdims (bool, optional): Leave the combined axes in place with size 1. Default: False.

Returns:
    array: The shape of `a` without the combined axes.

Raises:
    ValueError: If an axis is out of range or named twice)", raises, ".\n\nExample:\n", example);
  def(m, cat(name, "(a, /, axis=None, keepdims=False, *, stream=None)"), doc.c_str(),
      [f](const Args& a) { return f(a.arr(0), a.axes(1, a.arr(0).ndim()), a.flag(2)); });
}

/// name(a, /, axis=None, keepdims=False, *, stream=None, dtype=None): as above, computed in a dtype of the caller's.
void def_accumulation(py::module_& m, const char* name, const char* what, const char* more, const char* example, Reduction f) {
  std::string doc = cat(what, "\n\n", more, R"(

Args:
    a (array): Any shape.
    axis (int or sequence of int, optional): The axes to combine. Default: all.
    keepdims (bool, optional): Leave the combined axes in place with size 1. Default: False.
    dtype (Dtype, optional): Convert to this dtype first; also the dtype of the result.

Returns:
    array: The shape of `a` without the combined axes.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
)", example);
  def(m, cat(name, "(a, /, axis=None, keepdims=False, *, stream=None, dtype=None)"), doc.c_str(), [f](const Args& a) {
    array x = a.arr(0);
    if (a.is_none(4)) return f(x, a.axes(1, x.ndim()), a.flag(2));
    Dtype t = a.dtype(4);
    return astype(f(astype(x, t), a.axes(1, x.ndim()), a.flag(2)), t);
  });
}

// What is subtracted from the number of elements need not be whole.
array variance(const array& x, const Axes& axes, bool keepdims, double correction) {
  double n = 1;
  for (int axis : axes) n *= static_cast<double>(x.shape(axis));
  return var(x, axes, keepdims) * (n / std::max(n - correction, 0.0));
}

using Spread = array (*)(const array&, const Axes&, bool, int);

void def_spread(py::module_& m, const char* name, const char* what, const char* more, const char* example, Spread f,
                array (*finish)(const array&)) {
  std::string doc = cat(what, "\n\n", more, R"(

Args:
    a (array): Any shape. Integers are converted to float32.
    axis (int or sequence of int, optional): The axes to combine. Default: all.
    keepdims (bool, optional): Leave the combined axes in place with size 1. Default: False.
    ddof (int, optional): Divide by the number of elements minus this. Default: 0.
    correction (float, optional): Another name of `ddof`; need not be whole.

Returns:
    array: The shape of `a` without the combined axes; real also for complex `a`.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
)", example);
  def(m, cat(name, "(a, /, axis=None, keepdims=False, ddof=0, *, stream=None, correction=None)"), doc.c_str(),
      [f, finish](const Args& a) {
        array x = a.arr(0);
        Axes axes = a.axes(1, x.ndim());
        if (a.is_none(5)) return f(x, axes, a.flag(2), a.small(3));
        if (a.given(3)) throw ValueError(cat(a.what(5), " and ddof are the same; need one of them."));
        double correction = a.real(5);
        if (std::abs(correction) < 1e9 && std::trunc(correction) == correction) return f(x, axes, a.flag(2), static_cast<int>(correction));
        return finish(variance(x, axes, a.flag(2), correction));
      });
}

void def_arg_reduction(py::module_& m, const char* name, const char* extreme, const char* example, array (*along)(const array&, int, bool),
                       array (*flat)(const array&, bool)) {
  std::string doc = cat("Find where the ", extreme, R"( elements are.

Of equal elements the first counts; a NaN, if there is one, counts before all others.

Args:
    a (array): Any shape.
    axis (int, optional): The axis to search along. Default: the flattened array.
    keepdims (bool, optional): Leave the searched axes in place with size 1. Default: False.

Returns:
    array: Indices as uint32, in the shape of `a` without the axis.

Raises:
    ValueError: If the axis is out of range or has no elements.

Example:
)", example);
  def(m, cat(name, "(a, /, axis=None, keepdims=False, *, stream=None)"), doc.c_str(), [along, flat](const Args& a) {
    return a.is_none(1) ? flat(a.arr(0), a.flag(2)) : along(a.arr(0), a.small(1), a.flag(2));
  });
}

}  // namespace

void bind_reduce(py::module_& m) {
  def_accumulation(m, "sum", "Sum the elements over the given axes.",
                "bool and integers of less than 32 bits give int32 (unsigned ones uint32). No elements sum to 0.",
                "    >>> mx.sum(mx.array([[1, 2], [3, 4]]), axis=0).tolist()\n    [4, 6]\n", sum);
  def_accumulation(m, "prod", "Multiply the elements over the given axes.",
                "Result dtypes are those of ``sum``. The product of no elements is 1. Derivatives are exact at zeros.",
                "    >>> mx.prod(mx.array([2, 3, 4])).item()\n    24\n", prod);
  def_reduction(m, "mean", "Compute the arithmetic mean over the given axes.",
                "Integers give float32. The mean of no elements is NaN.", "",
                "    >>> mx.mean(mx.array([1, 2, 6])).item()\n    3.0\n", mean);
  def_reduction(m, "max", "Find the largest elements over the given axes.",
                "NaN wins. Equal largest elements share the derivative evenly.", ", or there is nothing to choose from",
                "    >>> mx.max(mx.array([[1, 5], [7, 2]]), axis=1).tolist()\n    [5, 7]\n", max);
  def_reduction(m, "min", "Find the smallest elements over the given axes.",
                "NaN wins. Equal smallest elements share the derivative evenly.", ", or there is nothing to choose from",
                "    >>> mx.min(mx.array([[1, 5], [7, 2]]), axis=1).tolist()\n    [1, 2]\n", min);
  def_reduction(m, "all", "Tell whether all elements over the given axes are non-zero.", "", "",
                "    >>> mx.all(mx.array([1, 0, 2])).item()\n    False\n", all);
  def_reduction(m, "any", "Tell whether any element over the given axes is non-zero.", "", "",
                "    >>> mx.any(mx.array([1, 0, 2])).item()\n    True\n", any);
  def_reduction(m, "logsumexp", "Compute log(sum(exp(a))) over the given axes, without overflow.",
                "Integers give float32. Elements that are all -inf give -inf, with a zero derivative.",
                ", or there is nothing to sum",
                "    >>> round(mx.logsumexp(mx.array([1000.0, 1000.0])).item(), 3)\n    1000.693\n", logsumexp);
  def_reduction(m, "median", "Compute the median over the given axes.",
                "The middle element in order, or the mean of the two in the middle. Integers give float32; NaN gives NaN.",
                ", or there is nothing to choose from", "    >>> mx.median(mx.array([3, 1, 4, 2])).item()\n    2.5\n", median);

  def(m, "minmax(a, /, axis=None, keepdims=False, *, stream=None)", R"(Find the smallest and the largest elements over the given axes.

Args:
    a (array): Any shape.
    axis (int or sequence of int, optional): The axes to combine. Default: all.
    keepdims (bool, optional): Leave the combined axes in place with size 1. Default: False.

Returns:
    tuple(array, array): What ``min`` and ``max`` return.

Raises:
    ValueError: If an axis is out of range or named twice, or there is nothing to choose from.

Example:
    >>> low, high = mx.minmax(mx.array([3, 1, 2]))
    >>> low.item(), high.item()
    (1, 3)
)",
      [](const Args& a) { return minmax(a.arr(0), a.axes(1, a.arr(0).ndim()), a.flag(2)); });

  def_spread(m, "var", "Compute the variance over the given axes.",
             "The mean squared distance from the mean. No elements left to divide by: NaN or inf.",
             "    >>> mx.var(mx.array([1.0, 2.0, 3.0]), ddof=1).item()\n    1.0\n", var, positive);
  def_spread(m, "std", "Compute the standard deviation over the given axes.",
             "The square root of the variance. Where that is 0 the derivative is taken as 0.",
             "    >>> mx.std(mx.array([1.0, 3.0])).item()\n    1.0\n", mx::std, mx::sqrt);

  def_arg_reduction(m, "argmax", "largest", "    >>> mx.argmax(mx.array([1, 5, 2])).item()\n    1\n", argmax, argmax);
  def_arg_reduction(m, "argmin", "smallest", "    >>> mx.argmin(mx.array([4, 5, 2])).item()\n    2\n", argmin, argmin);

  def(m, "softmax(a, /, axis=None, *, precise=False, stream=None)", R"(Compute exp(a) / sum(exp(a)) over the given axes, without overflow.

Args:
    a (array): Any shape. Integers are converted to float32.
    axis (int or sequence of int, optional): The axes that sum to 1. Default: all.
    precise (bool, optional): Compute float16 and bfloat16 in float32. This is always done. Default: False.

Returns:
    array: The shape of `a`.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
    >>> mx.softmax(mx.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
)",
      [](const Args& a) { return softmax(a.arr(0), a.axes(1, a.arr(0).ndim()), a.flag(2)); });

  def(m, "count_nonzero(a, /, *, axis=None, keepdims=False, stream=None)", R"(Count the elements that are not zero over the given axes.

Args:
    a (array): Any shape. NaN is not zero.
    axis (int or sequence of int, optional): The axes to combine. Default: all.
    keepdims (bool, optional): Leave the combined axes in place with size 1. Default: False.

Returns:
    array: int32, the shape of `a` without the combined axes.

Raises:
    ValueError: If an axis is out of range or named twice.

Example:
    >>> mx.count_nonzero(mx.array([1, 0, 2])).item()
    2
)",
      [](const Args& a) { return count_nonzero(a.arr(0), a.axes(1, a.arr(0).ndim()), a.flag(2)); });
}

}  // namespace mx::python

// ops_elementwise.cpp — Python functions that work element by element (ops/elementwise.h). Those of the tables are
// bound in a loop, documentation included; those made of others follow one by one.

#include <algorithm>
#include <array>

#include "bindings/bind.h"
#include "ops/elementwise.h"
#include "ops/elementwise_params.h"

namespace mx::python {

namespace {

using Unary = array (*)(const array&);
using Binary = array (*)(const array&, const array&);

// MLX takes these with keywords too, or without the `/`.
constexpr std::string_view kByKeyword[] = {"conjugate", "isnan", "isinf", "isfinite", "bitwise_invert"};
constexpr std::string_view kPositional[] = {"arctan2", "copysign", "hypot", "logaddexp", "maximum", "minimum", "power", "logical_and", "logical_or", "logical_xor"};

// Rows that serve other functions (round, derivatives) and have no name in Python.
constexpr std::string_view kInternal[] = {"rint", "strong_zero_multiply"};

template <size_t n>
bool contains(const std::string_view (&names)[n], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

const char* dtype_note(Accepts accepts) {
  switch (accepts) {
    case Accepts::Any: return "any dtype";
    case Accepts::Number: return "any dtype but bool";
    case Accepts::Real: return "any dtype but complex";
    case Accepts::Inexact: return "any dtype; integers and bool are computed in float32";
    case Accepts::Floating: return "any dtype but complex; integers and bool are computed in float32";
    case Accepts::Fraction: return "any dtype but complex; integers and bool are returned as they are";
    case Accepts::Rounding: return "any dtype; integers and bool are returned as they are";
    case Accepts::Complex: return "any dtype";
    case Accepts::Integral: return "integers or bool";
    case Accepts::Integer: return "integers; bool counts as uint8";
    case Accepts::Truth: return "any dtype; compared with 0 first";
  }
  return "";
}

std::string result_note(Result result) {
  if (result == Result::Bool) return "of dtype bool";
  return result == Result::Part ? "of the input's real dtype" : "";
}

// Examples run as doctests: they show the shape, the values are documented above.
const char* example_of(Accepts accepts) {
  return accepts == Accepts::Integral || accepts == Accepts::Integer ? "[1, 2, 3]" : "[0.25, 0.5, 0.75]";
}

bool may_refuse(Accepts accepts) {
  return accepts == Accepts::Number || accepts == Accepts::Real || accepts == Accepts::Floating || accepts == Accepts::Fraction ||
         accepts == Accepts::Integral || accepts == Accepts::Integer;
}

void def_unary(py::module_& m, std::string_view name, Accepts accepts, Result result, std::string_view text, Unary f) {
  if (contains(kInternal, name)) return;
  bool keyword = contains(kByKeyword, name);
  std::string signature = cat(name, keyword ? "(a, stream=None)" : "(a, /, *, stream=None)");
  if (name == "conjugate") signature = "conjugate(a, *, stream=None)";
  std::string doc = cat(text, "\n\nArgs:\n    a (array): Any shape, ", dtype_note(accepts), ".\n\nReturns:\n    array: The shape of `a`",
                        result == Result::Same ? "" : ", ", result_note(result), ".\n\n",
                        may_refuse(accepts) ? "Raises:\n    ValueError: If the dtype is not supported.\n\n" : "",
                        "Example:\n    >>> mx.", name, "(mx.array(", example_of(accepts), ")).shape\n    (3,)\n");
  def(m, signature, doc.c_str(), [f](const Args& a) { return f(a.arr(0)); });
}

void def_binary(py::module_& m, std::string_view name, Accepts accepts, Result result, std::string_view text, Binary f) {
  if (contains(kInternal, name)) return;
  std::string signature = cat(name, contains(kPositional, name) ? "(a, b, /, *, stream=None)" : "(a, b, stream=None)");
  std::string doc = cat(text, "\n\nArgs:\n    a (array or number): First input; ", dtype_note(accepts),
                        ".\n    b (array or number): Second input. The inputs are promoted to a common dtype and broadcast;"
                        " a number takes on the dtype of the array.\n\nReturns:\n    array: The broadcast shape",
                        result == Result::Same ? "" : ", ", result_note(result),
                        ".\n\nRaises:\n    ValueError: If the shapes do not broadcast", may_refuse(accepts) ? " or the dtype is not supported" : "",
                        ".\n\nExample:\n    >>> mx.", name, "(mx.array(", example_of(accepts), "), ",
                        accepts == Accepts::Integral || accepts == Accepts::Integer ? "2" : "2.0", ").shape\n    (3,)\n");
  def(m, signature, doc.c_str(), [f](const Args& a) {
    auto [x, y] = a.arr_pair(0, 1);
    return f(x, y);
  });
}

void bind_tables(py::module_& m) {
#define UNARY(NAME, ACCEPTS, RESULT, SLOPE, DOC) def_unary(m, #NAME, Accepts::ACCEPTS, Result::RESULT, DOC, NAME);
#include "ops/unary.def"
#define BINARY(NAME, ACCEPTS, RESULT, SLOPE_A, SLOPE_B, DOC) def_binary(m, #NAME, Accepts::ACCEPTS, Result::RESULT, DOC, NAME);
#include "ops/binary.def"
}

}  // namespace

void bind_elementwise(py::module_& m) {
  bind_tables(m);
  for (auto [name, of] : {std::pair("acos", "arccos"), {"acosh", "arccosh"}, {"asin", "arcsin"}, {"asinh", "arcsinh"}, {"atan", "arctan"},
                          {"atanh", "arctanh"}, {"atan2", "arctan2"}, {"conj", "conjugate"}, {"pow", "power"},
                          {"bitwise_left_shift", "left_shift"}, {"bitwise_right_shift", "right_shift"}}) {
    alias(m, name, of);
  }

  def(m, "where(condition, x, y, /, *, stream=None)", R"(Select from `x` where a condition holds, from `y` elsewhere.

Gradients reach only what was selected: what the other branch computes, NaN included, adds nothing.

Args:
    condition (array or bool): Non-zero where `x` is wanted.
    x (array or number): Promoted with `y` to a common dtype.
    y (array or number): The three shapes broadcast.

Returns:
    array: The broadcast shape.

Raises:
    ValueError: If the shapes do not broadcast.

Example:
    >>> mx.where(mx.array([True, False]), mx.array([1, 2]), 0).tolist()
    [1, 0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(1, 2);
        return where(a.arr(0), x, y);
      });

  def(m, "positive(a, /, *, stream=None)", R"(Return the array as it is.

Args:
    a (array): Any shape and dtype.

Returns:
    array: `a`.

Example:
    >>> mx.positive(mx.array([-1, 2])).tolist()
    [-1, 2]
)",
      [](const Args& a) { return positive(a.arr(0)); });

  def(m, "degrees(a, /, *, stream=None)", R"(Convert angles from radians to degrees.

Args:
    a (array or number): Angles; integers give float32.

Returns:
    array: The shape of `a`.

Example:
    >>> mx.degrees(mx.array([0.0])).tolist()
    [0.0]
)",
      [](const Args& a) { return degrees(a.arr(0)); });

  def(m, "radians(a, /, *, stream=None)", R"(Convert angles from degrees to radians.

Args:
    a (array or number): Angles; integers give float32.

Returns:
    array: The shape of `a`.

Example:
    >>> mx.radians(mx.array([0.0])).tolist()
    [0.0]
)",
      [](const Args& a) { return radians(a.arr(0)); });

  def(m, "round(a, /, decimals=0, stream=None)", R"(Round to a number of decimals; halves go to the even digit.

Args:
    a (array): Any shape and dtype. Complex numbers are rounded part by part.
    decimals (int, optional): Negative: to tens, hundreds, ... Default: 0.

Returns:
    array: The shape and dtype of `a`.

Example:
    >>> mx.round(mx.array([0.5, 1.5, 2.25])).tolist()
    [0.0, 2.0, 2.0]
)",
      [](const Args& a) { return round(a.arr(0), a.small(1)); });

  def(m, "nextafter(a, b, /, *, stream=None)", R"(Find the number next to `a` in the direction of `b`.

Its derivative is 1 in `a`, and 0 in `b`.

Args:
    a (array or number): Where to start; any dtype but complex, integers give float32.
    b (array or number): Where to go; broadcast and promoted with `a`.

Returns:
    array: The broadcast shape; `b` where both are equal, NaN where either is.

Raises:
    ValueError: If the shapes do not broadcast or the dtype is complex.

Example:
    >>> mx.nextafter(mx.array(1.0), mx.array(2.0)).item() - 1.0 == mx.finfo(mx.float32).eps
    True
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return nextafter(x, y);
      });

  def(m, "isposinf(a, stream=None)", R"(Tell which elements are positive infinity.

Args:
    a (array): Any shape and dtype.

Returns:
    array: The shape of `a`, bool.

Example:
    >>> mx.isposinf(mx.array([mx.inf, -mx.inf, 0.0])).tolist()
    [True, False, False]
)",
      [](const Args& a) { return isposinf(a.arr(0)); });

  def(m, "isneginf(a, stream=None)", R"(Tell which elements are negative infinity.

Args:
    a (array): Any shape and dtype.

Returns:
    array: The shape of `a`, bool.

Example:
    >>> mx.isneginf(mx.array([mx.inf, -mx.inf, 0.0])).tolist()
    [False, True, False]
)",
      [](const Args& a) { return isneginf(a.arr(0)); });

  def(m, "divmod(a, b, stream=None)", R"(Divide with remainder.

Args:
    a (array or number): Dividend; any dtype but complex.
    b (array or number): Divisor; broadcast and promoted with `a`.

Returns:
    tuple(array, array): ``a // b`` and ``a % b``; the remainder has the sign of `b`.

Raises:
    ValueError: If the shapes do not broadcast or the dtype is complex.

Example:
    >>> [x.tolist() for x in mx.divmod(mx.array([7, -7]), 2)]
    [[3, -4], [1, 1]]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return divmod(x, y);
      });

  def(m, "clip(a, /, a_min|min=None, a_max|max=None, *, stream=None)", R"(Limit the elements of an array to an interval.

Args:
    a (array): Any shape and dtype.
    a_min (array, number or None): Lower limit; None for none. Broadcast with `a`. Also called ``min``.
    a_max (array, number or None): Upper limit; None for none. It wins where it is below the lower one. Also called ``max``.

Returns:
    array: The broadcast shape. NaN stays NaN.

Raises:
    ValueError: If both limits are None, or the shapes do not broadcast.

Example:
    >>> mx.clip(mx.array([-1, 0, 5]), 0, 3).tolist()
    [0, 0, 3]
)",
      [](const Args& a) {
        array x = a.arr(0);
        return clip(x, a.opt_arr_beside(1, x), a.opt_arr_beside(2, x));
      });

  def(m, "nan_to_num(a, nan=0, posinf=None, neginf=None, *, stream=None)", R"(Replace NaN and infinities by numbers.

Args:
    a (array or number): Any dtype; integers are returned as they are. Complex numbers are replaced part by part.
    nan (float, optional): For NaN. Default: 0.
    posinf (float, optional): For infinity. Default: the largest number of the dtype.
    neginf (float, optional): For minus infinity. Default: the smallest number of the dtype.

Returns:
    array: The shape and dtype of `a`.

Example:
    >>> mx.nan_to_num(mx.array([mx.nan, 1.0])).tolist()
    [0.0, 1.0]
)",
      [](const Args& a) { return nan_to_num(a.arr(0), a.real(1), a.opt_real(2), a.opt_real(3)); });

  def(m, "isclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)", R"(Tell which elements are equal within a tolerance.

Two numbers are close if ``abs(a - b) <= atol + rtol * abs(b)``. An infinity is close to itself only.

Args:
    a (array or number): Any dtype.
    b (array or number): Broadcast and promoted with `a`.
    rtol (float, optional): Relative tolerance. Default: 1e-5.
    atol (float, optional): Absolute tolerance. Default: 1e-8.
    equal_nan (bool, optional): Count NaN as close to NaN. Default: False.

Returns:
    array: The broadcast shape, bool.

Raises:
    ValueError: If the shapes do not broadcast.

Example:
    >>> mx.isclose(mx.array([1.0, 2.0]), mx.array([1.0, 2.1])).tolist()
    [True, False]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return isclose(x, y, a.real(2), a.real(3), a.flag(4));
      });

  def(m, "allclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)", R"(Tell whether all elements are equal within a tolerance.

Args:
    a (array or number): Any dtype.
    b (array or number): Broadcast and promoted with `a`.
    rtol (float, optional): Relative tolerance. Default: 1e-5.
    atol (float, optional): Absolute tolerance. Default: 1e-8.
    equal_nan (bool, optional): Count NaN as close to NaN. Default: False.

Returns:
    array: A bool scalar.

Raises:
    ValueError: If the shapes do not broadcast.

Example:
    >>> mx.allclose(mx.array([1.0, 2.0]), mx.array([1.0, 2.0])).item()
    True
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return allclose(x, y, a.real(2), a.real(3), a.flag(4));
      });

  def(m, "array_equal(a, b, equal_nan=False, stream=None)", R"(Tell whether two arrays have the same shape and elements.

Args:
    a (array or number): Any dtype.
    b (array or number): Any dtype; the elements are compared in a common one.
    equal_nan (bool, optional): Count NaN as equal to NaN. Default: False.

Returns:
    array: A bool scalar.

Example:
    >>> mx.array_equal(mx.array([1, 2]), mx.array([1, 2])).item()
    True
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return array_equal(x, y, a.flag(2));
      });
}

}  // namespace mx::python

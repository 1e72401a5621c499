// elementwise.h — functions that work element by element.
//
// Most come from three tables: unary.def, binary.def, ternary.def, one row each, with derivative and doc line.
// Below are those made of others. Binary functions promote to a common dtype and broadcast. A derivative times
// a zero tangent is an exact zero, whatever the derivative (strong_zero_multiply), so branches that were not
// taken contribute nothing. Operators on arrays are in operators.h.
#pragma once

#include <optional>
#include <utility>

#include "graph/array.h"

namespace mx {

// Every row of the tables: array sin(const array& a), array add(const array& a, const array& b), ...
#define UNARY(NAME, ACCEPTS, RESULT, SLOPE, DOC) array NAME(const array& a);
#include "ops/unary.def"
#define BINARY(NAME, ACCEPTS, RESULT, SLOPE_A, SLOPE_B, DOC) array NAME(const array& a, const array& b);
#include "ops/binary.def"

/// `x` where the condition is non-zero, `y` elsewhere; x and y are promoted, all three broadcast.
array where(const array& condition, const array& x, const array& y);

/// `a` itself.
array positive(const array& a);

/// Degrees from radians, radians from degrees.
array degrees(const array& a);
array radians(const array& a);

/// `a` rounded to `decimals` places (negative: to tens, hundreds, ...), halves to even.
array round(const array& a, int decimals = 0);

/// The number next to `a` in the direction of `b`, in their dtype. Its derivative in `a` is 1.
array nextafter(const array& a, const array& b);

/// Whether an element is that infinity.
array isposinf(const array& a);
array isneginf(const array& a);

/// floor_divide and remainder.
std::pair<array, array> divmod(const array& a, const array& b);

/// `a` limited to [a_min, a_max]; an absent limit does not limit. Throws ValueError if both are absent.
array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max);

/// `a` with NaN, inf and -inf replaced; absent replacements are the dtype's largest and smallest numbers.
array nan_to_num(const array& a, double nan = 0, std::optional<double> posinf = {}, std::optional<double> neginf = {});

/// |a - b| <= atol + rtol |b| element by element; infinities of one sign are close, NaN only with `equal_nan`.
array isclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);

/// Whether all elements are close: a bool scalar.
array allclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false);

/// Whether shapes and all elements are equal: a bool scalar.
array array_equal(const array& a, const array& b, bool equal_nan = false);

}  // namespace mx

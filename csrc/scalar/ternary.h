// ternary.h — one function per row of ops/ternary.def.
#pragma once

#include "scalar/math.h"

namespace mx::scalar {

namespace ternary_detail {
template <class T, class Any> MX_FN T select(bool condition, T x, T y, Any) { return condition ? x : y; }
/// Without a branch, and so that a compiler sees it: bits of x where the mask is set. The CPU selects all dtypes as bits.
template <class T> MX_FN T select(bool condition, T x, T y, Integer) { return T(y ^ ((x ^ y) & T(Wrap<T>(0) - Wrap<T>(condition)))); }
}  // namespace ternary_detail

template <class T> MX_FN T select(bool condition, T x, T y) { return ternary_detail::select(condition, x, y, category<T>()); }

}  // namespace mx::scalar

// scan.h — running sums, products, extremes, and the linear recurrence that their derivatives are made of.
//
// `reverse` runs from the end; with `inclusive` false, element i holds the result of the elements before it
// (0, 1, the lowest or the highest value, or -inf for the first). Without an axis the array is flattened.
#pragma once

#include <optional>

#include "graph/array.h"
#include "ops/scan_params.h"

namespace mx {

/// Running sum. bool counts in int32.
array cumsum(const array& a, std::optional<int> axis = {}, bool reverse = false, bool inclusive = true);
/// Running product. Its derivative is exact at zeros: nothing is divided.
array cumprod(const array& a, std::optional<int> axis = {}, bool reverse = false, bool inclusive = true);
/// Running maximum; NaN stays once met. Among ties the element met first has the derivative.
array cummax(const array& a, std::optional<int> axis = {}, bool reverse = false, bool inclusive = true);
/// Running minimum, with the same conventions.
array cummin(const array& a, std::optional<int> axis = {}, bool reverse = false, bool inclusive = true);
/// Running log(sum(exp(a))), safe for -inf and large values. Integers become float32.
array logcumsumexp(const array& a, std::optional<int> axis = {}, bool reverse = false, bool inclusive = true);

/// Where the running maximum (minimum) was met first: indices along `axis`, uint32 (int64 for very long axes).
array cumargmax(const array& a, int axis, bool reverse = false);
array cumargmin(const array& a, int axis, bool reverse = false);

/// y[i] = a[i] * y[i-1] + b[i] along `axis`, with y before the first = 0; `reverse` runs from the end.
/// `a` and `b` broadcast. Closed under differentiation, which is why the scans use it.
array linear_recurrence(const array& a, const array& b, int axis, bool reverse = false);

}  // namespace mx

// reduce.h — reductions: many elements to one, over any axes.
//
// Each comes in three forms: over `axes` (negative ones count from the end; an empty list reduces nothing),
// over one axis, and over all. `keepdims` leaves reduced axes with size 1. Their kernels are in
// backend/cpu/reduce.cpp; softmax, logsumexp and count_nonzero are in composite.h.
#pragma once

#include <utility>

#include "graph/array.h"

namespace mx {

/// Sum. bool and integers below 32 bits give int32 (unsigned ones uint32). No elements: 0.
array sum(const array& a, const Axes& axes, bool keepdims = false);
array sum(const array& a, int axis, bool keepdims = false);
array sum(const array& a, bool keepdims = false);

/// Product; dtypes as for sum. No elements: 1.
array prod(const array& a, const Axes& axes, bool keepdims = false);
array prod(const array& a, int axis, bool keepdims = false);
array prod(const array& a, bool keepdims = false);

/// Largest element; NaN if any is NaN. Throws ValueError when there is nothing to choose from.
/// Its derivative is shared evenly between ties.
array max(const array& a, const Axes& axes, bool keepdims = false);
array max(const array& a, int axis, bool keepdims = false);
array max(const array& a, bool keepdims = false);

/// Smallest element; as max otherwise.
array min(const array& a, const Axes& axes, bool keepdims = false);
array min(const array& a, int axis, bool keepdims = false);
array min(const array& a, bool keepdims = false);

/// Smallest and largest element.
std::pair<array, array> minmax(const array& a, const Axes& axes, bool keepdims = false);
std::pair<array, array> minmax(const array& a, int axis, bool keepdims = false);
std::pair<array, array> minmax(const array& a, bool keepdims = false);

/// True where every element is non-zero (NaN is). No elements: true.
array all(const array& a, const Axes& axes, bool keepdims = false);
array all(const array& a, int axis, bool keepdims = false);
array all(const array& a, bool keepdims = false);

/// True where some element is non-zero. No elements: false.
array any(const array& a, const Axes& axes, bool keepdims = false);
array any(const array& a, int axis, bool keepdims = false);
array any(const array& a, bool keepdims = false);

/// Arithmetic mean, in float32 for integers. No elements: NaN.
array mean(const array& a, const Axes& axes, bool keepdims = false);
array mean(const array& a, int axis, bool keepdims = false);
array mean(const array& a, bool keepdims = false);

/// Variance: mean squared distance from the mean, with divisor max(n - ddof, 0). Real for complex input.
array var(const array& a, const Axes& axes, bool keepdims = false, int ddof = 0);
array var(const array& a, int axis, bool keepdims = false, int ddof = 0);
array var(const array& a, bool keepdims = false, int ddof = 0);

/// Square root of var. Where the variance is 0 its derivative is taken as 0.
array std(const array& a, const Axes& axes, bool keepdims = false, int ddof = 0);
array std(const array& a, int axis, bool keepdims = false, int ddof = 0);
array std(const array& a, bool keepdims = false, int ddof = 0);

/// Middle element, or mean of the two middle ones. NaN if any element is NaN.
array median(const array& a, const Axes& axes, bool keepdims = false);
array median(const array& a, int axis, bool keepdims = false);
array median(const array& a, bool keepdims = false);

/// Index (uint32) of the first largest element along `axis`; the first NaN, if any, counts as largest.
array argmax(const array& a, int axis, bool keepdims = false);
/// The same in the flattened array.
array argmax(const array& a, bool keepdims = false);

/// Index (uint32) of the first smallest element along `axis`; the first NaN, if any, counts as smallest.
array argmin(const array& a, int axis, bool keepdims = false);
/// The same in the flattened array.
array argmin(const array& a, bool keepdims = false);

}  // namespace mx

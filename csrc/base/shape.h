// shape.h — shapes, strides and axes, and the checks that every operation shares.
// Sizes are 64-bit and counted in elements; strides too. Start at normalize_axis() and broadcast_shapes().
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "base/small_vector.h"

namespace mx {

using Shape = SmallVector<int64_t, 6>;
using Strides = SmallVector<int64_t, 6>;
using Axes = SmallVector<int, 6>;

/// Number of elements; throws OverflowError when it does not fit 63 bits.
int64_t n_elems(const Shape& shape);

/// Strides of a row-contiguous array of this shape.
Strides row_strides(const Shape& shape);

/// "(2, 3)" and "(2,)": shapes as Python prints them.
std::string str(const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Axes& axes);

/// `axis` in [0, ndim); throws AxisError that names `op`.
int normalize_axis(int64_t axis, int64_t ndim, std::string_view op);

/// All of `axes` in [0, ndim), ascending, without repeats (a repeat throws ValueError).
Axes normalize_axes(std::span<const int> axes, int64_t ndim, std::string_view op);

/// 0, 1, ..., ndim - 1.
Axes all_axes(int64_t ndim);

/// `axes` moved by one for a batch axis in front: what a vmap rule does to its axes.
Axes shift(const Axes& axes);

/// `shape` with `size` put in front, or at `axis`.
Shape with_axis(const Shape& shape, int64_t size, int axis = 0);
/// `shape` without `axis`.
Shape without_axis(const Shape& shape, int axis);

/// The common shape by NumPy's rule; throws ValueError naming `op` and both shapes.
Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op);

/// True when every step of these strides walks memory in row order with no gaps (sizes of 1 ignored).
bool is_row_contiguous(const Shape& shape, const Strides& strides);

}  // namespace mx

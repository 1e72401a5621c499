// movement.h — operations that move elements without changing them: shape, order of axes, slices, joins.
//
// Where strides allow (always for transpose, broadcast, slice, diagonal; mostly for reshape) the result is a
// view of its input's memory. Axes may be negative. A call that changes nothing returns its input.
// Sources: movement.cpp (shape and axes), movement_slice.cpp (slices and windows), movement_join.cpp (joins,
// splits and what is made of them). Creation is in create.h; indexing with arrays in index.h.
#pragma once

#include "graph/array.h"

namespace mx {

// ---- shape

/// The same elements in row order with another shape. One size may be -1: it is found from the others.
array reshape(const array& a, const Shape& shape);
/// Merges the axes from `start_axis` to `end_axis` (inclusive; clamped to the array's) into one.
array flatten(const array& a, int start_axis = 0, int end_axis = -1);
/// Splits one axis into several; one size may be -1.
array unflatten(const array& a, int axis, const Shape& shape);
/// Removes axes of size 1: all of them, one, or those named (throws ValueError if a named one is not of size 1).
array squeeze(const array& a);
array squeeze(const array& a, int axis);
array squeeze(const array& a, const Axes& axes);
/// Inserts axes of size 1, at these positions of the result.
array expand_dims(const array& a, int axis);
array expand_dims(const array& a, const Axes& axes);
/// `a` seen with a larger shape, by NumPy's broadcasting rule. Takes no memory.
array broadcast_to(const array& a, const Shape& shape);
/// All arrays with their common shape.
Arrays broadcast_arrays(const Arrays& arrays);
/// At least one, two or three dimensions. For two, an axis is put in front; for three, (n,) becomes (1, n, 1)
/// and (m, n) becomes (m, n, 1).
array atleast_1d(const array& a);
array atleast_2d(const array& a);
array atleast_3d(const array& a);

// ---- order of axes

/// Reverses the axes.
array transpose(const array& a);
/// Axis i of the result is axis `axes[i]` of `a`.
array transpose(const array& a, const Axes& axes);
array permute_dims(const array& a);
array permute_dims(const array& a, const Axes& axes);
/// Exchanges the last two axes; throws ValueError for fewer than two.
array matrix_transpose(const array& a);
array swapaxes(const array& a, int axis1, int axis2);
/// Moves axes to new positions; the others keep their order.
array moveaxis(const array& a, int source, int destination);
array moveaxis(const array& a, const Axes& source, const Axes& destination);

// ---- slices and windows

/// Python's `a[start:stop:step, ...]`, one triple an axis: negative starts and stops count from the end, and all are
/// clamped. With a negative step, a stop before element 0 is written as -n - 1 or less. A view.
array slice(const array& a, const Shape& starts, const Shape& stops, const Shape& steps);
array slice(const array& a, const Shape& starts, const Shape& stops);
/// A slice along one axis, whole along the others.
array slice_along(const array& a, int axis, int64_t start, int64_t stop, int64_t step = 1);
/// `a` with the elements of that slice replaced by `update`, which is cast to a's dtype and broadcast to the slice.
array slice_update(const array& a, const array& update, const Shape& starts, const Shape& stops, const Shape& steps);
array slice_update(const array& a, const array& update, const Shape& starts, const Shape& stops);

/// A block of size `sizes` (one size an axis of `a`) that begins at `start` along `axes` and at 0 along the others.
/// `start` holds integers, shape (axes.size(),); each is clamped so that the block fits.
/// Leading axes of `start` before its last are batch axes: the first axes of `a` too, and not among `axes`.
array dynamic_slice(const array& a, const array& start, const Axes& axes, const Shape& sizes);
/// `a` with the block at `start` replaced by `update`, which is cast to a's dtype; missing leading axes count as 1.
array dynamic_slice_update(const array& a, const array& update, const array& start, const Axes& axes);

/// Element (i, j, ...) is element `offset + i * strides[0] + j * strides[1] + ...` of a's elements in row order.
/// Throws ValueError if that leaves the array. Differentiable, overlapping windows included.
array as_strided(const array& a, const Shape& shape, const Strides& strides, int64_t offset = 0);
/// Its transpose: zeros of shape (n,) with every element of `x` added at `offset + i * strides[0] + ...`.
array as_strided_add(const array& x, int64_t n, const Strides& strides, int64_t offset = 0);

/// The diagonal of axes (axis1, axis2), as the last axis; `offset` > 0 lies above the main one. A view.
array diagonal(const array& a, int64_t offset = 0, int axis1 = 0, int axis2 = 1);
/// A vector's square matrix with it on diagonal k, or a matrix's diagonal k.
array diag(const array& a, int64_t k = 0);
/// Sum of a diagonal. bool and small integers are summed in 32 bits.
array trace(const array& a, int64_t offset = 0, int axis1 = 0, int axis2 = 1);
array trace(const array& a, int64_t offset, int axis1, int axis2, Dtype dtype);

// ---- joining and splitting

/// Joins along an existing axis; the dtypes are promoted to a common one.
array concatenate(const Arrays& arrays, int axis = 0);
/// Joins along a new axis.
array stack(const Arrays& arrays, int axis = 0);
/// The slices along `axis`, without it.
Arrays unstack(const array& a, int axis = 0);
/// `n_sections` equal parts; throws ValueError if the axis does not divide.
Arrays split(const array& a, int64_t n_sections, int axis = 0);
/// Parts [0, i0), [i0, i1), ..., each cut as Python slices are.
Arrays split(const array& a, const Shape& indices, int axis = 0);
/// Each element `repeats` times in a row, along `axis` or in the flattened array.
array repeat(const array& a, int64_t repeats, int axis);
array repeat(const array& a, int64_t repeats);
/// The whole array `reps[i]` times along axis i; the shorter of shape and reps is filled with 1 in front.
array tile(const array& a, const Shape& reps);
/// Moves elements by `shift` places, those past the end coming in at the front; without an axis in the flattened array.
array roll(const array& a, int64_t shift);
array roll(const array& a, int64_t shift, int axis);
array roll(const array& a, const Shape& shifts, const Axes& axes);
/// Reverses the order along all axes, or those named. A view.
array flip(const array& a);
array flip(const array& a, int axis);
array flip(const array& a, const Axes& axes);

/// What `pad` fills with: a value, the nearest edge element, the mirror image without or with the edge repeated.
enum class PadMode : uint8_t { constant, edge, reflect, symmetric };
/// Adds `low[i]` elements before and `high[i]` after axis `axes[i]`. `value` (for constant; undefined means 0) is cast to
/// a's dtype and broadcast to the result; gradients reach it.
array pad(const array& a, const Axes& axes, const Shape& low, const Shape& high, const array& value = array(),
          PadMode mode = PadMode::constant);

/// Coordinate arrays from vectors (other arrays are flattened). `xy` exchanges the first two axes; `sparse` leaves size 1
/// where broadcasting would repeat.
Arrays meshgrid(const Arrays& arrays, bool sparse = false, bool xy = true);
/// The n-th difference `a[i + 1] - a[i]` along `axis`; for bool, whether they differ.
array diff(const array& a, int64_t n = 1, int axis = -1);

}  // namespace mx

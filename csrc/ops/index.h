// index.h — reading and writing at index arrays: gather, scatter, and what is built on them.
//
// Indices may have any integer dtype. Negative ones count from the end; one outside the axis raises
// IndexError when the result is computed. Results are deterministic: updates are applied in the row order
// of the index arrays, so with ScatterMode::set the last write to a place wins.
// Basic slices are in movement.h; the Python index expressions x[...] are in python/bindings/indexing.cpp.
#pragma once

#include <optional>

#include "graph/array.h"
#include "ops/index_params.h"

namespace mx {

/// Elements of `a` along `axis` at `indices`: shape a.shape[:axis] + indices.shape + a.shape[axis+1:].
array take(const array& a, const array& indices, int axis);
/// Elements of the flattened `a` at `indices`.
array take(const array& a, const array& indices);
/// As above for one index, which drops the axis; out of range it throws IndexError at once.
array take(const array& a, int64_t index, int axis);
array take(const array& a, int64_t index);

/// out[.., i, ..] = a[.., indices[.., i, ..], ..] along `axis`; other axes broadcast. No axis: flattened `a`.
array take_along_axis(const array& a, const array& indices, std::optional<int> axis);
/// A copy of `a` with out[.., indices[.., i, ..], ..] = values[.., i, ..]; values broadcast to the indices.
array put_along_axis(const array& a, const array& indices, const array& values, std::optional<int> axis);
/// put_along_axis with a way to combine: what is already there and all that is written to one place.
array scatter_along_axis(const array& a, const array& indices, const array& values, int axis, ScatterMode mode);
array scatter_add_along_axis(const array& a, const array& indices, const array& values, int axis);

/// NumPy's advanced indexing with several index arrays (broadcast against each other; scalars are fine).
/// Axis axes[k] of `a` is read at indices[k]; the index dimensions stand in the result before the
/// `at`-th of the remaining axes of `a`.
array gather_at(const array& a, const Arrays& indices, const Axes& axes, int at);
/// The inverse: a copy of `a` in which the places that gather_at would read are combined with `updates`,
/// which broadcast to the shape that gather_at would return.
array scatter_at(const array& a, const Arrays& indices, const array& updates, const Axes& axes, int at,
                 ScatterMode mode);

/// Windows of `a`: out[i.., s..] = a[s with indices[k][i..] added on axis axes[k]]. The index dimensions come
/// first, then one axis per axis of `a` of size slice_sizes. A window must lie inside the array.
array gather(const array& a, const Arrays& indices, const Axes& axes, const Shape& slice_sizes);
/// The inverse of gather: updates have its result's shape, index dimensions first.
array scatter(const array& a, const Arrays& indices, const array& updates, const Axes& axes,
              ScatterMode mode = ScatterMode::set);
array scatter_add(const array& a, const Arrays& indices, const array& updates, const Axes& axes);
array scatter_multiply(const array& a, const Arrays& indices, const array& updates, const Axes& axes);
array scatter_min(const array& a, const Arrays& indices, const array& updates, const Axes& axes);
array scatter_max(const array& a, const Arrays& indices, const array& updates, const Axes& axes);

/// The indices of the true (non-zero) elements, one int64 array per axis. Evaluates `a`; in a trace: TransformError.
Arrays nonzero(const array& a);
/// Element i along `axis` counts[i] times in a row; one count serves all. Evaluates the counts.
array repeat(const array& a, const array& counts, int axis);
/// a[mask] for a boolean mask that covers the leading axes of `a`. Evaluates the mask.
array masked_select(const array& a, const array& mask);
/// a with a[mask] = values: values are a scalar, broadcast to the selection, or (when they broadcast to `a` and
/// the mask has no value yet) are chosen by `where`. Evaluates the mask only if it must.
array masked_assign(const array& a, const array& mask, const array& values);

}  // namespace mx

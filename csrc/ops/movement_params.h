// movement_params.h — parameters of the movement primitives: all that a backend may know of them.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// reshape, broadcast: the shape of the result.
struct ShapeParams {
  Shape shape;
  auto fields() const { return std::tie(shape); }
};

struct TransposeParams {
  Axes axes;
  auto fields() const { return std::tie(axes); }
};

/// slice, slice_update: element i along axis d of the slice is element `starts[d] + i * steps[d]`, for i < sizes[d].
/// All within the array; steps may be negative. An axis with no elements has start 0.
struct SliceParams {
  Shape starts, steps, sizes;
  auto fields() const { return std::tie(starts, steps, sizes); }
};

/// dynamic_slice, dynamic_slice_update: the last input holds the starts along `axes`, shape (batch..., axes.size());
/// its batch axes are the first axes of the other inputs.
struct DynamicSliceParams {
  Axes axes;
  Shape sizes;  ///< Shape of the block, batch axes included.
  auto fields() const { return std::tie(axes, sizes); }
};

/// as_strided: a one-dimensional input seen with this shape and strides. as_strided_add: its transpose, to `n` elements.
struct StridedParams {
  Shape shape;
  Strides strides;
  int64_t offset, n;
  auto fields() const { return std::tie(shape, strides, offset, n); }
};

/// diagonal: of the last two axes.
struct DiagonalParams {
  int64_t offset;
  auto fields() const { return std::tie(offset); }
};

struct ConcatenateParams {
  int axis;
  auto fields() const { return std::tie(axis); }
};

extern const Primitive reshape_p, broadcast_p, transpose_p, slice_p, slice_update_p, dynamic_slice_p, dynamic_slice_update_p,
    as_strided_p, as_strided_add_p, diagonal_p, concatenate_p;

}  // namespace mx

// layout.h — arrays of any strides as kernels walk them. `collapse` merges the axes that all operands step through alike;
// `split_axes` sees an array as the axes kept and the axes worked along. Strides are in elements throughout.
#pragma once

#include <initializer_list>
#include <span>

#include "graph/array.h"

namespace mx {

/// A shape with the strides of several operands, after collapse: sizes of 1 are gone and axes that every operand steps
/// through without a jump are one. Never empty: a scalar is shape (1,) with strides 0.
struct Layout {
  Shape shape;
  SmallVector<Strides, 4> strides;  ///< One for each operand, as long as `shape`.
  int64_t size = 1;

  int64_t inner() const { return shape.back(); }
  int64_t inner_stride(size_t operand) const { return strides[operand].back(); }
  bool contiguous(size_t operand) const { return shape.size() == 1 && (strides[operand][0] == 1 || size == 1); }
  bool constant(size_t operand) const { return shape.size() == 1 && strides[operand][0] == 0; }
};

/// The layout of operands that share `shape`.
Layout collapse(const Shape& shape, std::span<const Strides* const> strides);
inline Layout collapse(const Shape& shape, std::initializer_list<const Strides*> strides) {
  return collapse(shape, std::span(strides.begin(), strides.size()));
}

/// The axes kept and the axes worked along, each merged and, where the order does not matter, with the smallest stride innermost.
/// Operand 0 is the input, operand 1 the output.
struct AxesLayout {
  Layout kept, along;
  /// Neighbours in memory belong to different results: then whole rows are combined element by element.
  bool by_columns = false;
};

/// `out` has a stride for every axis of `shape`, 0 for one that the output lacks. `axes` ascending. With `any_order` the
/// elements along `axes` may be visited in another than row order.
AxesLayout split_axes(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order);

/// Strides of a row-contiguous result without `axes`, one for every axis of `shape`.
Strides reduced_strides(const Shape& shape, const Axes& axes);

}  // namespace mx

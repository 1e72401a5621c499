// layout.h — arrays of any strides as kernels walk them, and grids for that. A Layout is the shape that some operands share with the
// strides of each, without axes of size 1 and with axes merged that all operands step through without a jump. As bytes it is
// what metal/kernels/strided.h reads.
#pragma once

#include <span>

#include "backend/metal/plan/launch.h"

namespace mx::metal {

struct Layout {
  Shape shape;                       ///< At least one axis: a scalar is (1,).
  SmallVector<Strides, 4> strides;   ///< One for each operand, in elements.
  int64_t size = 1;

  bool contiguous(size_t operand) const { return shape.size() == 1 && (strides[operand][0] == 1 || size == 1); }
  bool single(size_t operand) const { return shape.size() == 1 && (strides[operand][0] == 0 || size == 1); }
  /// n_dims, sizes, strides; filled up with axes of size 1 in front to at least three.
  std::vector<int64_t> words() const;
  /// Whether words() can be bound by value.
  bool fits() const { return (1 + (1 + strides.size()) * std::max<size_t>(shape.size(), 3)) * sizeof(int64_t) <= kMaxInlineBytes; }
};

Layout collapse(const Shape& shape, std::span<const Strides* const> strides);
inline Layout collapse(const Shape& shape, std::initializer_list<const Strides*> strides) {
  return collapse(shape, std::span(strides.begin(), strides.size()));
}

/// The smallest power of two that is not less than n, but at most `most`.
uint32_t power_of_2_for(uint64_t n, uint32_t most);

/// A grid, and the threadgroups that it is made of.
struct Grid {
  Size3 threads, group;
};
/// At least n threads, numbered by strided.h's linear_index().
Grid linear_grid(uint64_t n);
/// x, y: the last two axes; z: all others. At most; kernels step on by the size of the grid.
Grid strided_grid(const Shape& shape);
/// `n` threadgroups of `group_threads` threads along x, the rest along y: group y * threadgroups.x + x, if less than n.
Grid group_grid(uint64_t n, uint32_t group_threads);

}  // namespace mx::metal

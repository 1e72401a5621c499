// layout.h — arrays of any strides (runtime/layout.h) as metal/kernels/strided.h reads them, and grids for that.
#pragma once

#include "backend/metal/plan/launch.h"
#include "runtime/layout.h"

namespace mx::metal {

/// A layout as kernels read it: n_dims, sizes, strides; filled up with axes of size 1 in front to at least three.
std::vector<int64_t> words(const Layout& l);
/// Whether words() can be bound by value.
inline bool fits_inline(const Layout& l) {
  return (1 + (1 + l.strides.size()) * std::max<size_t>(l.shape.size(), 3)) * sizeof(int64_t) <= kMaxInlineBytes;
}
inline bool fits_inline(const AxesLayout& l) { return fits_inline(l.kept) && fits_inline(l.along); }
/// Whether all elements of an operand are one.
inline bool single(const Layout& l, size_t operand) { return l.constant(operand) || l.size == 1; }

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

// strided.h — how kernels walk arrays. Contiguous work is numbered by linear_index(); a layout (plan/layout.h) of N operands
// is walked by three loops: the innermost axis, the one before it, and all others together as one number.
//
// A layout in memory: n_dims (at least 3), then the sizes, then N times the strides, outermost first, in elements.
#pragma once

#include "common.h"

/// The thread's number in a grid that plan/layout.h's linear_grid() made.
inline ulong linear_index(uint3 at, uint3 grid) { return at.x + ulong(grid.x) * at.y; }

template <int N>
struct Offsets {
  long at[N];
};

inline long layout_dims(constant long* layout) { return layout[0]; }
/// Of the axis `from_last`: 0 is the innermost one.
inline long layout_size(constant long* layout, int from_last) { return layout[layout[0] - from_last]; }
inline long layout_stride(constant long* layout, int operand, int from_last) { return layout[(operand + 2) * layout[0] - from_last]; }
/// The product of all sizes but the last two.
inline ulong layout_rest(constant long* layout) {
  ulong n = 1;
  for (long d = 1; d <= layout[0] - 2; ++d) n *= ulong(layout[d]);
  return n;
}

/// The place along an axis of `size` in `left`, which loses it.
inline uint take_axis(thread uint& left, long size) {
  // A size of more than 32 bits is larger than what is left.
  uint n = size >> 32 ? 1u : uint(size), whole = size >> 32 ? 0u : left / n, place = left - whole * n;
  left = whole;
  return place;
}
inline ulong take_axis(thread ulong& left, long size) {
  ulong whole = left / ulong(size), place = left - whole * ulong(size);
  left = whole;
  return place;
}

/// Adds, for the first `n_axes` axes, where `index` in their row order is.
template <int N>
inline void add_offsets(thread Offsets<N>& o, constant long* layout, ulong index, long n_axes) {
  long dims = layout[0];
  if (index >> 32 == 0) {
    uint left = uint(index);
    for (long d = n_axes; d > 0 && left; --d) {
      uint i = take_axis(left, layout[d]);
      for (int k = 0; k < N; ++k) o.at[k] += long(i) * layout[(k + 1) * dims + d];
    }
  } else {
    ulong left = index;
    for (long d = n_axes; d > 0 && left; --d) {
      ulong i = take_axis(left, layout[d]);
      for (int k = 0; k < N; ++k) o.at[k] += long(i) * layout[(k + 1) * dims + d];
    }
  }
}

/// Where element (rest, y, 0) of each operand is: `rest` counts in row order through all axes but the last two.
template <int N>
inline Offsets<N> row_offsets(constant long* layout, ulong rest, long y) {
  Offsets<N> o;
  for (int k = 0; k < N; ++k) o.at[k] = y * layout_stride(layout, k, 1);
  add_offsets(o, layout, rest, layout[0] - 2);
  return o;
}

/// Where element `index`, in row order, of each operand is.
template <int N>
inline Offsets<N> element_offsets(constant long* layout, ulong index) {
  Offsets<N> o;
  for (int k = 0; k < N; ++k) o.at[k] = 0;
  add_offsets(o, layout, index, layout[0]);
  return o;
}

// movement.metal — blocks at positions read from an array (dynamic_slice and its update), and sums of windows (as_strided_add). What
// else moves is a copy (copy.metal). The planners are in plan/movement.cpp.

#include "elements.h"
#include "indices.h"
#include "strided.h"

// T stands for an element's bits. Either the source or the destination is the big array in which the block's position is read from `starts`. The third operand
// of the layout is `starts` (stride 0 but for batch axes). moves: number of axes, step between the starts of one block, then an axis's
// largest start and stride each.
constant bool into_big [[function_constant(1)]];

template <typename T>
[[kernel]] void dynamic_block(
    device const T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    device const uchar* starts [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    constant long* moves [[buffer(4)]],
    constant ulong& n [[buffer(5)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong i = linear_index(at, grid);
  if (i >= n) return;
  Offsets<3> o = element_offsets<3>(layout, i);
  long moved = 0;
  for (long k = 0; k < moves[0]; ++k) {
    long start = read_index(starts, o.at[2] + k * moves[1]), most = moves[2 + 2 * k];
    // A uint64 beyond a long is as good as the largest start.
    if (start > most || (start < 0 && !index_is_signed())) start = most;
    if (start < 0) start = 0;
    moved += start * moves[3 + 2 * k];
  }
  out[o.at[1] + (into_big ? moved : 0)] = in[o.at[0] + (into_big ? 0 : moved)];
}

// A thread sums all elements of windows that lie on one element of the result: it goes through the positions whose strides add up to
// the element, axis by axis, those of large strides first. windows: number of axes, then size, stride in the result, stride in x, and
// how far the axes behind this one reach, each.
template <typename T>
[[kernel]] void windows_add(
    device const T* x [[buffer(0)]],
    device T* out [[buffer(1)]],
    constant long* windows [[buffer(2)]],
    constant long* place [[buffer(3)]],  // Number of results; the first window's place.
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong j = linear_index(at, grid);
  if (j >= ulong(place[0])) return;
  constexpr int kDims = 12;
  long position[kDims], last[kDims], rest[kDims], from[kDims];
  int dims = int(windows[0]), d = 0;
  Compute<T> sum = convert<Compute<T>>(0.0f);
  rest[0] = long(j) - place[1];
  from[0] = 0;
  bool enter = true;
  while (d >= 0) {
    long size = windows[1 + 4 * d], stride = windows[2 + 4 * d], step = windows[3 + 4 * d], reach = windows[4 + 4 * d];
    if (enter) {
      position[d] = 0;
      last[d] = size - 1;
      if (stride > 0) {
        long least = rest[d] - reach;
        if (least > 0) position[d] = (least + stride - 1) / stride;
        last[d] = rest[d] < 0 ? -1 : min(size - 1, rest[d] / stride);
      }
      enter = false;
    }
    if (position[d] > last[d]) {
      --d;
      if (d >= 0) ++position[d];
      continue;
    }
    long left = rest[d] - position[d] * stride, here = from[d] + position[d] * step;
    if (d == dims - 1) {
      if (left == 0) sum = sum + widen(x[here]);
      ++position[d];
      continue;
    }
    ++d;
    rest[d] = left;
    from[d] = here;
    enter = true;
  }
  out[j] = T(sum);
}

INSTANTIATE("dynamic_block_uint8", dynamic_block, uchar)
INSTANTIATE("dynamic_block_uint16", dynamic_block, ushort)
INSTANTIATE("dynamic_block_uint32", dynamic_block, uint)
INSTANTIATE("dynamic_block_uint64", dynamic_block, ulong)

INSTANTIATE("windows_add_float16", windows_add, half)
INSTANTIATE("windows_add_bfloat16", windows_add, bfloat)
INSTANTIATE("windows_add_float32", windows_add, float)
INSTANTIATE("windows_add_complex64", windows_add, complex64)

// copy.metal — copies of elements of 1, 2, 4 or 8 bytes between layouts. copy_<bits> walks contiguous memory or a layout of (destination,
// source); copy_turned_<bits> is for sources that are contiguous along the last axis but one and destinations that are along the last.
// plan/copy.cpp launches these.

#include "strided.h"

constant bool strided [[function_constant(0)]];

template <class T>
[[kernel]] void copy(
    device const T* from [[buffer(0)]],
    device T* to [[buffer(1)]],
    constant ulong& n [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  if (!strided) {
    ulong begin = linear_index(at, grid) * 4;
    for (ulong i = begin; i < begin + 4 && i < n; ++i) to[i] = from[i];
    return;
  }
  long width = layout_size(layout, 0), height = layout_size(layout, 1);
  long to_step = layout_stride(layout, 0, 0), from_step = layout_stride(layout, 1, 0);
  ulong rest = layout_rest(layout);
  for (ulong z = at.z; z < rest; z += grid.z) {
    for (long y = at.y; y < height; y += grid.y) {
      Offsets<2> o = row_offsets<2>(layout, z, y);
      for (long x = at.x; x < width; x += grid.x) to[o.at[0] + x * to_step] = from[o.at[1] + x * from_step];
    }
  }
}

constant constexpr int kTile = 32;
constant constexpr int kTileRows = 8;

// Threadgroups of (32, 8) threads, each with a tile of 32 x 32: read along the last axis but one, written along the last.
template <class T>
[[kernel]] void copy_turned(
    device const T* from [[buffer(0)]],
    device T* to [[buffer(1)]],
    constant long* layout [[buffer(2)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint3 thread_at [[thread_position_in_threadgroup]]) {
  // One more, so that a column's elements lie in different banks.
  threadgroup T tile[kTile][kTile + 1];
  int tx = int(thread_at.x), ty = int(thread_at.y);
  long width = layout_size(layout, 0), height = layout_size(layout, 1), first_x = long(group.x) * kTile, first_y = long(group.y) * kTile;
  long to_step = layout_stride(layout, 0, 1), from_step = layout_stride(layout, 1, 0);
  ulong rest = layout_rest(layout);
  for (ulong z = group.z; z < rest; z += groups.z) {
    Offsets<2> o = row_offsets<2>(layout, z, 0);
    for (int k = ty; k < kTile; k += kTileRows) {
      if (first_x + k < width && first_y + tx < height) tile[k][tx] = from[o.at[1] + (first_x + k) * from_step + first_y + tx];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int k = ty; k < kTile; k += kTileRows) {
      if (first_x + tx < width && first_y + k < height) to[o.at[0] + (first_y + k) * to_step + first_x + tx] = tile[tx][k];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

#define COPY_KERNELS(T, NAME)                 \
  INSTANTIATE("copy_" NAME, copy, T)          \
  INSTANTIATE("copy_turned_" NAME, copy_turned, T)
COPY_KERNELS(uchar, "uint8")
COPY_KERNELS(ushort, "uint16")
COPY_KERNELS(uint, "uint32")
COPY_KERNELS(ulong, "uint64")

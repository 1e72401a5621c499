// common.h — what every kernel file includes: the standard library, names for instantiations, and how bad indices are reported.
//
// One source for Apple's compiler and for the host (metal/host), in a subset that docs/metal.md lists.
#pragma once

#include <metal_atomic>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>

using namespace metal;

// Makes func<...> a kernel that the host finds by `name`: INSTANTIATE("row_sum_float32", row_reduce, float, Sum)
#define INSTANTIATE(name, func, ...) \
  template [[host_name(name)]] [[kernel]] decltype(func<__VA_ARGS__>) func<__VA_ARGS__>;

// What a kernel leaves when it meets an index out of bounds; the first one wins. Zero before the launch. The driver looks at it
// when the work is done and raises IndexError.
struct Status {
  atomic_uint taken;
  int axis;
  long index, size;
};

inline void report_index(device Status* status, long index, long size, int axis) {
  if (atomic_exchange_explicit(&status->taken, 1u, memory_order_relaxed) == 0) {
    status->index = index;
    status->size = size;
    status->axis = axis;
  }
}

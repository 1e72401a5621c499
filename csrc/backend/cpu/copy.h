// copy.h — moving elements between layouts without looking at them. Used by every kernel that copies:
// contiguous, reshape, concatenate, pad, slice_update. Runs on the pool; transposes go in blocks.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

/// Copies `shape` elements of `itemsize` bytes (1, 2, 4 or 8) from strides to strides (in elements). `dst` and
/// `src` are the first elements and must not overlap; no two destination elements may coincide.
void copy_strided(const void* src, const Strides& src_strides, void* dst, const Strides& dst_strides, const Shape& shape,
                  size_t itemsize);

/// All elements of x in row order into `dst`.
void copy_to(const array& x, void* dst);

/// A kernel: the output is the first input's elements in row order (contiguous, reshape, ...).
void copy_kernel(const Task& task);

}  // namespace mx::cpu

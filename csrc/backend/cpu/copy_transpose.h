// copy_transpose.h — transposing in blocks that go through registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mx::cpu {

/// dst[j * dst_row + i] = src[i * src_row + j] for i < rows, j < cols, in elements of T (1, 2, 4 or 8 bytes, unsigned).
/// `stream` writes past the caches; then call stream_fence() before another thread may read.
template <class T>
void transpose_tile(const T* src, int64_t src_row, T* dst, int64_t dst_row, int64_t rows, int64_t cols, bool stream);

/// Tiles had better have multiples of this many rows: a few cache lines of the destination.
template <class T>
constexpr int64_t kTransposeRows = (sizeof(T) == 8 ? 128 : 256) / static_cast<int64_t>(sizeof(T));

}  // namespace mx::cpu

// copy_transpose.cpp — see copy_transpose.h. A square of vectors is transposed by interleaving its rows log2(n) times;
// as many squares as fill the cache lines of source and destination make a block.

#include "backend/cpu/copy_transpose.h"

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/stream.h"

namespace mx::cpu {

namespace {

template <class T>
struct Square {
  // Small elements in small vectors: the square must fit the registers.
  static constexpr int bytes = sizeof(T) >= 4 ? 32 : 16, n = bytes / static_cast<int>(sizeof(T));
  typedef T V __attribute__((vector_size(bytes)));
};

template <class T, int First, int... I>
MX_INLINE void interleave(const typename Square<T>::V& a, const typename Square<T>::V& b, typename Square<T>::V& to,
                          std::integer_sequence<int, I...>) {
  to = __builtin_shufflevector(a, b, (First + I / 2 + (I % 2 ? Square<T>::n : 0))...);
}

// Rows k and k + n/2 become rows 2k and 2k + 1, until every row is a column.
template <class T, int Step>
MX_INLINE void interleave_rows(typename Square<T>::V* v) {
  constexpr int n = Square<T>::n;
  constexpr auto lanes = std::make_integer_sequence<int, n>();
  if constexpr (Step > 1) {
    typename Square<T>::V w[n];
#pragma GCC unroll 16
    for (int k = 0; k < n / 2; ++k) {
      interleave<T, 0>(v[k], v[k + n / 2], w[2 * k], lanes);
      interleave<T, n / 2>(v[k], v[k + n / 2], w[2 * k + 1], lanes);
    }
#pragma GCC unroll 16
    for (int k = 0; k < n; ++k) v[k] = w[k];
    interleave_rows<T, Step / 2>(v);
  }
}

// A block of cache lines: 64 bytes of `high` source rows become 64 bytes / sizeof(T) destination rows. Whole lines are read
// and written, one right after the other, however badly the rows map to the caches.
template <class T, bool Stream>
MX_INLINE void transpose_block(const T* src, int64_t src_row, T* dst, int64_t dst_row) {
  using V = typename Square<T>::V;
  constexpr int n = Square<T>::n, wide = 64 / static_cast<int>(sizeof(T)), high = static_cast<int>(kTransposeRows<T>);
  alignas(64) T block[wide][high];
  for (int i = 0; i < high; i += n) {
#pragma GCC unroll 4
    for (int j = 0; j < wide; j += n) {
      V v[n];
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) std::memcpy(&v[k], src + (i + k) * src_row + j, sizeof(V));
      interleave_rows<T, n>(v);
#pragma GCC unroll 16
      for (int k = 0; k < n; ++k) std::memcpy(&block[j + k][i], &v[k], sizeof(V));
    }
  }
  for (int j = 0; j < wide; ++j) {
#if defined(__x86_64__)
    if constexpr (Stream) {
#pragma GCC unroll 16
      for (size_t q = 0; q < sizeof(block[0]) / 16; ++q) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(dst + j * dst_row) + q, _mm_load_si128(reinterpret_cast<const __m128i*>(block[j]) + q));
      }
      continue;
    }
#endif
    std::memcpy(dst + j * dst_row, block[j], sizeof(block[0]));
  }
}

template <class T, bool Stream>
MX_CLONES void transpose_blocks(const T* src, int64_t src_row, T* dst, int64_t dst_row, int64_t rows, int64_t cols) {
  constexpr int64_t high = kTransposeRows<T>, wide = 64 / static_cast<int64_t>(sizeof(T)), n = Square<T>::n;
  int64_t i = 0;
  for (; i + high <= rows; i += high) {
    int64_t j = 0;
    for (; j + wide <= cols; j += wide) {
      transpose_block<T, Stream>(src + i * src_row + j, src_row, dst + j * dst_row + i, dst_row);
    }
    for (; j < cols; ++j) {
      for (int64_t k = i; k < i + high; ++k) dst[j * dst_row + k] = src[k * src_row + j];
    }
  }
  // What is left is less than a block high.
  for (; i + n <= rows; i += n) {
    int64_t j = 0;
    for (; j + n <= cols; j += n) {
      typename Square<T>::V v[n];
      for (int k = 0; k < n; ++k) std::memcpy(&v[k], src + (i + k) * src_row + j, sizeof(v[k]));
      interleave_rows<T, n>(v);
      for (int k = 0; k < n; ++k) std::memcpy(dst + (j + k) * dst_row + i, &v[k], sizeof(v[k]));
    }
    for (; j < cols; ++j) {
      for (int64_t k = i; k < i + n; ++k) dst[j * dst_row + k] = src[k * src_row + j];
    }
  }
  for (int64_t j = 0; j < cols; ++j) {
    for (int64_t k = i; k < rows; ++k) dst[j * dst_row + k] = src[k * src_row + j];
  }
}

}  // namespace

template <class T>
void transpose_tile(const T* src, int64_t src_row, T* dst, int64_t dst_row, int64_t rows, int64_t cols, bool stream) {
  bool aligned = reinterpret_cast<uintptr_t>(dst) % 64 == 0 && dst_row * static_cast<int64_t>(sizeof(T)) % 64 == 0;
  if (stream && aligned) {
    transpose_blocks<T, true>(src, src_row, dst, dst_row, rows, cols);
  } else {
    transpose_blocks<T, false>(src, src_row, dst, dst_row, rows, cols);
  }
}

template void transpose_tile(const uint8_t*, int64_t, uint8_t*, int64_t, int64_t, int64_t, bool);
template void transpose_tile(const uint16_t*, int64_t, uint16_t*, int64_t, int64_t, int64_t, bool);
template void transpose_tile(const uint32_t*, int64_t, uint32_t*, int64_t, int64_t, int64_t, bool);
template void transpose_tile(const uint64_t*, int64_t, uint64_t*, int64_t, int64_t, int64_t, bool);

}  // namespace mx::cpu

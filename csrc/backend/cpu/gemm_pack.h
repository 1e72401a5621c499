// gemm_pack.h — bringing parts of matrices into the order in which the tiles read them: for each k, the
// elements of one panel side by side. Converts half types on the way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backend/cpu/gemm_tiles.h"

namespace mx::cpu {

/// n contiguous elements, converted to what products are summed in.
template <class S, class T>
void widen(const S* from, T* to, int64_t n) {
  if constexpr (std::is_same_v<S, T>) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else if constexpr (std::is_same_v<S, float16_t>) {
    tile_kernels<float>().widen_f16(from, to, n);
  } else {
    tile_kernels<float>().widen_bf16(from, to, n);
  }
}

/// The other way, rounding to nearest even.
template <class S, class T>
void narrow(const T* from, S* to, int64_t n) {
  if constexpr (std::is_same_v<S, T>) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else if constexpr (std::is_same_v<S, float16_t>) {
    tile_kernels<float>().narrow_f16(from, to, n);
  } else {
    tile_kernels<float>().narrow_bf16(from, to, n);
  }
}

/// dst[p * padded + i] = src[i * w_stride + p * k_stride] for i < width, p < k; zero for width <= i < padded.
template <class S, class T>
void pack_panel(const S* src, int64_t w_stride, int64_t k_stride, int64_t width, int64_t padded, int64_t k, T* dst) {
  if (width < padded) {
    for (int64_t p = 0; p < k; ++p) std::fill(dst + p * padded + width, dst + (p + 1) * padded, T(0));
  }
  if (w_stride == 1) {
    for (int64_t p = 0; p < k; ++p) {
      widen(src + p * k_stride, dst + p * padded, width);
    }
    return;
  }
  // Lines of the source in turn, in stretches so short that the stretch of dst stays in the first cache.
  constexpr int64_t kStretch = 32;
  int64_t p = 0;
  for (; p + kStretch <= k && k_stride == 1; p += kStretch) {
    T* to = dst + p * padded;
    int64_t i = 0;
    if constexpr (std::is_same_v<S, float>) {
      // Four lines at a time: 4 x 4 elements are transposed in registers.
      typedef float V __attribute__((vector_size(16)));
      for (; i + 4 <= width; i += 4) {
        const float* from = src + i * w_stride + p;
        for (int64_t q = 0; q < kStretch; q += 4) {
          V r[4];
          for (int j = 0; j < 4; ++j) std::memcpy(&r[j], from + j * w_stride + q, sizeof(V));
          V a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
          V c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
          V out[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                      __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
          for (int j = 0; j < 4; ++j) std::memcpy(to + (q + j) * padded + i, &out[j], sizeof(V));
        }
      }
    }
    for (; i < width; ++i) {
      T line[kStretch];
      widen(src + i * w_stride + p, line, kStretch);
      for (int64_t q = 0; q < kStretch; ++q) to[q * padded + i] = line[q];
    }
  }
  for (; p < k; ++p) {
    for (int64_t i = 0; i < width; ++i) dst[p * padded + i] = static_cast<T>(src[i * w_stride + p * k_stride]);
  }
}

/// Elements of two lines side by side, the bits of one float for each pair.
void pair_lines(const bfloat16_t* low, const bfloat16_t* high, uint32_t* to, int64_t n);

/// As pack_panel for elements (2p, 2p + 1) of k as one float's bits, ceil(k / 2) of them; a missing one is zero.
inline void pack_pairs(const bfloat16_t* src, int64_t w_stride, int64_t k_stride, int64_t width, int64_t padded, int64_t k, float* dst) {
  int64_t pairs = (k + 1) / 2;
  if (w_stride == 1) {
    constexpr bfloat16_t kZeros[kMaxTileVectors * 16] = {};
    for (int64_t p = 0; p < pairs; ++p) {
      const bfloat16_t *low = src + 2 * p * k_stride, *high = 2 * p + 1 < k ? low + k_stride : kZeros;
      pair_lines(low, high, reinterpret_cast<uint32_t*>(dst + p * padded), width);
      std::fill(dst + p * padded + width, dst + (p + 1) * padded, 0.0f);
    }
    return;
  }
  // Pairs that lie as such are moved like floats.
  if (k_stride == 1 && k % 2 == 0 && w_stride % 2 == 0 && reinterpret_cast<uintptr_t>(src) % alignof(float) == 0) {
    return pack_panel(reinterpret_cast<const float*>(src), w_stride / 2, int64_t(1), width, padded, pairs, dst);
  }
  // A stretch of every line first, as pairs; then as any other panel.
  constexpr int64_t kStretch = 32;
  float lines[kMaxTileVectors * 16][kStretch];
  for (int64_t p = 0; p < pairs; p += kStretch) {
    int64_t n = std::min(kStretch, pairs - p), elements = std::min(2 * n, k - 2 * p);
    for (int64_t i = 0; i < width; ++i) {
      const bfloat16_t* from = src + i * w_stride + 2 * p * k_stride;
      bfloat16_t line[2 * kStretch];
      if (k_stride == 1) {
        std::memcpy(line, from, static_cast<size_t>(elements) * sizeof(bfloat16_t));
      } else {
        for (int64_t q = 0; q < elements; ++q) line[q] = from[q * k_stride];
      }
      if (elements < 2 * n) line[elements] = bfloat16_t();
      std::memcpy(lines[i], line, static_cast<size_t>(n) * sizeof(float));
    }
    pack_panel(lines[0], kStretch, int64_t(1), width, padded, n, dst + p * padded);
  }
}

}  // namespace mx::cpu

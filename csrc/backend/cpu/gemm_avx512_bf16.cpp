// gemm_avx512_bf16.cpp — tiles of bfloat16 products with AVX-512 BF16, whose multiply-add takes pairs of elements.

#include "backend/cpu/clones.h"
#include "backend/cpu/gemm_tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16")
#endif

namespace mx::cpu {

namespace {

template <class T>
struct Simd;

// Floats of a and b stand for pairs, those of sums for themselves.
template <>
struct Simd<float> {
  using V = __m512;
  static constexpr int lanes = 16;
  static V load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static V load(const float* p, int n) { return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p); }
  static void store(float* p, V v, int n) { _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v); }
  static V set1(float x) { return _mm512_set1_ps(x); }
  static V fma(V a, V b, V c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }
};

constexpr int kWidest = 4, kVectors = 3;
constexpr bool kOnlyTiles = true;
constexpr int kRows[] = {0, 12, 12, 8, 6};

#include "backend/cpu/gemm_tiles.inl"

constexpr TileKernels<float> only_tiles() {
  TileKernels<float> t{};
  fill_widths(t);
  return t;
}

}  // namespace

constinit const TileKernels<float> tiles_avx512_bf16_pairs = only_tiles();

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

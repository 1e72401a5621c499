// simd_avx2.h — begins code for AVX2, FMA and F16C: vectors of floats and doubles for the inner loops of matrix products,
// packed codes and Fourier transforms. Include it last, outside any namespace: everything behind it, up to simd_end.h, is
// compiled for these instructions; inline functions of other headers could replace the ones that run on every machine.
#pragma once

#include <immintrin.h>

#include "backend/cpu/clones.h"
#include "base/dtype.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace mx::cpu {

// Unnamed: every file has its own.
namespace {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using V = __m256;
  static constexpr int lanes = 8;
  static MX_INLINE V load(const float* p) { return _mm256_loadu_ps(p); }
  static MX_INLINE V load(const float16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static MX_INLINE V load(const bfloat16_t* p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static MX_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static MX_INLINE void store(float16_t* p, V v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static MX_INLINE void store(bfloat16_t* p, V v) {
    __m256i bits = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    // Packing works within the two halves of a register; their low quarters hold the result.
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
  }
  // The first n lanes, fewer than all; the others read as zero and are left alone.
  static MX_INLINE __m256i first(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
  static MX_INLINE V load(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
  static MX_INLINE void store(float* p, V v, int n) { _mm256_maskstore_ps(p, first(n), v); }
  static MX_INLINE V set1(float x) { return _mm256_set1_ps(x); }
  static MX_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return _mm256_fmsub_ps(a, b, c); }
};

template <>
struct Simd<double> {
  using V = __m256d;
  static constexpr int lanes = 4;
  static MX_INLINE V load(const double* p) { return _mm256_loadu_pd(p); }
  static MX_INLINE void store(double* p, V v) { _mm256_storeu_pd(p, v); }
  static MX_INLINE __m256i first(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
  static MX_INLINE V load(const double* p, int n) { return _mm256_maskload_pd(p, first(n)); }
  static MX_INLINE void store(double* p, V v, int n) { _mm256_maskstore_pd(p, first(n), v); }
  static MX_INLINE V set1(double x) { return _mm256_set1_pd(x); }
  static MX_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return _mm256_fmsub_pd(a, b, c); }
};

}  // namespace

}  // namespace mx::cpu

// simd_avx512.h — begins code for AVX-512: vectors of floats and doubles for the inner loops of matrix products,
// packed codes and Fourier transforms. Include it last, outside any namespace: everything behind it, up to simd_end.h, is
// compiled for these instructions; inline functions of other headers could replace the ones that run on every machine.
#pragma once

#include <immintrin.h>

#include "backend/cpu/clones.h"
#include "base/dtype.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")
#endif

namespace mx::cpu {

// Unnamed: every file has its own.
namespace {

// The masked forms only because the plain ones warn of their own undefined operand in GCC 12.
constexpr __mmask16 kAll = 0xffff;

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using V = __m512;
  static constexpr int lanes = 16;
  static MX_INLINE V load(const float* p) { return _mm512_loadu_ps(p); }
  static MX_INLINE V load(const float16_t* p) { return _mm512_maskz_cvtph_ps(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static MX_INLINE V load(const bfloat16_t* p) {
    __m512i wide = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, wide, 16));
  }
  static MX_INLINE void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static MX_INLINE void store(float16_t* p, V v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_cvtps_ph(kAll, v, _MM_FROUND_TO_NEAREST_INT));
  }
  static MX_INLINE void store(bfloat16_t* p, V v) {
    __m512i bits = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_maskz_srli_epi32(kAll, bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_cvtepi32_epi16(kAll, _mm512_maskz_srli_epi32(kAll, rounded, 16)));
  }
  // The first n lanes, fewer than all; the others read as zero and are left alone.
  static MX_INLINE V load(const float* p, int n) { return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p); }
  static MX_INLINE void store(float* p, V v, int n) { _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v); }
  static MX_INLINE V set1(float x) { return _mm512_set1_ps(x); }
  static MX_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return _mm512_fmsub_ps(a, b, c); }
};

template <>
struct Simd<double> {
  using V = __m512d;
  static constexpr int lanes = 8;
  static MX_INLINE V load(const double* p) { return _mm512_loadu_pd(p); }
  static MX_INLINE void store(double* p, V v) { _mm512_storeu_pd(p, v); }
  static MX_INLINE V load(const double* p, int n) { return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p); }
  static MX_INLINE void store(double* p, V v, int n) { _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), v); }
  static MX_INLINE V set1(double x) { return _mm512_set1_pd(x); }
  static MX_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return _mm512_fmsub_pd(a, b, c); }
};

}  // namespace

}  // namespace mx::cpu

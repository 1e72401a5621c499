// lanes_avx512.h — the lane types F32 and F64 of lanes.h as registers of AVX-512. Like simd_avx512.h, whose target it opens:
// include it last, vector_math.h behind it, and close with simd_end.h.
#pragma once

#include "backend/cpu/lanes.h"

#include "backend/cpu/simd_avx512.h"

namespace mx::cpu {

namespace {

constexpr int kRegisterBytes = 64;
#include "backend/cpu/lanes_vectors.inl"
template <class R>
using Vm = std::conditional_t<sizeof(R) == 4, __mmask16, __mmask8>;

// The masked forms because the plain ones warn of their own undefined operand in GCC 12.
namespace set {

constexpr __mmask8 kAll8 = 0xff;
constexpr int kQuiet = _MM_FROUND_NO_EXC;

MX_INLINE Vf32 fma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
MX_INLINE Vf64 fma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
MX_INLINE Vf32 fnma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c); }
MX_INLINE Vf64 fnma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
MX_INLINE Vf32 min(Vf32 a, Vf32 b) { return (Vf32)_mm512_maskz_min_ps(kAll, (__m512)a, (__m512)b); }
MX_INLINE Vf64 min(Vf64 a, Vf64 b) { return (Vf64)_mm512_maskz_min_pd(kAll8, (__m512d)a, (__m512d)b); }
MX_INLINE Vf32 max(Vf32 a, Vf32 b) { return (Vf32)_mm512_maskz_max_ps(kAll, (__m512)a, (__m512)b); }
MX_INLINE Vf64 max(Vf64 a, Vf64 b) { return (Vf64)_mm512_maskz_max_pd(kAll8, (__m512d)a, (__m512d)b); }
MX_INLINE Vf32 sqrt(Vf32 a) { return (Vf32)_mm512_maskz_sqrt_ps(kAll, (__m512)a); }
MX_INLINE Vf64 sqrt(Vf64 a) { return (Vf64)_mm512_maskz_sqrt_pd(kAll8, (__m512d)a); }

MX_INLINE Vf32 floor(Vf32 a) { return (Vf32)_mm512_maskz_roundscale_ps(kAll, (__m512)a, _MM_FROUND_TO_NEG_INF | kQuiet); }
MX_INLINE Vf64 floor(Vf64 a) { return (Vf64)_mm512_maskz_roundscale_pd(kAll8, (__m512d)a, _MM_FROUND_TO_NEG_INF | kQuiet); }
MX_INLINE Vf32 ceil(Vf32 a) { return (Vf32)_mm512_maskz_roundscale_ps(kAll, (__m512)a, _MM_FROUND_TO_POS_INF | kQuiet); }
MX_INLINE Vf64 ceil(Vf64 a) { return (Vf64)_mm512_maskz_roundscale_pd(kAll8, (__m512d)a, _MM_FROUND_TO_POS_INF | kQuiet); }
MX_INLINE Vf32 trunc(Vf32 a) { return (Vf32)_mm512_maskz_roundscale_ps(kAll, (__m512)a, _MM_FROUND_TO_ZERO | kQuiet); }
MX_INLINE Vf64 trunc(Vf64 a) { return (Vf64)_mm512_maskz_roundscale_pd(kAll8, (__m512d)a, _MM_FROUND_TO_ZERO | kQuiet); }
MX_INLINE Vf32 round(Vf32 a) { return (Vf32)_mm512_maskz_roundscale_ps(kAll, (__m512)a, _MM_FROUND_TO_NEAREST_INT | kQuiet); }
MX_INLINE Vf64 round(Vf64 a) { return (Vf64)_mm512_maskz_roundscale_pd(kAll8, (__m512d)a, _MM_FROUND_TO_NEAREST_INT | kQuiet); }

MX_INLINE __mmask16 less(Vf32 a, Vf32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
MX_INLINE __mmask8 less(Vf64 a, Vf64 b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ); }
MX_INLINE __mmask16 less_equal(Vf32 a, Vf32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
MX_INLINE __mmask8 less_equal(Vf64 a, Vf64 b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LE_OQ); }
MX_INLINE __mmask16 equal(Vf32 a, Vf32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
MX_INLINE __mmask8 equal(Vf64 a, Vf64 b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ); }
MX_INLINE __mmask16 not_equal(Vf32 a, Vf32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NEQ_UQ); }
MX_INLINE __mmask8 not_equal(Vf64 a, Vf64 b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_NEQ_UQ); }
MX_INLINE __mmask16 less(Vi32 a, Vi32 b) { return _mm512_cmp_epi32_mask((__m512i)a, (__m512i)b, _MM_CMPINT_LT); }
MX_INLINE __mmask8 less(Vi64 a, Vi64 b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_LT); }
MX_INLINE __mmask16 equal(Vi32 a, Vi32 b) { return _mm512_cmp_epi32_mask((__m512i)a, (__m512i)b, _MM_CMPINT_EQ); }
MX_INLINE __mmask8 equal(Vi64 a, Vi64 b) { return _mm512_cmp_epi64_mask((__m512i)a, (__m512i)b, _MM_CMPINT_EQ); }

MX_INLINE Vf32 choose(__mmask16 m, Vf32 a, Vf32 b) { return (Vf32)_mm512_mask_mov_ps((__m512)b, m, (__m512)a); }
MX_INLINE Vf64 choose(__mmask8 m, Vf64 a, Vf64 b) { return (Vf64)_mm512_mask_mov_pd((__m512d)b, m, (__m512d)a); }
MX_INLINE bool any(__mmask16 m) { return m != 0; }
MX_INLINE unsigned lanes_of(__mmask16 m) { return m; }

MX_INLINE Vi32 to_int(Vf32 a) { return (Vi32)_mm512_maskz_cvtps_epi32(kAll, (__m512)a); }
MX_INLINE Vi64 to_int(Vf64 a) { return (Vi64)_mm512_maskz_cvtpd_epi64(kAll8, (__m512d)a); }
MX_INLINE Vf32 to_float(Vi32 a) { return (Vf32)_mm512_maskz_cvtepi32_ps(kAll, (__m512i)a); }
MX_INLINE Vf64 to_float(Vi64 a) { return (Vf64)_mm512_maskz_cvtepi64_pd(kAll8, (__m512i)a); }
MX_INLINE Vf32 scale(Vf32 a, Vf32 n) { return (Vf32)_mm512_maskz_scalef_ps(kAll, (__m512)a, (__m512)n); }
MX_INLINE Vf64 scale(Vf64 a, Vf64 n) { return (Vf64)_mm512_maskz_scalef_pd(kAll8, (__m512d)a, (__m512d)n); }

MX_INLINE Vf32 load(const float* p, int n) { return (Vf32)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p); }
MX_INLINE Vf64 load(const double* p, int n) { return (Vf64)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p); }
MX_INLINE void store(float* p, int n, Vf32 v) { _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v); }
MX_INLINE void store(double* p, int n, Vf64 v) { _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v); }

}  // namespace set

#include "backend/cpu/lanes_registers.inl"

}  // namespace

}  // namespace mx::cpu

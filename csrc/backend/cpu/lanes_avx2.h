// lanes_avx2.h — the lane types F32 and F64 of lanes.h as registers of AVX2. Like simd_avx2.h, whose target it opens: include
// it last, vector_math.h behind it, and close with simd_end.h.
#pragma once

#include "backend/cpu/lanes.h"

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu {

namespace {

constexpr int kRegisterBytes = 32;
#include "backend/cpu/lanes_vectors.inl"
template <class R>
using Vm = Vi<R>;  // All bits of a lane, or none.

namespace set {

constexpr int kQuiet = _MM_FROUND_NO_EXC;

MX_INLINE Vf32 fma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
MX_INLINE Vf64 fma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
MX_INLINE Vf32 fnma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c); }
MX_INLINE Vf64 fnma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)_mm256_fnmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
MX_INLINE Vf32 min(Vf32 a, Vf32 b) { return (Vf32)_mm256_min_ps((__m256)a, (__m256)b); }
MX_INLINE Vf64 min(Vf64 a, Vf64 b) { return (Vf64)_mm256_min_pd((__m256d)a, (__m256d)b); }
MX_INLINE Vf32 max(Vf32 a, Vf32 b) { return (Vf32)_mm256_max_ps((__m256)a, (__m256)b); }
MX_INLINE Vf64 max(Vf64 a, Vf64 b) { return (Vf64)_mm256_max_pd((__m256d)a, (__m256d)b); }
MX_INLINE Vf32 sqrt(Vf32 a) { return (Vf32)_mm256_sqrt_ps((__m256)a); }
MX_INLINE Vf64 sqrt(Vf64 a) { return (Vf64)_mm256_sqrt_pd((__m256d)a); }

MX_INLINE Vf32 floor(Vf32 a) { return (Vf32)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEG_INF | kQuiet); }
MX_INLINE Vf64 floor(Vf64 a) { return (Vf64)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_NEG_INF | kQuiet); }
MX_INLINE Vf32 ceil(Vf32 a) { return (Vf32)_mm256_round_ps((__m256)a, _MM_FROUND_TO_POS_INF | kQuiet); }
MX_INLINE Vf64 ceil(Vf64 a) { return (Vf64)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_POS_INF | kQuiet); }
MX_INLINE Vf32 trunc(Vf32 a) { return (Vf32)_mm256_round_ps((__m256)a, _MM_FROUND_TO_ZERO | kQuiet); }
MX_INLINE Vf64 trunc(Vf64 a) { return (Vf64)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_ZERO | kQuiet); }
MX_INLINE Vf32 round(Vf32 a) { return (Vf32)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | kQuiet); }
MX_INLINE Vf64 round(Vf64 a) { return (Vf64)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_NEAREST_INT | kQuiet); }

// Of floats and integers alike.
template <class V>
MX_INLINE auto less(V a, V b) { return a < b; }
template <class V>
MX_INLINE auto less_equal(V a, V b) { return a <= b; }
template <class V>
MX_INLINE auto equal(V a, V b) { return a == b; }
template <class V>
MX_INLINE auto not_equal(V a, V b) { return a != b; }

MX_INLINE Vf32 choose(Vi32 m, Vf32 a, Vf32 b) { return (Vf32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
MX_INLINE Vf64 choose(Vi64 m, Vf64 a, Vf64 b) { return (Vf64)_mm256_blendv_pd((__m256d)b, (__m256d)a, (__m256d)m); }
MX_INLINE unsigned lanes_of(Vi32 m) { return static_cast<unsigned>(_mm256_movemask_ps((__m256)m)); }
MX_INLINE unsigned lanes_of(Vi64 m) { return static_cast<unsigned>(_mm256_movemask_pd((__m256d)m)); }
template <class V>
MX_INLINE bool any(V m) { return lanes_of(m) != 0; }

// Added to a whole number, this leaves it in the lowest bits.
constexpr double kWhole = 0x1.8p52;
MX_INLINE Vi32 to_int(Vf32 a) { return (Vi32)_mm256_cvtps_epi32((__m256)a); }
MX_INLINE Vi64 to_int(Vf64 a) { return (Vi64)(a + kWhole) - (Vi64)(kWhole - Vf64{}); }
MX_INLINE Vf32 to_float(Vi32 a) { return (Vf32)_mm256_cvtepi32_ps((__m256i)a); }
MX_INLINE Vf64 to_float(Vi64 a) { return (Vf64)(a + (Vi64)(kWhole - Vf64{})) - kWhole; }
// In two steps, the first of them exact.
MX_INLINE Vf32 scale(Vf32 a, Vf32 n) {
  Vi32 all = to_int(n), half = all >> 1;
  return a * (Vf32)((half + 127) << 23) * (Vf32)((all - half + 127) << 23);
}
MX_INLINE Vf64 scale(Vf64 a, Vf64 n) {
  Vf64 half = floor(n * 0.5);
  return a * (Vf64)((to_int(half) + 1023) << 52) * (Vf64)((to_int(n - half) + 1023) << 52);
}

MX_INLINE Vi32 first32(int n) { return Vi32{0, 1, 2, 3, 4, 5, 6, 7} < (Vi32{} + n); }
MX_INLINE Vi64 first64(int n) { return Vi64{0, 1, 2, 3} < (Vi64{} + n); }
MX_INLINE Vf32 load(const float* p, int n) { return (Vf32)_mm256_maskload_ps(p, (__m256i)first32(n)); }
MX_INLINE Vf64 load(const double* p, int n) { return (Vf64)_mm256_maskload_pd(p, (__m256i)first64(n)); }
MX_INLINE void store(float* p, int n, Vf32 v) { _mm256_maskstore_ps(p, (__m256i)first32(n), (__m256)v); }
MX_INLINE void store(double* p, int n, Vf64 v) { _mm256_maskstore_pd(p, (__m256i)first64(n), (__m256d)v); }

}  // namespace set

#include "backend/cpu/lanes_registers.inl"

}  // namespace

}  // namespace mx::cpu

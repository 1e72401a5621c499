// lanes_baseline.h — the lane types F32 and F64 of lanes.h as 16-byte registers of any processor: SSE2, NEON, or whatever the
// compiler makes of them. Include it before vector_math.h. It opens no target, so simd_end.h is not needed.
#pragma once

#include "backend/cpu/lanes.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace mx::cpu {

namespace {

constexpr int kRegisterBytes = 16;
#include "backend/cpu/lanes_vectors.inl"
template <class R>
using Vm = Vi<R>;  // All bits of a lane, or none.

namespace set {

// Of floats and integers alike.
template <class V>
MX_INLINE auto less(V a, V b) { return a < b; }
template <class V>
MX_INLINE auto less_equal(V a, V b) { return a <= b; }
template <class V>
MX_INLINE auto equal(V a, V b) { return a == b; }
template <class V>
MX_INLINE auto not_equal(V a, V b) { return a != b; }
MX_INLINE Vf32 choose(Vi32 m, Vf32 a, Vf32 b) { return (Vf32)((m & (Vi32)a) | (~m & (Vi32)b)); }
MX_INLINE Vf64 choose(Vi64 m, Vf64 a, Vf64 b) { return (Vf64)((m & (Vi64)a) | (~m & (Vi64)b)); }
MX_INLINE unsigned lanes_of(Vi32 m) { return (m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8); }
MX_INLINE unsigned lanes_of(Vi64 m) { return static_cast<unsigned>((m[0] & 1) | (m[1] & 2)); }

#if defined(__aarch64__)
MX_INLINE Vf32 fma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
MX_INLINE Vf64 fma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
MX_INLINE Vf32 fnma(Vf32 a, Vf32 b, Vf32 c) { return (Vf32)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
MX_INLINE Vf64 fnma(Vf64 a, Vf64 b, Vf64 c) { return (Vf64)vfmsq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
MX_INLINE Vf32 sqrt(Vf32 a) { return (Vf32)vsqrtq_f32((float32x4_t)a); }
MX_INLINE Vf64 sqrt(Vf64 a) { return (Vf64)vsqrtq_f64((float64x2_t)a); }
MX_INLINE Vf32 trunc(Vf32 a) { return (Vf32)vrndq_f32((float32x4_t)a); }
MX_INLINE Vf64 trunc(Vf64 a) { return (Vf64)vrndq_f64((float64x2_t)a); }
MX_INLINE Vf32 round(Vf32 a) { return (Vf32)vrndnq_f32((float32x4_t)a); }
MX_INLINE Vf64 round(Vf64 a) { return (Vf64)vrndnq_f64((float64x2_t)a); }
MX_INLINE Vf32 floor(Vf32 a) { return (Vf32)vrndmq_f32((float32x4_t)a); }
MX_INLINE Vf64 floor(Vf64 a) { return (Vf64)vrndmq_f64((float64x2_t)a); }
MX_INLINE Vf32 ceil(Vf32 a) { return (Vf32)vrndpq_f32((float32x4_t)a); }
MX_INLINE Vf64 ceil(Vf64 a) { return (Vf64)vrndpq_f64((float64x2_t)a); }
template <class V>
MX_INLINE bool any(V m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
#else
#define MX_LANES_UNFUSED
template <class V>
MX_INLINE V fma(V a, V b, V c) { return a * b + c; }
template <class V>
MX_INLINE V fnma(V a, V b, V c) { return c - a * b; }
#if defined(__SSE2__)
MX_INLINE Vf32 sqrt(Vf32 a) { return (Vf32)_mm_sqrt_ps((__m128)a); }
MX_INLINE Vf64 sqrt(Vf64 a) { return (Vf64)_mm_sqrt_pd((__m128d)a); }
template <class V>
MX_INLINE bool any(V m) { return _mm_movemask_epi8((__m128i)m) != 0; }
#else
MX_INLINE Vf32 sqrt(Vf32 a) {
  for (int i = 0; i < 4; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}
MX_INLINE Vf64 sqrt(Vf64 a) {
  for (int i = 0; i < 2; ++i) a[i] = __builtin_sqrt(a[i]);
  return a;
}
template <class V>
MX_INLINE bool any(V m) { return lanes_of(m) != 0; }
#endif

// The unit of the last place becomes 1 when this is added to a magnitude; from there on all numbers are whole.
template <class R>
constexpr R kUnit = sizeof(R) == 4 ? R(0x1p23) : R(0x1p52);
template <class V, class I, class R>
MX_INLINE V rounded(V a) {
  I sign = (I)a & (I)(R(-0.0) - V{});
  V size = (V)((I)a ^ sign), whole = (size + kUnit<R>) - kUnit<R>;
  return choose(size < kUnit<R>, (V)((I)whole | sign), a);
}
/// The whole number `by` further where `whole` is on the wrong side of a.
template <class V, class I, class R>
MX_INLINE V moved(V whole, V a, I wrong, R by) {
  I sign = (I)a & (I)(R(-0.0) - V{});
  return (V)((I)choose(wrong, whole + by, whole) | sign);
}
MX_INLINE Vf32 round(Vf32 a) { return rounded<Vf32, Vi32, float>(a); }
MX_INLINE Vf64 round(Vf64 a) { return rounded<Vf64, Vi64, double>(a); }
MX_INLINE Vf32 floor(Vf32 a) { Vf32 w = round(a); return moved<Vf32, Vi32, float>(w, a, w > a, -1); }
MX_INLINE Vf64 floor(Vf64 a) { Vf64 w = round(a); return moved<Vf64, Vi64, double>(w, a, w > a, -1); }
MX_INLINE Vf32 ceil(Vf32 a) { Vf32 w = round(a); return moved<Vf32, Vi32, float>(w, a, w < a, 1); }
MX_INLINE Vf64 ceil(Vf64 a) { Vf64 w = round(a); return moved<Vf64, Vi64, double>(w, a, w < a, 1); }
MX_INLINE Vf32 trunc(Vf32 a) { return choose(a < 0, ceil(a), floor(a)); }
MX_INLINE Vf64 trunc(Vf64 a) { return choose(a < 0, ceil(a), floor(a)); }
#endif

MX_INLINE Vf32 min(Vf32 a, Vf32 b) { return choose(a < b, a, b); }
MX_INLINE Vf64 min(Vf64 a, Vf64 b) { return choose(a < b, a, b); }
MX_INLINE Vf32 max(Vf32 a, Vf32 b) { return choose(a > b, a, b); }
MX_INLINE Vf64 max(Vf64 a, Vf64 b) { return choose(a > b, a, b); }

// Added to a whole number, this leaves it in the lowest bits.
constexpr double kWhole = 0x1.8p52;
MX_INLINE Vi64 to_int(Vf64 a) { return (Vi64)(a + kWhole) - (Vi64)(kWhole - Vf64{}); }
MX_INLINE Vf64 to_float(Vi64 a) { return (Vf64)(a + (Vi64)(kWhole - Vf64{})) - kWhole; }
MX_INLINE Vf32 to_float(Vi32 a) { return __builtin_convertvector(a, Vf32); }
#if defined(__SSE2__)
MX_INLINE Vi32 to_int(Vf32 a) { return (Vi32)_mm_cvtps_epi32((__m128)a); }
#else
MX_INLINE Vi32 to_int(Vf32 a) { return __builtin_convertvector(choose(a > -0x1p31f && a < 0x1p31f, a, Vf32{}), Vi32); }
#endif
// In two steps, the first of them exact.
MX_INLINE Vf32 scale(Vf32 a, Vf32 n) {
  Vi32 all = to_int(n), half = all >> 1;
  return a * (Vf32)((half + 127) << 23) * (Vf32)((all - half + 127) << 23);
}
MX_INLINE Vf64 scale(Vf64 a, Vf64 n) {
  Vf64 half = round(n * 0.5);
  return a * (Vf64)((to_int(half) + 1023) << 52) * (Vf64)((to_int(n - half) + 1023) << 52);
}

template <class R>
MX_INLINE Vf<R> load(const R* p, int n) {
  Vf<R> v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
template <class R>
MX_INLINE void store(R* p, int n, Vf<R> v) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}

}  // namespace set

#include "backend/cpu/lanes_registers.inl"

}  // namespace

}  // namespace mx::cpu

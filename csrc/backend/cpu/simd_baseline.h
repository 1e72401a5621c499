// simd_baseline.h — 16-byte vectors for every processor: SSE2, NEON, or whatever the compiler makes of them; the same
// functions as in simd_avx2.h and simd_avx512.h.
#pragma once

#include <type_traits>

#include "backend/cpu/clones.h"
#include "base/dtype.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mx::cpu {

// Unnamed: every file has its own.
namespace {

template <class T>
struct Simd {
  typedef T V __attribute__((vector_size(16)));
  static constexpr int lanes = 16 / sizeof(T);
  template <class S>
  static MX_INLINE V load(const S* p) {
    V v;
    if constexpr (std::is_same_v<S, T>) {
      __builtin_memcpy(&v, p, sizeof(V));
    } else {
      for (int i = 0; i < lanes; ++i) v[i] = static_cast<T>(p[i]);
    }
    return v;
  }
  template <class S>
  static MX_INLINE void store(S* p, V v) {
    if constexpr (std::is_same_v<S, T>) {
      __builtin_memcpy(p, &v, sizeof(V));
    } else {
      for (int i = 0; i < lanes; ++i) p[i] = static_cast<S>(v[i]);
    }
  }
  // The first n lanes, fewer than all; the others read as zero and are left alone.
  static MX_INLINE V load(const T* p, int n) {
    V v = {};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
  }
  static MX_INLINE void store(T* p, V v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  static MX_INLINE V set1(T x) { return V{} + x; }
  static MX_INLINE V fma(V a, V b, V c) {
#if defined(__aarch64__)
    if constexpr (sizeof(T) == 4) {
      return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    } else {
      return (V)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
    }
#else
    return a * b + c;
#endif
  }
  static MX_INLINE V fms(V a, V b, V c) {
#if defined(__aarch64__)
    return fma(a, b, -c);
#else
    return a * b - c;
#endif
  }
};

}  // namespace

}  // namespace mx::cpu

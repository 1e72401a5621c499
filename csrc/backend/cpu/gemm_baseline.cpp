// gemm_baseline.cpp — the inner loops of matrix products with 16-byte vectors: SSE2, NEON, or whatever the
// compiler makes of them.

#include <cstring>
#include <type_traits>

#include "backend/cpu/gemm_tiles.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mx::cpu {

namespace {

template <class T>
struct Simd {
  typedef T V __attribute__((vector_size(16)));
  static constexpr int lanes = 16 / sizeof(T);
  template <class S>
  static V load(const S* p) {
    V v;
    if constexpr (std::is_same_v<S, T>) {
      std::memcpy(&v, p, sizeof(V));
    } else {
      for (int i = 0; i < lanes; ++i) v[i] = static_cast<T>(p[i]);
    }
    return v;
  }
  template <class S>
  static void store(S* p, V v) {
    if constexpr (std::is_same_v<S, T>) {
      std::memcpy(p, &v, sizeof(V));
    } else {
      for (int i = 0; i < lanes; ++i) p[i] = static_cast<S>(v[i]);
    }
  }
  static V set1(T x) { return V{} + x; }
  static V fma(V a, V b, V c) {
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
};

#if defined(__aarch64__)
constexpr int kWidest = 4, kVectors = 3;
constexpr int kRows[] = {0, 12, 12, 8, 6};
#else
constexpr int kWidest = 2, kVectors = 2;
constexpr int kRows[] = {0, 12, 6};
#endif

#include "backend/cpu/gemm_tiles.inl"

}  // namespace

constinit const TileKernels<float> tiles_baseline_f32 = make_tiles<float>();
constinit const TileKernels<double> tiles_baseline_f64 = make_tiles<double>();

}  // namespace mx::cpu

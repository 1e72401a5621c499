// fft_baseline.cpp — the inner loops of Fourier transforms with 16-byte vectors: SSE2, NEON, or whatever the
// compiler makes of them.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mx::cpu::fft {

namespace {

struct Simd {
  typedef float V __attribute__((vector_size(16)));
  static constexpr int lanes = 4;
#if defined(__aarch64__)
  static MX_INLINE V fma(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
  static MX_INLINE V fms(V a, V b, V c) { return (V)vfmaq_f32((float32x4_t)-c, (float32x4_t)a, (float32x4_t)b); }
#else
  static MX_INLINE V fma(V a, V b, V c) { return a * b + c; }
  static MX_INLINE V fms(V a, V b, V c) { return a * b - c; }
#endif
};

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_baseline = make_kernels();

}  // namespace mx::cpu::fft

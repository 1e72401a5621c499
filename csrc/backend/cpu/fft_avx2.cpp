// fft_avx2.cpp — the inner loops of Fourier transforms with AVX2 and FMA.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace mx::cpu::fft {

namespace {

struct Simd {
  typedef float V __attribute__((vector_size(32)));
  static constexpr int lanes = 8;
  static MX_INLINE V fma(V a, V b, V c) { return (V)_mm256_fmadd_ps(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return (V)_mm256_fmsub_ps(a, b, c); }
};

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_avx2 = make_kernels();

}  // namespace mx::cpu::fft

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

// fft_avx512.cpp — the inner loops of Fourier transforms with AVX-512.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
#endif

namespace mx::cpu::fft {

namespace {

struct Simd {
  typedef float V __attribute__((vector_size(64)));
  static constexpr int lanes = 16;
  static MX_INLINE V fma(V a, V b, V c) { return (V)_mm512_fmadd_ps(a, b, c); }
  static MX_INLINE V fms(V a, V b, V c) { return (V)_mm512_fmsub_ps(a, b, c); }
};

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_avx512 = make_kernels();

}  // namespace mx::cpu::fft

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

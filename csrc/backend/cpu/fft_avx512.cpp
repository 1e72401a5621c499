// fft_avx512.cpp — the inner loops of Fourier transforms with AVX-512.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx512.h"

namespace mx::cpu::fft {

namespace {

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_avx512 = make_kernels();

}  // namespace mx::cpu::fft

#include "backend/cpu/simd_end.h"

#endif

// fft_avx2.cpp — the inner loops of Fourier transforms with AVX2 and FMA.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu::fft {

namespace {

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_avx2 = make_kernels();

}  // namespace mx::cpu::fft

#include "backend/cpu/simd_end.h"

#endif

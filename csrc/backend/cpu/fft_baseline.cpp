// fft_baseline.cpp — the inner loops of Fourier transforms with 16-byte vectors.

#include <cstring>
#include <utility>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"
#include "backend/cpu/simd_baseline.h"

namespace mx::cpu::fft {

namespace {

#include "backend/cpu/fft_lanes.inl"

}  // namespace

constinit const LaneKernels lanes_baseline = make_kernels();

}  // namespace mx::cpu::fft

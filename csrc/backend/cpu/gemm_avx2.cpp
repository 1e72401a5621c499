// gemm_avx2.cpp — the inner loops of matrix products with AVX2, FMA and F16C.

#include "backend/cpu/gemm_tiles.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu {

namespace {

// 16 registers: at most 12 sums, the rest for a row of b and an element of a.
constexpr int kWidest = 2, kVectors = 2;
constexpr bool kOnlyTiles = false;
constexpr int kRows[] = {0, 12, 6};

#include "backend/cpu/gemm_tiles.inl"

}  // namespace

constinit const TileKernels<float> tiles_avx2_f32 = make_tiles<float>();
constinit const TileKernels<double> tiles_avx2_f64 = make_tiles<double>();

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

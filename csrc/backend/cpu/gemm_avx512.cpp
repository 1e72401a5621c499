// gemm_avx512.cpp — the inner loops of matrix products with AVX-512.

#include "backend/cpu/gemm_tiles.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx512.h"

namespace mx::cpu {

namespace {

// 32 registers: at most 28 sums, the rest for a row of b and an element of a.
constexpr int kWidest = 4, kVectors = 3;
constexpr bool kOnlyTiles = false;
constexpr int kRows[] = {0, 12, 12, 8, 6};

#include "backend/cpu/gemm_tiles.inl"

}  // namespace

constinit const TileKernels<float> tiles_avx512_f32 = make_tiles<float>();
constinit const TileKernels<double> tiles_avx512_f64 = make_tiles<double>();

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

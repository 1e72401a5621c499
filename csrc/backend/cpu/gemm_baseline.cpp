// gemm_baseline.cpp — the inner loops of matrix products with 16-byte vectors.

#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/simd_baseline.h"

namespace mx::cpu {

namespace {

constexpr bool kOnlyTiles = false;
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

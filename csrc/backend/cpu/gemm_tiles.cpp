// gemm_tiles.cpp — picks the table of inner loops for the processor we run on.

#include "backend/cpu/gemm_tiles.h"

#include "backend/cpu/clones.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/instructions.h"

namespace mx::cpu {

template <>
const TileKernels<float>& tile_kernels<float>() {
#if defined(__x86_64__)
  static const TileKernels<float>& best = best_of(tiles_avx512_f32, tiles_avx2_f32, tiles_baseline_f32);
  return best;
#else
  return tiles_baseline_f32;
#endif
}

template <>
const TileKernels<double>& tile_kernels<double>() {
  const TileKernels<float>& f = tile_kernels<float>();
#if defined(__x86_64__)
  if (&f == &tiles_avx512_f32) return tiles_avx512_f64;
  if (&f == &tiles_avx2_f32) return tiles_avx2_f64;
#endif
  (void)f;
  return tiles_baseline_f64;
}

const TileKernels<float>* pair_tile_kernels() {
#if defined(__x86_64__)
  static const bool has = &tile_kernels<float>() == &tiles_avx512_f32 && __builtin_cpu_supports("avx512bf16");
  return has ? &tiles_avx512_bf16_pairs : nullptr;
#else
  return nullptr;
#endif
}

MX_CLONES void pair_lines(const bfloat16_t* low, const bfloat16_t* high, uint32_t* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(low[i].bits) | uint32_t(high[i].bits) << 16;
}

}  // namespace mx::cpu

// random_lanes.h — the inner loops of random numbers, once for each instruction set. Bits are the same everywhere; numbers
// made of them too where the processor has fused multiply-add.
#pragma once

#include "ops/random_params.h"

namespace mx::cpu {

struct RandomLoops {
  /// The words of n Threefry blocks with counters (first, second), (first + 1, second + 1), ...: the first words to a, the
  /// second ones to b, which need not be aligned.
  using Bits = void (*)(Threefry key, uint32_t first, uint32_t second, int64_t n, void* a, void* b);
  Bits bits;
  /// The same, each word made a float32 of one distribution.
  Bits unit, normal, gumbel;
};

extern const RandomLoops random_baseline;
#if defined(__x86_64__)
extern const RandomLoops random_avx2, random_avx512;
#endif

}  // namespace mx::cpu

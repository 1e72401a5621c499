// random_avx512.cpp — the loops of random numbers for AVX-512.

#include "backend/cpu/random_lanes.h"

#if defined(__x86_64__)

#include "backend/cpu/lanes_avx512.h"
#include "backend/cpu/vector_math.h"

#include "backend/cpu/random_lanes.inl"

namespace mx::cpu {

const RandomLoops random_avx512 = kLoops;

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

// random_avx2.cpp — the loops of random numbers with AVX2 and FMA.

#include "backend/cpu/random_lanes.h"

#if defined(__x86_64__)

#include "backend/cpu/lanes_avx2.h"
#include "backend/cpu/vector_math.h"

#include "backend/cpu/random_lanes.inl"

namespace mx::cpu {

const RandomLoops random_avx2 = kLoops;

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif

// random_baseline.cpp — the loops of random numbers with 16-byte vectors.

#include "backend/cpu/random_lanes.h"

#include "backend/cpu/lanes_baseline.h"
#include "backend/cpu/vector_math.h"

#include "backend/cpu/random_lanes.inl"

namespace mx::cpu {

const RandomLoops random_baseline = kLoops;

}  // namespace mx::cpu

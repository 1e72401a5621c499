// fast_attention_avx2.cpp — the inner loops over rows of scores with AVX2 and FMA.

#include "backend/cpu/fast_attention_loops.h"

#if defined(__x86_64__)

#include "backend/cpu/lanes_avx2.h"

#include "backend/cpu/vector_math_exp.h"

namespace mx::cpu::attention {

namespace {

#include "backend/cpu/fast_attention_loops.inl"

}  // namespace

constinit const ScoreLoops<float> score_loops_avx2_f32 = make_score_loops<F32>();
constinit const ScoreLoops<double> score_loops_avx2_f64 = make_score_loops<F64>();

}  // namespace mx::cpu::attention

#include "backend/cpu/simd_end.h"

#endif

// fast_attention_baseline.cpp — the inner loops over rows of scores with 16-byte vectors.

#include "backend/cpu/fast_attention_loops.h"

#include "backend/cpu/lanes_baseline.h"

#include "backend/cpu/vector_math_exp.h"

namespace mx::cpu::attention {

namespace {

#include "backend/cpu/fast_attention_loops.inl"

}  // namespace

constinit const ScoreLoops<float> score_loops_baseline_f32 = make_score_loops<F32>();
constinit const ScoreLoops<double> score_loops_baseline_f64 = make_score_loops<F64>();

}  // namespace mx::cpu::attention

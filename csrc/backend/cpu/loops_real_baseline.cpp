// loops_real_baseline.cpp — the vector functions over float32 and float64 with what every processor has.

#include "backend/cpu/loops_real.h"

#include "backend/cpu/lanes_baseline.h"
#include "backend/cpu/vector_rows.h"

namespace mx::cpu::loops {

namespace {

#include "backend/cpu/loops_real.inl"

}  // namespace

constinit const VectorLoops vector_loops_baseline_f32 = make_loops<F32>();
constinit const VectorLoops vector_loops_baseline_f64 = make_loops<F64>();
constinit const ExpLoops<float> exp_loops_baseline_f32 = {sum_of_exp<F32>, scaled_exp<F32>};
constinit const ExpLoops<double> exp_loops_baseline_f64 = {sum_of_exp<F64>, scaled_exp<F64>};

}  // namespace mx::cpu::loops

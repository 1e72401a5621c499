// loops_real_avx512.cpp — the vector functions over float32 and float64 with AVX-512.

#include "backend/cpu/loops_real.h"

#if defined(__x86_64__)

#include "backend/cpu/lanes_avx512.h"
#include "backend/cpu/vector_rows.h"

namespace mx::cpu::loops {

namespace {

#include "backend/cpu/loops_real.inl"

}  // namespace

constinit const VectorLoops vector_loops_avx512_f32 = make_loops<F32>();
constinit const VectorLoops vector_loops_avx512_f64 = make_loops<F64>();
constinit const ExpLoops<float> exp_loops_avx512_f32 = {sum_of_exp<F32>, scaled_exp<F32>};
constinit const ExpLoops<double> exp_loops_avx512_f64 = {sum_of_exp<F64>, scaled_exp<F64>};

}  // namespace mx::cpu::loops

#include "backend/cpu/simd_end.h"

#endif

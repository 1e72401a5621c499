// loops_real.h — loops over float32 and float64 made of the vector functions, as a table for each instruction set. The tables
// are made by loops_real_baseline.cpp, loops_real_avx2.cpp and loops_real_avx512.cpp from loops_real.inl.
#pragma once

#include "backend/cpu/loops.h"

namespace mx::cpu::loops {

constexpr int kUnaryRows = 0
#define UNARY(...) +1
#include "ops/unary.def"
    ;
constexpr int kBinaryRows = 0
#define BINARY(...) +1
#include "ops/binary.def"
    ;

/// By UnaryOp and BinaryOp; null for the rows that a compiler vectorises as well.
struct VectorLoops {
  Loop unary[kUnaryRows];
  Loop binary[kBinaryRows];
};

/// Exponentials along a row, for softmax and what is like it. They do not overflow: e^(x - less) with x <= less, or hardly more.
template <class T>
struct ExpLoops {
  /// The sum, in 256 bytes of lanes that are added pairwise: the same with all instructions that have fused multiply-add.
  T (*sum)(const T* x, int64_t n, T less);
  /// y = by * e^(x - less). y may be x.
  void (*scaled)(const T* x, int64_t n, T less, T by, T* y);
};
/// T is float or double.
template <class T>
const ExpLoops<T>& exp_loops();

extern const VectorLoops vector_loops_baseline_f32, vector_loops_baseline_f64;
extern const ExpLoops<float> exp_loops_baseline_f32;
extern const ExpLoops<double> exp_loops_baseline_f64;
#if defined(__x86_64__)
extern const VectorLoops vector_loops_avx2_f32, vector_loops_avx2_f64, vector_loops_avx512_f32, vector_loops_avx512_f64;
extern const ExpLoops<float> exp_loops_avx2_f32, exp_loops_avx512_f32;
extern const ExpLoops<double> exp_loops_avx2_f64, exp_loops_avx512_f64;
#endif

}  // namespace mx::cpu::loops

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

extern const VectorLoops vector_loops_baseline_f32, vector_loops_baseline_f64;
#if defined(__x86_64__)
extern const VectorLoops vector_loops_avx2_f32, vector_loops_avx2_f64, vector_loops_avx512_f32, vector_loops_avx512_f64;
#endif

}  // namespace mx::cpu::loops

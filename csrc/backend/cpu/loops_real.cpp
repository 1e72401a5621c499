// loops_real.cpp — the elementwise loops over float32 and float64: the vector functions where there are (loops_real.h), else what
// the compiler makes of scalar/*.h (loops_impl.h).

#include "backend/cpu/loops_real.h"

#include "backend/cpu/instructions.h"
#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

namespace {

#if defined(__x86_64__)
const VectorLoops& vector_loops(float) { return best_of(vector_loops_avx512_f32, vector_loops_avx2_f32, vector_loops_baseline_f32); }
const VectorLoops& vector_loops(double) { return best_of(vector_loops_avx512_f64, vector_loops_avx2_f64, vector_loops_baseline_f64); }
#else
const VectorLoops& vector_loops(float) { return vector_loops_baseline_f32; }
const VectorLoops& vector_loops(double) { return vector_loops_baseline_f64; }
#endif

template <class R>
Loop find(ElementwiseCode code) {
  static const VectorLoops& vector = vector_loops(R());
  Loop loop = code.arity == 1 ? vector.unary[code.op] : code.arity == 2 ? vector.binary[code.op] : nullptr;
  return loop ? loop : Table<R>::find(code);
}

}  // namespace

Loop find_float32(ElementwiseCode code) { return find<float>(code); }
Loop find_float64(ElementwiseCode code) { return find<double>(code); }

}  // namespace mx::cpu::loops

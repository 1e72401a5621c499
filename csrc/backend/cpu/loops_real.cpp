// loops_real.cpp — the elementwise loops over float32 and float64: the vector functions where there are (loops_real.h), else what
// the compiler makes of scalar/*.h (loops_impl.h).

#include "backend/cpu/loops_real.h"

#include "backend/cpu/instructions.h"
#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

namespace {

#if defined(__x86_64__)
#define BEST(NAME) best_of(NAME(avx512), NAME(avx2), NAME(baseline))
#else
#define BEST(NAME) NAME(baseline)
#endif

#define F32_LOOPS(SET) vector_loops_##SET##_f32
#define F64_LOOPS(SET) vector_loops_##SET##_f64
const VectorLoops& vector_loops(float) { return BEST(F32_LOOPS); }
const VectorLoops& vector_loops(double) { return BEST(F64_LOOPS); }

template <class R>
Loop find(ElementwiseCode code) {
  static const VectorLoops& vector = vector_loops(R());
  Loop loop = code.arity == 1 ? vector.unary[code.op] : code.arity == 2 ? vector.binary[code.op] : nullptr;
  return loop ? loop : Table<R>::find(code);
}

}  // namespace

#define F32_EXP(SET) exp_loops_##SET##_f32
#define F64_EXP(SET) exp_loops_##SET##_f64
template <>
const ExpLoops<float>& exp_loops<float>() {
  return BEST(F32_EXP);
}
template <>
const ExpLoops<double>& exp_loops<double>() {
  return BEST(F64_EXP);
}

Loop find_float32(ElementwiseCode code) { return find<float>(code); }
Loop find_float64(ElementwiseCode code) { return find<double>(code); }

}  // namespace mx::cpu::loops

// loops_complex.cpp — the elementwise loops over complex64. How they are made: loops_impl.h.

#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

static_assert(sizeof(Complex) == sizeof(complex64_t));

Loop find_complex64(ElementwiseCode code) { return Table<complex64_t>::find(code); }

}  // namespace mx::cpu::loops

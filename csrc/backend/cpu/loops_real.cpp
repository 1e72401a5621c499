// loops_real.cpp — the elementwise loops over float32 and float64. How they are made: loops_impl.h.

#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

Loop find_float32(ElementwiseCode code) { return Table<float>::find(code); }
Loop find_float64(ElementwiseCode code) { return Table<double>::find(code); }

}  // namespace mx::cpu::loops

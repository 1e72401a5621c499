// loops_small_int.cpp — the elementwise loops over bool and integers of 8 and 16 bits. How they are made: loops_impl.h.

#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

Loop find_bool(ElementwiseCode code) { return Table<bool>::find(code); }
Loop find_uint8(ElementwiseCode code) { return Table<uint8_t>::find(code); }
Loop find_uint16(ElementwiseCode code) { return Table<uint16_t>::find(code); }
Loop find_int8(ElementwiseCode code) { return Table<int8_t>::find(code); }
Loop find_int16(ElementwiseCode code) { return Table<int16_t>::find(code); }

}  // namespace mx::cpu::loops

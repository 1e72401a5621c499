// loops_int.cpp — the elementwise loops over integers of 32 and 64 bits. How they are made: loops_impl.h.

#include "backend/cpu/loops_impl.h"

namespace mx::cpu::loops {

Loop find_uint32(ElementwiseCode code) { return Table<uint32_t>::find(code); }
Loop find_uint64(ElementwiseCode code) { return Table<uint64_t>::find(code); }
Loop find_int32(ElementwiseCode code) { return Table<int32_t>::find(code); }
Loop find_int64(ElementwiseCode code) { return Table<int64_t>::find(code); }

}  // namespace mx::cpu::loops

// loops.cpp — which file has the loops of which dtype.

#include "backend/cpu/loops.h"

#include "backend/cpu/loops_impl.h"

namespace mx::cpu {

Loop find_loop(ElementwiseCode code, Dtype t) {
  switch (t) {
    case Dtype::bool_: return loops::find_bool(code);
    case Dtype::uint8: return loops::find_uint8(code);
    case Dtype::uint16: return loops::find_uint16(code);
    case Dtype::uint32: return loops::find_uint32(code);
    case Dtype::uint64: return loops::find_uint64(code);
    case Dtype::int8: return loops::find_int8(code);
    case Dtype::int16: return loops::find_int16(code);
    case Dtype::int32: return loops::find_int32(code);
    case Dtype::int64: return loops::find_int64(code);
    case Dtype::float32: return loops::find_float32(code);
    case Dtype::float64: return loops::find_float64(code);
    case Dtype::complex64: return loops::find_complex64(code);
    default: return nullptr;
  }
}

}  // namespace mx::cpu

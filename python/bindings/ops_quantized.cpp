// ops_quantized.cpp — quantized weights and fp8 (ops/quantized.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_quantized([[maybe_unused]] py::module_& parent) {
}

}  // namespace mx::python

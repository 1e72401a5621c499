// ops_conv.cpp — convolutions (ops/conv.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_conv([[maybe_unused]] py::module_& parent) {
}

}  // namespace mx::python

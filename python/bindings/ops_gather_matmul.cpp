// ops_gather_matmul.cpp — products of chosen, masked or segmented matrices (ops/gather_matmul.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_gather_matmul([[maybe_unused]] py::module_& parent) {
}

}  // namespace mx::python

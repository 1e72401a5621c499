// ops_linalg.cpp — the module mx.linalg: factorisations and solvers (ops/linalg.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_linalg([[maybe_unused]] py::module_& parent) {
  parent.def_submodule("linalg", "Linear algebra.");
}

}  // namespace mx::python

// ops_fast.cpp — the module mx.fast (ops/fast.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_fast([[maybe_unused]] py::module_& parent) {
  parent.def_submodule("fast", "Functions of neural networks with kernels of their own.");
}

}  // namespace mx::python

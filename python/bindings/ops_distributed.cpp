// ops_distributed.cpp — the module mx.distributed.

#include "bindings/bind.h"

namespace mx::python {

void bind_distributed([[maybe_unused]] py::module_& parent) {
  parent.def_submodule("distributed", "Communication between processes.");
}

}  // namespace mx::python

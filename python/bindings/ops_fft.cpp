// ops_fft.cpp — the module mx.fft (ops/fft.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_fft([[maybe_unused]] py::module_& parent) {
  parent.def_submodule("fft", "Discrete Fourier transforms.");
}

}  // namespace mx::python

// ops_linalg_spectral.cpp — mx.linalg: qr, singular values, eigenvalues, norms (ops/linalg_spectral.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_linalg_spectral([[maybe_unused]] py::module_& parent) {
}

}  // namespace mx::python

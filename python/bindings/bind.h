// bind.h — the parts of the extension module, in the order in which module.cpp calls them.
// Operation families write ops_<stem>.cpp with one of these functions.
#pragma once

#include "bindings/signature.h"

namespace mx::python {

void bind_runtime(py::module_& m);
void bind_interop(py::module_& m);
void bind_print(py::module_& m);

void bind_elementwise(py::module_& m);
void bind_cast(py::module_& m);
void bind_movement(py::module_& m);
void bind_create(py::module_& m);
void bind_index(py::module_& m);
void bind_scan(py::module_& m);
void bind_sort(py::module_& m);
void bind_reduce(py::module_& m);
void bind_matmul(py::module_& m);
void bind_random(py::module_& m);
void bind_conv(py::module_& m);
void bind_linalg(py::module_& m);
void bind_linalg_spectral(py::module_& m);
void bind_fft(py::module_& m);
void bind_quantized(py::module_& m);
void bind_gather_matmul(py::module_& m);
void bind_fast(py::module_& m);
void bind_distributed(py::module_& m);
void bind_tree(py::module_& m);
void bind_transforms(py::module_& m);
void bind_export(py::module_& m);
void bind_inspect(py::module_& m);
void bind_origin(py::module_& m);
void bind_program(py::module_& m);
void bind_debug(py::module_& m);

}  // namespace mx::python

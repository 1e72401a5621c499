// custom_kernel.h — kernels that users write as GPU source: metal_kernel, cuda_kernel, precompiled_cuda_kernel.
#pragma once

#include "bindings/signature.h"

namespace mx::python {

/// Adds the functions to mx.fast.
void bind_custom_kernels(py::module_& fast);

}  // namespace mx::python

// module.cpp — the extension module `mxform._core`: the parts in the order in which they need each other.
// The package `mxform` (python/mxform/__init__.py) re-exports its names.

#include <cmath>
#include <limits>
#include <numbers>

#include "bindings/bind.h"

namespace mx::python {

void bind_standard(py::module_& m);  // ops_standard.cpp

namespace {

void bind_constants(py::module_& m) {
  m.attr("pi") = std::numbers::pi;
  m.attr("e") = std::numbers::e;
  m.attr("euler_gamma") = std::numbers::egamma;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = py::none();
  m.attr("__version__") = MXFORM_VERSION;
}

// Classes that only the library makes objects of: `cls.__new__(cls)` would be one without a value, which crashes
// when used.
void forbid_new(py::module_& m) {
  for (const char* name : {"TreeDef", "ArrayAt", "ArrayIterator", "Stream", "ThreadLocalStream", "_PrintOptionsContext", "Program", "ProgramStep"}) {
    reinterpret_cast<PyTypeObject*>(py::object(m.attr(name)).ptr())->tp_new = [](PyTypeObject* type, PyObject*, PyObject*) -> PyObject* {
      return PyErr_Format(PyExc_TypeError, "cannot create '%.200s' instances", type->tp_name);
    };
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Arrays, operations and function transformations; use the package mxform.";
  // What is made here stays: there is nothing for the collector to find.
  const bool collects = PyGC_Disable() != 0;
  bind_errors(m);
  bind_signature(m);
  bind_dtype(m);
  bind_constants(m);
  bind_runtime(m);
  bind_array(m);
  bind_array_methods(m);
  bind_interop(m);
  bind_print(m);
  bind_elementwise(m);
  bind_cast(m);
  bind_movement(m);
  bind_create(m);
  bind_index(m);
  bind_scan(m);
  bind_sort(m);
  bind_reduce(m);
  bind_matmul(m);
  bind_random(m);
  bind_conv(m);
  bind_linalg(m);
  bind_linalg_spectral(m);
  bind_fft(m);
  bind_standard(m);
  bind_quantized(m);
  bind_gather_matmul(m);
  bind_fast(m);
  bind_distributed(m);
  bind_tree(m);
  bind_transforms(m);
  bind_export(m);
  bind_inspect(m);
  bind_origin(m);
  bind_program(m);
  bind_debug(m);
  forbid_new(m);
  if (collects) PyGC_Enable();
}

}  // namespace mx::python

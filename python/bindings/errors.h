// errors.h — C++ exceptions become Python exceptions, here and nowhere else.
//
// Raw CPython entry points wrap their body in guarded(); functions bound with pybind11 go through a
// translator that does the same. The mapping is in errors.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace mx::python {

/// Sets the Python error that stands for the C++ exception being handled. Call it inside a catch block.
void set_python_error() noexcept;

/// Runs `f` and returns its result; on a C++ exception sets the Python error and returns `failed`.
template <class F, class R = std::invoke_result_t<F>>
R guarded(F&& f, R failed = R{}) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return failed;
  }
}

/// Throws the Python error that is set.
[[noreturn]] inline void rethrow() { throw py::error_already_set(); }
/// `p`, or the Python error as an exception if it is null.
inline PyObject* checked(PyObject* p) {
  if (!p) rethrow();
  return p;
}

/// Makes mxform.AxisError and its siblings, and registers the translator.
void bind_errors(py::module_& m);

}  // namespace mx::python

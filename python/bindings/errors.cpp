// errors.cpp — the Python exception classes of mxform, and the one table that maps C++ exceptions to Python.

#include "bindings/errors.h"

#include "base/error.h"
#include "runtime/nan_check.h"

namespace mx::python {

namespace {

PyObject* axis_error;
PyObject* dtype_error;
PyObject* transform_error;
PyObject* backend_error;
PyObject* nan_error;

PyObject* new_class(py::module_& m, const char* name, const char* doc, std::initializer_list<PyObject*> bases) {
  py::tuple base_tuple(bases.size());
  size_t i = 0;
  for (PyObject* b : bases) base_tuple[i++] = py::reinterpret_borrow<py::object>(b);
  std::string full = std::string("mxform.") + name;
  PyObject* cls = checked(PyErr_NewExceptionWithDoc(full.c_str(), doc, base_tuple.ptr(), nullptr));
  m.add_object(name, cls);
  return cls;
}

void set(PyObject* cls, const std::exception& e) { PyErr_SetString(cls ? cls : PyExc_RuntimeError, e.what()); }

}  // namespace

void set_python_error() noexcept {
  // Most derived classes first.
  try {
    throw;
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const py::builtin_exception& e) {
    e.set_error();
  } catch (const AxisError& e) {
    set(axis_error, e);
  } catch (const DtypeError& e) {
    set(dtype_error, e);
  } catch (const TransformError& e) {
    set(transform_error, e);
  } catch (const BackendError& e) {
    set(backend_error, e);
  } catch (const NanError& e) {
    set(nan_error, e);
  } catch (const std::invalid_argument& e) {  // ValueError
    set(PyExc_ValueError, e);
  } catch (const std::out_of_range& e) {  // IndexError
    set(PyExc_IndexError, e);
  } catch (const std::overflow_error& e) {  // OverflowError
    set(PyExc_OverflowError, e);
  } catch (const std::length_error& e) {
    set(PyExc_OverflowError, e);
  } catch (const std::bad_alloc& e) {  // MemoryError
    set(PyExc_MemoryError, e);
  } catch (const std::exception& e) {
    set(PyExc_RuntimeError, e);
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "an error of unknown kind");
  }
}

void bind_errors(py::module_& m) {
  axis_error = new_class(m, "AxisError", "An axis that the array does not have.", {PyExc_ValueError, PyExc_IndexError});
  dtype_error = new_class(m, "DtypeError", "A dtype that the operation does not accept.", {PyExc_ValueError, PyExc_TypeError});
  transform_error = new_class(m, "TransformError", "Misuse of a function transformation.", {PyExc_ValueError});
  backend_error = new_class(m, "BackendError", "No kernel for an operation on a device, or a failure inside one.",
                            {PyExc_RuntimeError});
  nan_error = new_class(m, "NanError", "An operation made a NaN while debug_nans was on.", {PyExc_FloatingPointError});
  py::register_exception_translator([](std::exception_ptr p) {
    if (!p) return;
    try {
      std::rethrow_exception(p);
    } catch (...) {
      set_python_error();
    }
  });
}

}  // namespace mx::python

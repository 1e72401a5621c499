// dtype.h — the Python class Dtype: fourteen singletons, compared by identity.
#pragma once

#include <pybind11/pybind11.h>

#include "base/dtype.h"

namespace py = pybind11;

namespace mx::python {

/// Borrowed reference to the singleton of `t`.
PyObject* dtype_object(Dtype t);
bool is_dtype(PyObject* o);
/// The dtype inside `o`, for which is_dtype() holds.
Dtype get_dtype(PyObject* o);

/// Dtype, its singletons and categories, issubdtype, isdtype, finfo, iinfo, can_cast, result_type.
void bind_dtype(py::module_& m);

}  // namespace mx::python

namespace pybind11::detail {

template <>
struct type_caster<mx::Dtype> {
  PYBIND11_TYPE_CASTER(mx::Dtype, const_name("mxform.Dtype"));
  bool load(handle h, bool) {
    if (!mx::python::is_dtype(h.ptr())) return false;
    value = mx::python::get_dtype(h.ptr());
    return true;
  }
  static handle cast(mx::Dtype t, return_value_policy, handle) { return Py_NewRef(mx::python::dtype_object(t)); }
};

}  // namespace pybind11::detail

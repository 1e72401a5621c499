// array.h — the Python type `array`: a raw heap type whose object is a header and an mx::array.
//
// The type is checked by one pointer comparison and its objects come from a free list, so that recording
// `a + b` costs little more than the C++ call. The caster below lets ordinary pybind11 functions take and
// return mx::array. The slots are in array.cpp, the named methods in array_methods.cpp.
#pragma once

#include <pybind11/pybind11.h>

#include "graph/array.h"

namespace py = pybind11;

namespace mx::python {

struct ArrayObject {
  PyObject_HEAD
  array value;
  PyObject* weakrefs;
};

/// The type object; set when the module is made.
extern PyTypeObject* array_type;

inline bool is_array(PyObject* o) { return Py_TYPE(o) == array_type; }
/// The array inside `o`, for which is_array() holds.
inline array& get_array(PyObject* o) { return reinterpret_cast<ArrayObject*>(o)->value; }
/// A new reference to a Python object that holds `a`; null with a Python error set if there is no memory.
PyObject* wrap(array a) noexcept;

// Index expressions; indexing.cpp. `value` may be anything that converts to an array.
array get_item(const array& x, PyObject* key);
array set_item(const array& x, PyObject* key, PyObject* value);
/// What `x.at` gives.
py::object array_at(const array& x);

// Values; array_values.cpp.
PyObject* to_scalar(array a);  ///< A Python number from an array with one element; evaluates.
PyObject* to_list(array a);    ///< Nested lists of numbers; evaluates.
extern PyMethodDef value_methods[];   ///< item, tolist, astype's kin, pickling, copying.

// Text; print.cpp.
PyObject* repr_array(PyObject* self);

void bind_values(py::module_& m);         ///< array_values.cpp
void bind_array(py::module_& m);          ///< The type with its slots (array.cpp).
void bind_array_methods(py::module_& m);  ///< sum, reshape, ... on the type (array_methods.cpp).

}  // namespace mx::python

namespace pybind11::detail {

template <>
struct type_caster<mx::array> {
  PYBIND11_TYPE_CASTER(mx::array, const_name("mxform.array"));
  /// Takes arrays only; for anything that converts to one use mx::python::to_array on a py::object.
  bool load(handle h, bool) {
    if (!mx::python::is_array(h.ptr())) return false;
    value = mx::python::get_array(h.ptr());
    return true;
  }
  static handle cast(mx::array a, return_value_policy, handle) { return mx::python::wrap(std::move(a)); }
};

}  // namespace pybind11::detail

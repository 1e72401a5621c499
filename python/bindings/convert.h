// convert.h — between Python objects and the values that operations take and give.
//
// to_...() throws TypeError for a wrong kind of object, ValueError for a wrong value; its last argument begins
// the message. to_python() gives a new reference, or throws.
#pragma once

#include <pybind11/pybind11.h>

#include <concepts>
#include <optional>
#include <string>
#include <tuple>

#include "bindings/array.h"
#include "bindings/dtype.h"
#include "bindings/errors.h"

namespace mx::python {

/// "[sum] axis": whose argument an error is about. Kept in parts, put together only for the error; holds no copies.
class What {
 public:
  What(std::string_view text) : name_(text) {}
  What(const char* text) : name_(text) {}
  What(const std::string& text) : name_(text) {}
  What(std::string_view op, std::string_view name) : op_(op), name_(name) {}
  std::string str() const { return op_.empty() ? std::string(name_) : cat("[", op_, "] ", name_); }
  operator std::string() const { return str(); }

 private:
  std::string_view op_, name_;
};
inline std::ostream& operator<<(std::ostream& out, const What& w) { return out << w.str(); }

/// "an int", "a list", "None": what came, for errors.
std::string kind_of(PyObject* o);

// ---- from Python

/// True for bool, int, float and complex: numbers that take on the dtype of the array they meet.
inline bool is_python_number(PyObject* o) {
  return PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o);  // bool is an int
}
/// An array from an array, a number, nested lists and tuples, NumPy arrays and scalars, and any object with
/// `__mlx_array__`, `__dlpack__`, `__array__` or the buffer protocol; cast to `t` if given.
array to_array(PyObject* o, std::optional<Dtype> t = std::nullopt);
/// The same; the error for what is no array names the argument.
array to_array(PyObject* o, What what);
/// The same, but a Python number takes on the dtype of `beside` if that can hold its kind.
array to_array_beside(PyObject* o, const array& beside, What what = "[array] value");
/// A list or tuple of things that convert to arrays (or one array, along its first axis).
Arrays to_arrays(PyObject* o, What what);

int64_t to_integer(PyObject* o, What what);
double to_real(PyObject* o, What what);
bool to_flag(PyObject* o, What what);
std::string to_string(PyObject* o, What what);
/// A Dtype, or something that names one: Python's bool, int, float, complex, a NumPy dtype or scalar type.
Dtype to_dtype(PyObject* o, What what);
/// An int, or a list or tuple of ints.
Shape to_shape(PyObject* o, What what);
Axes to_axes(PyObject* o, What what);
/// A Stream, Device or DeviceType.
Stream to_stream(PyObject* o, What what);

// ---- to Python

struct Tuple {
  Arrays arrays;
};
/// Makes a function's Arrays result a tuple (to_python(Arrays) makes a list).
inline Tuple to_tuple(Arrays as) { return {std::move(as)}; }

inline PyObject* to_python(array a) { return checked(wrap(std::move(a))); }
PyObject* to_python(Arrays as);
PyObject* to_python(Tuple t);
PyObject* to_python(const Shape& s);  // a tuple of ints
inline PyObject* to_python(bool x) { return PyBool_FromLong(x); }
inline PyObject* to_python(Dtype t) { return Py_NewRef(dtype_object(t)); }
inline PyObject* to_python(py::object o) { return o.release().ptr(); }
template <std::integral I>
PyObject* to_python(I x) {
  if constexpr (std::is_signed_v<I>) return checked(PyLong_FromLongLong(x));
  return checked(PyLong_FromUnsignedLongLong(static_cast<unsigned long long>(x)));
}
inline PyObject* to_python(double x) { return checked(PyFloat_FromDouble(x)); }
inline PyObject* to_python(const std::string& s) { return checked(PyUnicode_FromStringAndSize(s.data(), static_cast<Py_ssize_t>(s.size()))); }

/// std::pair and std::tuple become tuples.
template <class... T>
PyObject* to_python(std::tuple<T...> values) {
  return std::apply([](auto&... v) {
    py::tuple out(sizeof...(T));
    Py_ssize_t i = 0;
    (PyTuple_SET_ITEM(out.ptr(), i++, to_python(std::move(v))), ...);
    return out.release().ptr();
  }, values);
}
template <class A, class B>
PyObject* to_python(std::pair<A, B> p) {
  return to_python(std::tuple<A, B>(std::move(p.first), std::move(p.second)));
}

}  // namespace mx::python

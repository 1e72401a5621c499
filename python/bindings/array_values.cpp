// array_values.cpp — from arrays to Python values: numbers, lists, bytes, pickles and copies.
// Everything here computes the array. Start at value_methods.

#include <cstring>

#include "bindings/array.h"
#include "bindings/interop.h"
#include "bindings/signature.h"
#include "ops/cast.h"

namespace mx::python {

namespace {

template <class T>
PyObject* element(T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return PyBool_FromLong(x);
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    return PyComplex_FromDoubles(x.real(), x.imag());
  } else if constexpr (std::is_integral_v<T>) {
    return to_python(x);
  } else {
    return PyFloat_FromDouble(static_cast<double>(x));
  }
}

template <class T>
PyObject* nested_list(const T* p, const array& a, size_t axis) {
  if (axis == a.shape().size()) return checked(element(*p));
  auto list = py::reinterpret_steal<py::object>(checked(PyList_New(a.shape()[axis])));
  for (int64_t i = 0; i < a.shape()[axis]; ++i) {
    PyList_SET_ITEM(list.ptr(), i, nested_list(p, a, axis + 1));
    p += a.strides()[axis];
  }
  return list.release().ptr();
}

// The elements in row order.
py::bytes raw_bytes(const array& a) {
  array c = contiguous(a);
  c.eval();
  return py::bytes(c.size() ? reinterpret_cast<const char*>(c.bytes()) : "", c.n_bytes());
}

py::tuple state_of(const array& a) {
  return py::make_tuple(a.dtype(), py::reinterpret_steal<py::object>(to_python(a.shape())), raw_bytes(a));
}

array from_state(PyObject* dtype, PyObject* shape, PyObject* bytes) {
  Type type{to_dtype(dtype, "[unpickle] dtype"), to_shape(shape, "[unpickle] shape")};
  char* data;
  Py_ssize_t n_bytes;
  if (PyBytes_AsStringAndSize(bytes, &data, &n_bytes) < 0) rethrow();
  for (int64_t size : type.shape) {
    if (size < 0) throw ValueError(cat("[unpickle] negative size in shape ", type.shape, "."));
  }
  if (n_elems(type.shape) != n_bytes / static_cast<int64_t>(size_of(type.dtype)) ||
      n_bytes % static_cast<int64_t>(size_of(type.dtype)) != 0) {
    throw ValueError(cat("[unpickle] ", n_bytes, " bytes do not fill shape ", type.shape, " of ", type.dtype, "."));
  }
  array out = uninitialized(type);
  if (n_bytes) std::memcpy(out.bytes(), data, static_cast<size_t>(n_bytes));
  return out;
}

// ---- methods

PyObject* item(PyObject* self, PyObject*) { return to_scalar(get_array(self)); }
PyObject* tolist(PyObject* self, PyObject*) { return to_list(get_array(self)); }

PyObject* as_complex(PyObject* self, PyObject*) {
  return guarded([&] {
    array a = get_array(self);
    if (!is_complex(a.dtype())) return PyComplex_FromDoubles(a.item<double>(), 0.0);
    auto z = a.item<complex64_t>();
    return PyComplex_FromDoubles(z.real(), z.imag());
  });
}

PyObject* as_bytes(PyObject* self, PyObject*) {
  return guarded([&] { return raw_bytes(get_array(self)).release().ptr(); });
}

PyObject* copy_handle(PyObject* self, PyObject*) { return wrap(get_array(self)); }

PyObject* get_state(PyObject* self, PyObject*) {
  return guarded([&] { return state_of(get_array(self)).release().ptr(); });
}

PyObject* set_state(PyObject* self, PyObject* state) {
  return guarded([&] {
    auto t = py::cast<py::tuple>(py::handle(state));
    if (t.size() != 3) throw ValueError("[unpickle] the state of an array has three parts.");
    get_array(self) = from_state(py::object(t[0]).ptr(), py::object(t[1]).ptr(), py::object(t[2]).ptr());
    return Py_NewRef(Py_None);
  });
}

PyObject* reduce(PyObject* self, PyObject*) {
  return guarded([&] {
    py::object rebuild = py::module_::import("mxform._core").attr("_rebuild_array");
    return py::make_tuple(rebuild, state_of(get_array(self))).release().ptr();
  });
}

PyObject* format(PyObject* self, PyObject* spec) {
  return guarded([&]() -> PyObject* {
    array a = get_array(self);
    if (!PyUnicode_Check(spec)) throw py::type_error(cat("[format] the format is ", kind_of(spec), "; need a str."));
    if (PyUnicode_GetLength(spec) == 0) return PyObject_Str(self);
    if (a.ndim() != 0) {
      throw py::type_error(cat("[format] a format applies to an array of shape () only: shape is ", a.shape(), "."));
    }
    auto x = py::reinterpret_steal<py::object>(checked(to_scalar(a)));
    return PyObject_Format(x.ptr(), spec);
  });
}

}  // namespace

// By value: the lock is released while computing, and another thread may give the Python object a new array.
PyObject* to_scalar(array a) {
  return guarded([&] {
    if (a.size() != 1) {
      throw ValueError(cat("[item] only an array with one element converts to a number: shape is ", a.shape(), "; index it first."));
    }
    a.eval();
    return dispatch(a.dtype(), [&](auto tag) { return element(*a.data<typename decltype(tag)::type>()); });
  });
}

PyObject* to_list(array a) {
  return guarded([&] {
    a.eval();
    return dispatch(a.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      // An empty array may have no memory to point to.
      static const T nothing{};
      return nested_list<T>(a.size() ? a.data<T>() : &nothing, a, 0);
    });
  });
}

PyMethodDef value_methods[] = {
    {"item", item, METH_NOARGS, "item($self)\n--\n\nGive the only element as a Python number.\n\nRaises:\n    ValueError: If there is not exactly one."},
    {"tolist", tolist, METH_NOARGS, "tolist($self)\n--\n\nGive the elements as nested lists of Python numbers."},
    {"__complex__", as_complex, METH_NOARGS, nullptr},
    {"__bytes__", as_bytes, METH_NOARGS, nullptr},
    {"__copy__", copy_handle, METH_NOARGS, nullptr},
    {"__deepcopy__", copy_handle, METH_O, nullptr},
    {"__getstate__", get_state, METH_NOARGS, nullptr},
    {"__setstate__", set_state, METH_O, nullptr},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {"__format__", format, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

void bind_values(py::module_& m) {
  def(m, "_rebuild_array(dtype, shape, data)", "Make an array from what pickling it stored.",
      [](const Args& a) { return from_state(a.raw(0), a.raw(1), a.raw(2)); });
}

}  // namespace mx::python

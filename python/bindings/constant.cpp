// constant.cpp — see constant.h.

#include "bindings/constant.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "bindings/errors.h"
#include "graph/params.h"

namespace mx::python {

namespace {

// The parts of a slice or range: plain comparison would call range(0) and range(5, 5) equal.
bool has_bounds(PyObject* o) { return PySlice_Check(o) || PyRange_Check(o); }
py::object bound(PyObject* o, const char* name) { return py::reinterpret_steal<py::object>(checked(PyObject_GetAttrString(o, name))); }
constexpr const char* kBounds[] = {"start", "stop", "step"};

bool same_bytes(PyObject* a, PyObject* b) {
  Py_buffer x, y;
  if (PyObject_GetBuffer(a, &x, PyBUF_FULL_RO) != 0) rethrow();
  if (PyObject_GetBuffer(b, &y, PyBUF_FULL_RO) != 0) {
    PyBuffer_Release(&x);
    rethrow();
  }
  bool same = x.len == y.len && std::strcmp(x.format ? x.format : "B", y.format ? y.format : "B") == 0 &&
              std::memcmp(x.buf, y.buf, static_cast<size_t>(x.len)) == 0;
  PyBuffer_Release(&x);
  PyBuffer_Release(&y);
  return same;
}

bool equal(PyObject* a, PyObject* b) {
  int r = PyObject_RichCompareBool(a, b, Py_EQ);
  if (r < 0) rethrow();
  return r == 1;
}

// Each element of `a` has an equal in `b`; it must be the same constant.
bool same_sets(PyObject* a, PyObject* b) {
  if (!equal(a, b)) return false;
  py::dict of_b;
  for (py::handle x : py::reinterpret_borrow<py::object>(b)) of_b[x] = x;
  for (py::handle x : py::reinterpret_borrow<py::object>(a)) {
    if (!same_constant(x.ptr(), PyDict_GetItem(of_b.ptr(), x.ptr()))) return false;
  }
  return true;
}

}  // namespace

bool is_constant(PyObject* o) {
  if (PySlice_Check(o)) {
    for (const char* name : kBounds) {
      if (!is_constant(bound(o, name).ptr())) return false;
    }
    return true;
  }
  if (PyObject_Hash(o) != -1) return true;
  PyErr_Clear();
  return false;
}

bool same_constant(PyObject* a, PyObject* b) {
  if (Py_TYPE(a) != Py_TYPE(b)) return false;
  if (PyFloat_Check(a)) {
    return std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(a)) == std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(b));
  }
  if (a == b) return true;
  if (PyComplex_Check(a)) {
    Py_complex x = PyComplex_AsCComplex(a), y = PyComplex_AsCComplex(b);
    return std::bit_cast<uint64_t>(x.real) == std::bit_cast<uint64_t>(y.real) &&
           std::bit_cast<uint64_t>(x.imag) == std::bit_cast<uint64_t>(y.imag);
  }
  if (has_bounds(a)) {
    for (const char* name : kBounds) {
      if (!same_constant(bound(a, name).ptr(), bound(b, name).ptr())) return false;
    }
    return true;
  }
  if (PyTuple_CheckExact(a)) {
    if (PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); ++i) {
      if (!same_constant(PyTuple_GET_ITEM(a, i), PyTuple_GET_ITEM(b, i))) return false;
    }
    return true;
  }
  if (PyFrozenSet_Check(a)) return same_sets(a, b);
  if (PyObject_CheckBuffer(a)) return same_bytes(a, b);  // bytes; NumPy scalars, whose zeros have signs
  return equal(a, b);
}

size_t constant_hash(PyObject* o) {
  size_t h = reinterpret_cast<size_t>(Py_TYPE(o));
  if (PyFloat_Check(o)) return detail::mix(h, std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(o)));
  if (PySlice_Check(o)) {
    for (const char* name : kBounds) h = detail::mix(h, constant_hash(bound(o, name).ptr()));
    return h;
  }
  Py_hash_t value = PyObject_Hash(o);
  if (value == -1) rethrow();
  return detail::mix(h, static_cast<size_t>(value));
}

}  // namespace mx::python

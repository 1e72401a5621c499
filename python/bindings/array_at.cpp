// array_at.cpp — x.at[idx].add(v) and its siblings: updates in which a repeated index counts every time.

#include "bindings/bind.h"
#include "bindings/indexing.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/operators.h"

namespace mx::python {

namespace {

struct ArrayAt {
  array x;
  py::object key;  // null: x.at itself

  PyObject* index() const {
    if (!key) throw ValueError("[at] no index was given; write x.at[index].add(value).");
    return key.ptr();
  }
  array update(const py::object& value, ScatterMode mode) const { return update_item(x, index(), value.ptr(), mode); }

  array subtract(const py::object& value) const {
    py::object minus = py::reinterpret_steal<py::object>(checked(wrap(negative(cast(value)))));
    return update(minus, ScatterMode::add);
  }
  // Where an index repeats, the divisors are multiplied first; elsewhere they are 1.
  array divide(const py::object& value) const {
    py::object divisor = py::reinterpret_steal<py::object>(checked(wrap(cast(value))));
    array by = update_item(ones_like(x), index(), divisor.ptr(), ScatterMode::multiply);
    if (is_inexact(x.dtype())) return mx::divide(x, by);
    // Integers: towards zero.
    return floor_divide(abs(x), abs(by)) * sign(x) * sign(by);
  }
  array cast(const py::object& value) const {
    return is_python_number(value.ptr()) ? to_array(value.ptr(), x.dtype()) : astype(to_array(value.ptr()), x.dtype());
  }
};

}  // namespace

py::object array_at(const array& x) { return py::cast(ArrayAt{x, py::object()}); }

void bind_array_at(py::module_& m) {
  py::class_<ArrayAt>(m, "ArrayAt", R"(Updates an array at an index: ``x.at[idx].add(v)``.

``x[idx] += v`` reads, adds and writes back, so that of several equal indices only one counts. With ``at`` each of
them does. The array itself is left as it is; the result is a new one. Any index expression is allowed, and v is
cast to the dtype of the array and broadcast to the selection.

Example:
    >>> a = mx.array([0, 0])
    >>> a.at[mx.array([0, 1, 0])].add(1).tolist()
    [2, 1]
)")
      .def("__getitem__", [](const ArrayAt& a, py::object indices) { return ArrayAt{a.x, std::move(indices)}; }, py::arg("indices"),
           "Choose the places to update.")
      .def("add", [](const ArrayAt& a, py::object value) { return a.update(value, ScatterMode::add); }, py::arg("value"),
           "Add value to the elements.")
      .def("subtract", [](const ArrayAt& a, py::object value) { return a.subtract(value); }, py::arg("value"),
           "Subtract value from the elements.")
      .def("multiply", [](const ArrayAt& a, py::object value) { return a.update(value, ScatterMode::multiply); }, py::arg("value"),
           "Multiply the elements by value.")
      .def("divide", [](const ArrayAt& a, py::object value) { return a.divide(value); }, py::arg("value"),
           "Divide the elements by value; integers round towards zero.")
      .def("maximum", [](const ArrayAt& a, py::object value) { return a.update(value, ScatterMode::maximum); }, py::arg("value"),
           "Raise the elements to value where it is larger.")
      .def("minimum", [](const ArrayAt& a, py::object value) { return a.update(value, ScatterMode::minimum); }, py::arg("value"),
           "Lower the elements to value where it is smaller.")
      .attr("__module__") = "mxform";
}

}  // namespace mx::python

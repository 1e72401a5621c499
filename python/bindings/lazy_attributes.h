// lazy_attributes.h — attributes of a module that are made when first asked for: what needs a Python module that
// importing mxform shall not wait for.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>

namespace mx::python {

namespace py = pybind11;

/// Gives `m` an attribute; `make` is called at most once. `name` is a literal.
void lazy_attribute(py::module_& m, const char* name, std::function<py::object()> make);

/// A Python enum of the package.
py::object make_enum(const char* name, const py::dict& members, const char* doc);

}  // namespace mx::python

// lazy_attributes.cpp — a module with lazy attributes has a `__getattr__` and a `__dir__` (PEP 562).

#include "bindings/lazy_attributes.h"

#include <string_view>
#include <vector>

#include "bindings/convert.h"

namespace mx::python {

namespace {

struct Attribute {
  PyObject* module;
  const char* name;
  std::function<py::object()> make;
};

std::vector<Attribute>& attributes() {
  static auto* all = new std::vector<Attribute>;
  return *all;
}

PyObject* getattr(PyObject* module, PyObject* name) {
  return guarded([&]() -> PyObject* {
    std::string wanted = PyUnicode_Check(name) ? py::cast<std::string>(py::handle(name)) : std::string();
    for (Attribute& a : attributes()) {
      if (a.module != module || a.name != wanted) continue;
      py::object value = a.make();
      py::setattr(module, name, value);
      return value.release().ptr();
    }
    return PyErr_Format(PyExc_AttributeError, "module '%s' has no attribute '%U'", PyModule_GetName(module), name);
  });
}

PyObject* dir(PyObject* module, PyObject*) {
  return guarded([&] {
    py::set names{py::reinterpret_borrow<py::object>(PyModule_GetDict(module))};
    for (const Attribute& a : attributes()) {
      if (a.module == module) names.add(a.name);
    }
    return py::list(names).release().ptr();
  });
}

PyMethodDef methods[] = {{"__getattr__", getattr, METH_O, nullptr}, {"__dir__", dir, METH_NOARGS, nullptr}};

}  // namespace

void lazy_attribute(py::module_& m, const char* name, std::function<py::object()> make) {
  if (!py::hasattr(m, "__getattr__")) {
    for (PyMethodDef& method : methods) {
      m.attr(method.ml_name) = py::reinterpret_steal<py::object>(checked(PyCFunction_New(&method, m.ptr())));
    }
  }
  attributes().push_back({m.ptr(), name, std::move(make)});
}

py::object make_enum(const char* name, const py::dict& members, const char* doc) {
  py::object cls = py::module_::import("enum").attr("Enum")(name, members, py::arg("module") = "mxform");
  cls.attr("__repr__") = cls.attr("__str__");
  cls.attr("__doc__") = doc;
  return cls;
}

}  // namespace mx::python

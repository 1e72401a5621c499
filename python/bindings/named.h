// named.h — named tuples, for functions that return several arrays with names: a tuple, and a container to transformations.
// The class is made when first needed.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/lazy_attributes.h"

namespace mx::python {

/// A class made by collections.namedtuple, put into a module. Its objects unpack and compare like tuples.
class NamedTuple {
 public:
  NamedTuple(py::module_& m, const char* name, std::initializer_list<const char*> fields) : name_(name), fields_(fields), module_(m.ptr()) {
    lazy_attribute(m, name, [this] { return made(); });
  }
  py::object operator()(Arrays as) { return made().attr("_make")(py::reinterpret_steal<py::object>(to_python(std::move(as)))); }

 private:
  py::object made() {
    if (!class_) {
      auto module = py::cast<std::string>(py::handle(module_).attr("__name__"));
      // "mxform._core.linalg" is to be known as "mxform.linalg".
      if (size_t at = module.find("._core"); at != module.npos) module.erase(at, 6);
      py::list names;
      for (const char* f : fields_) names.append(f);
      py::object made = py::module_::import("collections").attr("namedtuple")(name_, names, py::arg("module") = module);
      class_ = made.release().ptr();  // lives as long as the process
    }
    return py::reinterpret_borrow<py::object>(class_);
  }

  const char* name_;
  std::vector<const char*> fields_;
  PyObject* module_;
  PyObject* class_ = nullptr;
};

}  // namespace mx::python

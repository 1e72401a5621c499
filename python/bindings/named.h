// named.h — named tuples, for functions that return several arrays with names: a tuple, and a container to transformations.
#pragma once

#include <initializer_list>
#include <string>

#include "bindings/convert.h"

namespace mx::python {

/// A class made by collections.namedtuple, put into a module. Its objects unpack and compare like tuples.
class NamedTuple {
 public:
  NamedTuple(py::module_& m, const char* name, std::initializer_list<const char*> fields) {
    auto module = py::cast<std::string>(m.attr("__name__"));
    // "mxform._core.linalg" is to be known as "mxform.linalg".
    if (size_t at = module.find("._core"); at != module.npos) module.erase(at, 6);
    py::list names;
    for (const char* f : fields) names.append(f);
    py::object made = py::module_::import("collections").attr("namedtuple")(name, names, py::arg("module") = module);
    m.attr(name) = made;
    class_ = made.release().ptr();  // lives as long as the process
  }
  py::object operator()(Arrays as) const {
    return py::handle(class_).attr("_make")(py::reinterpret_steal<py::object>(to_python(std::move(as))));
  }

 private:
  PyObject* class_;
};

}  // namespace mx::python

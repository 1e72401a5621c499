// print.cpp — repr and str of arrays, and the print options. The text is made in csrc/runtime/format.cpp.

#include "bindings/array.h"
#include "bindings/bind.h"
#include "runtime/format.h"

namespace mx::python {

PyObject* repr_array(PyObject* self) {
  return guarded([&] {
    array a = get_array(self);  // a copy: computing releases the lock
    return to_python(str(a));
  });
}

namespace {

// `with printoptions(...)`: options that hold for a block.
struct OptionsContext {
  PrintOptions inside;
  std::vector<PrintOptions> before = {};
};

}  // namespace

void bind_print(py::module_& m) {
  py::class_<PrintOptions>(m, "PrintOptions", "How arrays are printed: digits after the decimal point, or -1 for the default.")
      .def(py::init([](int precision) { return PrintOptions{precision}; }), py::arg("precision") = -1)
      .def_readwrite("precision", &PrintOptions::precision)
      .def("__repr__", [](const PrintOptions& o) { return cat("PrintOptions(precision=", o.precision, ")"); })
      .attr("__module__") = "mxform";
  py::class_<OptionsContext>(m, "_PrintOptionsContext")
      .def("__enter__", [](OptionsContext& c) {
        c.before.push_back(print_options());
        set_print_options(c.inside);
        return c.inside;
      })
      .def("__exit__", [](OptionsContext& c, const py::args&) {
        if (c.before.empty()) throw ValueError("[printoptions] left more often than entered.");
        set_print_options(c.before.back());
        c.before.pop_back();
      })
      .attr("__module__") = "mxform";
  def(m, "set_printoptions(precision=-1)", R"(
      Set how arrays are printed.

      Args:
          precision (int): Digits after the decimal point; -1: up to six significant digits.
      )", [](const Args& a) { set_print_options({a.small(0)}); });
  def(m, "get_printoptions()", R"(
      Give the print options in force.

      Returns:
          PrintOptions
      )", [](const Args&) { return py::object(py::cast(print_options())); });
  def(m, "printoptions(precision=-1)", R"(
      Make a context manager that sets print options for a block.

      Args:
          precision (int): As for ``set_printoptions``.

      Example:
          >>> with mx.printoptions(precision=2):
          ...     print(mx.array([1 / 3]))
          array([0.33], dtype=float32)
      )", [](const Args& a) { return py::object(py::cast(OptionsContext{{a.small(0)}})); });
}

}  // namespace mx::python

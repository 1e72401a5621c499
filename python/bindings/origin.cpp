// origin.cpp — where in the user's program a call was made: for errors that appear only at evaluation.

#include <cstdlib>

#include "bindings/bind.h"
#include "graph/array.h"

namespace mx::python {

namespace {

// The folder of this package: its own frames are not the user's.
std::string& package_folder() {
  static auto* folder = new std::string;
  return *folder;
}

// The innermost frame outside the package, as "file.py:12".
std::shared_ptr<const std::string> user_line() {
  if (!PyGILState_Check()) return nullptr;
  auto frame = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame) {
    auto* raw = reinterpret_cast<PyFrameObject*>(frame.ptr());
    auto code = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(raw)));
    std::string file = py::str(code.attr("co_filename"));
    if (!file.starts_with(package_folder())) return std::make_shared<std::string>(cat(file, ":", PyFrame_GetLineNumber(raw)));
    frame = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetBack(raw)));
  }
  return nullptr;
}

}  // namespace

void bind_origin(py::module_& m) {
  std::string file = py::str(py::module_::import("mxform").attr("__file__"));
  package_folder() = file.substr(0, file.find_last_of("/\\") + 1);
  def(m, "set_origin_tracing(enabled)", R"(Remember where in the program each operation is called.

Operations are computed later than they are called, so an error of the computation (an index out of bounds, say)
appears far from its cause. With tracing on, the error ends with the file and line of the call. It costs about a
microsecond for each operation; it is off at first, unless the environment variable MXFORM_TRACE_ORIGINS is set.

Args:
    enabled (bool): Whether operations called from here on, on any thread, remember their line.

Example:
    >>> mx.set_origin_tracing(True)
    >>> y = mx.take(mx.array([1, 2]), mx.array([7]))
    >>> try:
    ...     mx.eval(y)
    ... except IndexError as error:
    ...     print("made at" in str(error))
    True
    >>> mx.set_origin_tracing(False)
)",
      [](const Args& a) { set_origin_source(a.flag(0) ? user_line : nullptr); });
  if (std::getenv("MXFORM_TRACE_ORIGINS")) set_origin_source(user_line);
}

}  // namespace mx::python

// origin.cpp — where in the user's program a call was made: for errors that appear only at evaluation.

#include "bindings/origin.h"

#include <cstdlib>
#include <mutex>

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

// How many want lines: the switch is one of them, and each TracedOrigins.
std::mutex wanted_lock;
int wanted = 0;
bool switched_on = false;

void want(int more) {
  std::lock_guard guard(wanted_lock);
  wanted += more;
  set_origin_source(wanted > 0 ? user_line : nullptr);
}

void switch_tracing(bool on) {
  int more = 0;
  {
    std::lock_guard guard(wanted_lock);
    more = static_cast<int>(on) - static_cast<int>(std::exchange(switched_on, on));
  }
  want(more);
}

}  // namespace

TracedOrigins::TracedOrigins() { want(1); }
TracedOrigins::~TracedOrigins() { want(-1); }

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
      [](const Args& a) { switch_tracing(a.flag(0)); });
  if (std::getenv("MXFORM_TRACE_ORIGINS")) switch_tracing(true);
}

}  // namespace mx::python

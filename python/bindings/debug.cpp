// debug.cpp — looking at values while a program runs: the switch behind debug_nans, and debug_print. The public
// functions are in mxform/debug.py.

#include <optional>

#include "bindings/bind.h"
#include "bindings/origin.h"
#include "bindings/transforms.h"
#include "ops/effects.h"
#include "runtime/nan_check.h"

namespace mx::python {

namespace {

// Returns whether it was on.
bool switch_nan_checks(bool on) {
  static auto* origins = new std::optional<TracedOrigins>;
  bool was = checking_nans();
  set_nan_checks(on);
  if (on && !*origins) origins->emplace();
  if (!on) origins->reset();
  return was;
}

// Calls `observer` with the values of `arrays`, when they are there.
void observe(const Args& a) {
  std::shared_ptr<py::object> observer = share(a.obj(1));
  debug_print(a.str(0), [observer](const Arrays& values) {
    if (interpreter_is_ending()) return;
    py::gil_scoped_acquire gil;
    py::tuple args(1);
    args[0] = py::reinterpret_steal<py::object>(to_python(values));
    call(observer->ptr(), args.ptr());
  }, a.arrays(2));
}

}  // namespace

void bind_debug(py::module_& m) {
  def(m, "_debug_nans(on, /)", "", [](const Args& a) { return switch_nan_checks(a.flag(0)); });
  def(m, "_debug_print(text, observer, arrays, /)", "", observe);
}

}  // namespace mx::python

// transforms.h — what the bindings of the transformations share: calling Python functions, and naming them
// and their arguments in errors.
#pragma once

#include <memory>
#include <string>

#include "bindings/gil.h"
#include "bindings/tree.h"
#include "transforms/vmap.h"

namespace mx::python {

/// "loss_fn": what errors call `fun`.
std::string function_name(PyObject* fun);

/// Throws TypeError unless `args` is a tuple and `kwargs` null, None or a dict: private entry points may be called too.
void check_call(PyObject* args, PyObject* kwargs);
/// Parameter `i` of a call by position: "params", "layers[3]" for `*layers`, "argument 2" if nothing is known.
std::string parameter_name(PyObject* fun, size_t i);
/// Leaf number `leaf` of a call whose arguments were taken apart as positional ones followed by a dict of
/// keywords: "params['layers'][2]".
std::string argument_path(PyObject* fun, const Tree& arguments, size_t leaf);

/// A tuple of `items`.
py::tuple to_tuple_object(std::span<const py::object> items);
/// fun(*args, **kwargs); `kwargs` may be null or empty.
py::object call(PyObject* fun, PyObject* args, PyObject* kwargs = nullptr);
/// The positional arguments and the keywords of a call (a dict or null) as one tree: the positional ones, then a dict.
MixedTree split_arguments(PyObject* args, PyObject* kwargs);
/// Calls `fun` with such a tree's children.
py::object call_with(PyObject* fun, const MixedTree& arguments, std::span<const array> arrays);

/// One entry for each leaf of `tree` from a tree of axes, in which an int or None stands for all below it.
/// `what` names the axes in errors. `from` is the node to begin with, and becomes the one after.
BatchAxes spread_axes(const Tree& tree, PyObject* axes, const std::string& what, size_t* from = nullptr);

/// True when Python's lock can no longer be had: what Python objects remain are left to the process's end.
inline bool interpreter_is_ending() {
#if PY_VERSION_HEX >= 0x030d0000
  return !Py_IsInitialized() || Py_IsFinalizing();
#else
  return !Py_IsInitialized() || _Py_IsFinalizing();
#endif
}

/// Shares a T that holds Python objects and may be released by any thread.
template <class T>
std::shared_ptr<T> share(T value) {
  return {new T(std::move(value)), [](T* p) {
            with_gil_or_never([&] { delete p; });
          }};
}

void bind_derivatives(py::module_& m);  ///< Jacobians, linearize, vjp_fn, hvp (derivatives.cpp).
void bind_vmap(py::module_& m);     ///< vmap (vmap.cpp).
void bind_custom(py::module_& m);   ///< custom_function, checkpoint, depends (custom.cpp).
void bind_compile(py::module_& m);  ///< compile (compile.cpp).
void bind_control(py::module_& m);  ///< scan, while_loop, switch (control.cpp).

}  // namespace mx::python

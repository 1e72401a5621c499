// constant.h — constants of a compiled function, compared by type and value.
//
// Python calls 0, 0.0, False and -0.0 equal; a function can tell them apart, so a trace for one must not serve
// another.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace mx::python {

/// True for what can be a constant of a trace: hashable, and no container of arrays.
bool is_constant(PyObject* o);
/// Equal only if the types are too, floats by bits. Both must pass is_constant().
bool same_constant(PyObject* a, PyObject* b);
size_t constant_hash(PyObject* o);

}  // namespace mx::python

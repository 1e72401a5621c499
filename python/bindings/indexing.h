// indexing.h — what x[...] and x.at[...] share. get_item, set_item and array_at are declared in array.h.
#pragma once

#include "bindings/convert.h"
#include "ops/index_params.h"

namespace mx::python {

/// `x` with the elements that `key` selects combined with `value` (ScatterMode::set: replaced). A place that the key
/// names several times takes part several times; with set the last one stays. `value` is cast to x's dtype.
array update_item(const array& x, PyObject* key, PyObject* value, ScatterMode mode);

/// The class behind `x.at`; array_at.cpp.
void bind_array_at(py::module_& m);

}  // namespace mx::python

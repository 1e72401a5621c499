// export.cpp — functions as files: export_function, import_function, exporter (compile/export.h).

#include "bindings/bind.h"

namespace mx::python {

void bind_export([[maybe_unused]] py::module_& m) {}

}  // namespace mx::python

// record.h — one trace of a function, ready to be written: what FunctionExporter collects, and what a callback is told.
#pragma once

#include "export/export.h"
#include "export/function_trace.h"

namespace mx::exporting {

/// Throws ValueError if it cannot be exported.
FunctionTrace record(const Function& f, const Arrays& args, const NamedArrays& named, bool shapeless);

}  // namespace mx::exporting

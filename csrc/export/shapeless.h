// shapeless.h — from a function and one set of example inputs to a trace for other sizes too.
//
// A file cannot run the function again, so what it would do at other sizes is learnt when it is exported: the function
// is traced at many sizes (placeholders have no values, so this is cheap), the graphs must be the same but for numbers,
// and every number that differs must follow a rule that holds in all traces, those made to test it included. Whatever
// does not pass is refused: a shapeless file gives what the function gives, or an error. docs/export.md explains it.
#pragma once

#include "export/function_trace.h"
#include "transforms/function.h"

namespace mx::exporting {

/// Throws ValueError, naming the operation, if the function's graph depends on sizes otherwise than by numbers.
FunctionTrace trace_shapeless(const Function& f, const Types& inputs);

}  // namespace mx::exporting

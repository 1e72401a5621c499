// trace.h — running a function on placeholders and taking its graph out, in a form that a file can hold.
//
// Unlike extract() (graph/subgraph.h) it takes every call made while the function ran, also those that do not depend
// on the inputs, such as the arange of a mask: only so can a shapeless function follow its inputs' sizes. What the
// function found ready made is captured. Markers and prints vanish, fused programs become operations again, and
// rules of custom functions become graphs. For those who only look at a graph, trace_for_reading() leaves calls as they are.
#pragma once

#include "graph/subgraph.h"
#include "transforms/function.h"

namespace mx::exporting {

struct Traced {
  Subgraph graph;
  Arrays captured;        ///< Not evaluated yet.
  uint64_t progress = 0;  ///< How many calls were made; also set when the function threw.
};

/// Throws what `f` throws; then `*progress` says how far it came.
Traced trace(const Function& f, const Types& inputs, uint64_t* progress = nullptr);

/// The same for reading: effects are steps too, and only markers vanish; with `open_programs`, fused programs are opened.
/// `op` is what errors call the place.
Traced trace_for_reading(const Function& f, const Types& inputs, const char* op, bool open_programs);

/// What becomes of a primitive in a file: "kept", "inlined" (others stand for it), "dropped",
/// or "none" (it is refused).
const char* export_source(const Primitive& p);

}  // namespace mx::exporting

// range.h — for which sizes the rules of a shapeless trace hold: the last thing that an export finds out.
#pragma once

#include "export/axes.h"
#include "export/function_trace.h"

namespace mx::exporting {

/// Sizes of one axis that are all tried, up to this one.
constexpr int64_t kMostSmall = 66;

/// Fills in `t.sizes->symbols`. Inside these ranges `t`, whose trace was `base`, is what the function is, as far as tested.
/// Throws ValueError if there are no such ranges.
void find_range(const Probe& r, const Sample& base, FunctionTrace& t);

}  // namespace mx::exporting

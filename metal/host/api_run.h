// api_run.h — running the dispatches of a pass.
#pragma once

#include "api_metal.h"

namespace mx::metal::host {

/// Runs a pass whose place among others is right. Faults become those of `c`; then the rest is not run.
void run_pass(CommandBufferObject& c, const Pass& pass);
/// Dispatches that are done so far, and whether one is running: waiting is not in vain while this changes.
uint64_t progress();

}  // namespace mx::metal::host

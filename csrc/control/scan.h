// scan.h — a loop that carries values from step to step, as one node of the graph.
//
// The body is traced once, whatever the number of steps. Reverse mode keeps the carry of each step and computes the
// body again from it, so its memory is that of the carries; nest scans to keep fewer.
#pragma once

#include <optional>

#include "control/body.h"

namespace mx {

/// (carry..., x...) -> (new carry..., y...): one step.
using ScanFunction = Function;

/// Runs `f` along axis 0 of `xs` (each has `length` steps), starting with `init`. Returns the last carry, then the ys
/// stacked along a new axis 0. `reverse`: from the last step to the first; ys keep the order of the xs.
/// Throws ValueError if the carry's types change.
Arrays scan(const ScanFunction& f, const Arrays& init, const Arrays& xs, int64_t length, bool reverse = false);

struct ScanLoopParams {
  Body body;
  int n_carry = 0;
  int n_x = 0;
  int64_t length = 0;
  bool reverse = false;
  auto fields() const { return std::tie(body, n_carry, n_x, length, reverse); }
};
/// Inputs: carry, xs, captured. Outputs: last carry, ys, and each carry as it entered each step (computed only if used).
extern const Primitive scan_p;

}  // namespace mx

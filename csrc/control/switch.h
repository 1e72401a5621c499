// switch.h — one of several branches, chosen by a computed index, as one node of the graph.
#pragma once

#include "control/body.h"

namespace mx {

/// branches[index](operands); only that branch is computed. An index out of range is clamped. The branches must give
/// the same types, else ValueError. Under vmap with an index for each example all branches are computed.
Arrays switch_case(const array& index, const std::vector<Function>& branches, const Arrays& operands);
/// `then` if the boolean `pred` is true, else `otherwise`.
Arrays cond(const array& pred, const Function& then, const Function& otherwise, const Arrays& operands);

struct SwitchParams {
  std::vector<Body> branches;
  std::vector<int64_t> n_captured;  ///< Of each branch.
  int n_operands = 0;
  auto fields() const { return std::tie(branches, n_captured, n_operands); }
};
/// Inputs: the index (int32, shape ()), the operands, then what each branch captured.
extern const Primitive switch_p;

}  // namespace mx

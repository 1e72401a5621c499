// while_loop.h — a loop of unknown length, as one node of the graph.
#pragma once

#include <optional>

#include "control/body.h"

namespace mx {

/// Replaces the carry by `body` of it while `cond` of it is true. Returns the last carry. With `max_steps` the loop ends
/// after so many steps in any case, and has a reverse mode: it keeps the carries of all steps. Without, reverse mode is
/// an error. Throws ValueError if the carry's types change or `cond` does not give one boolean.
Arrays while_loop(const Function& cond, const Function& body, const Arrays& init, std::optional<int64_t> max_steps = std::nullopt);

struct WhileParams {
  Body cond, body;
  int n_carry = 0;
  int n_cond = 0;          ///< Arrays that `cond` captured; those of `body` follow.
  int64_t max_steps = -1;  ///< -1: no bound, and then no histories.
  auto fields() const { return std::tie(cond, body, n_carry, n_cond, max_steps); }
};
/// Inputs: carry, captured by cond, captured by body. Outputs: last carry; with a bound also the number of steps (int32)
/// and each carry as it entered each step (computed only if used; rows after the last step are zeros).
extern const Primitive while_p;

}  // namespace mx

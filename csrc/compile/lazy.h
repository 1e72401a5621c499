// lazy.h — evaluation without `compile` is planned as well: pending graphs of one structure share a fused plan.
#pragma once

#include <span>

#include "runtime/lazy.h"

namespace mx {

/// The planner for set_lazy_planner.
bool run_as_plan(std::span<CallRef> calls);

/// Plans kept, and how often one was used again: for tests.
struct LazyPlanStats {
  size_t plans = 0;
  size_t hits = 0;
};
LazyPlanStats lazy_plan_stats();
void clear_lazy_plans();

}  // namespace mx

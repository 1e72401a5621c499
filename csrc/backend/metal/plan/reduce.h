// reduce.h — plans of reductions.
#pragma once

#include "backend/metal/plan/layout.h"
#include "backend/metal/plan/planners.h"

namespace mx::metal {

enum class Reduction : int32_t { sum, prod, max, min, all, any };

/// The dtype in which a GPU combines elements of dtype t.
Dtype combined_in(Dtype t);

/// What is reduced, an input, an output or a temporary, and where the results go, an output or a temporary.
struct ReduceCall {
  Binding::Kind from, to;
  size_t from_which, to_which;
  Dtype in, out;
  Reduction op;
};
/// Adds the launches of a reduction; the results lie as layout.kept says. False: too many axes.
bool add_reduction(Plan& plan, const ReduceCall& call, const AxesLayout& layout);

bool plan_sum(const Task& task, Plan& plan);
bool plan_prod(const Task& task, Plan& plan);
bool plan_max(const Task& task, Plan& plan);
bool plan_min(const Task& task, Plan& plan);
bool plan_all(const Task& task, Plan& plan);
bool plan_any(const Task& task, Plan& plan);

}  // namespace mx::metal

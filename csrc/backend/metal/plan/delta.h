// delta.h — plans of the gated delta rule (metal/kernels/delta.metal).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_gated_delta_update(const Task& task, Plan& plan);
bool plan_gated_delta_update_vjp(const Task& task, Plan& plan);

}  // namespace mx::metal

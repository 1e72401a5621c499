// cross_entropy.h — plans of the loss and its derivative.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_cross_entropy(const Task& task, Plan& plan);
bool plan_cross_entropy_vjp(const Task& task, Plan& plan);

}  // namespace mx::metal

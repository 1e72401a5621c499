// arg_reduce.h — plans of argmax and argmin.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_argmax(const Task& task, Plan& plan);
bool plan_argmin(const Task& task, Plan& plan);

}  // namespace mx::metal

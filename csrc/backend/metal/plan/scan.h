// scan.h — plans of running reductions (ops/scan_params.h).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_cumsum(const Task& task, Plan& plan);
bool plan_cumprod(const Task& task, Plan& plan);
bool plan_cummax(const Task& task, Plan& plan);
bool plan_cummin(const Task& task, Plan& plan);
bool plan_cumargmax(const Task& task, Plan& plan);
bool plan_cumargmin(const Task& task, Plan& plan);
bool plan_logcumsumexp(const Task& task, Plan& plan);
bool plan_linear_recurrence(const Task& task, Plan& plan);

}  // namespace mx::metal

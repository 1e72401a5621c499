// scatter.h — plans of scattering (ops/index_params.h).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_scatter(const Task& task, Plan& plan);
bool plan_scatter_axis(const Task& task, Plan& plan);

}  // namespace mx::metal

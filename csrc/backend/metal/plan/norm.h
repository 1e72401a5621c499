// norm.h — plans of rms_norm and layer_norm, forward and backward.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_rms_norm(const Task& task, Plan& plan);
bool plan_layer_norm(const Task& task, Plan& plan);
bool plan_rms_norm_vjp(const Task& task, Plan& plan);
bool plan_layer_norm_vjp(const Task& task, Plan& plan);

}  // namespace mx::metal

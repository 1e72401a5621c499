// movement.h — plans of the primitives of ops/movement_params.h that are not views.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_concatenate(const Task& task, Plan& plan);
bool plan_slice_update(const Task& task, Plan& plan);
bool plan_dynamic_slice(const Task& task, Plan& plan);
bool plan_dynamic_slice_update(const Task& task, Plan& plan);
bool plan_as_strided_add(const Task& task, Plan& plan);

}  // namespace mx::metal

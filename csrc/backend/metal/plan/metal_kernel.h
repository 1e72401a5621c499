// metal_kernel.h — launches of kernels that users write.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_metal_kernel(const Task& task, Plan& plan);

}  // namespace mx::metal

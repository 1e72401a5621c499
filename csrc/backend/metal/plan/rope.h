// rope.h — the plan of rotary position embedding (metal/kernels/rope.metal).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_rope(const Task& task, Plan& plan);

}  // namespace mx::metal

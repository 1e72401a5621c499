// hadamard.h — the plan of the Walsh-Hadamard transform (ops/hadamard_params.h).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_hadamard(const Task& task, Plan& plan);

}  // namespace mx::metal

// softmax.h — plans of softmax and logsumexp.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_softmax(const Task& task, Plan& plan);
bool plan_logsumexp(const Task& task, Plan& plan);

}  // namespace mx::metal

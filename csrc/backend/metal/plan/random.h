// random.h — plans of random bits and numbers.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_random_bits(const Task& task, Plan& plan);
bool plan_random_draw(const Task& task, Plan& plan);
bool plan_fold_in(const Task& task, Plan& plan);

}  // namespace mx::metal

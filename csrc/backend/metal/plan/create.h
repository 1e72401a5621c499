// create.h — plans of the creation primitives.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

/// Adds the launch that writes one integer to a temporary.
void add_integer(Plan& plan, uint16_t temporary, Dtype t, int64_t value);

bool plan_arange(const Task& task, Plan& plan);

}  // namespace mx::metal

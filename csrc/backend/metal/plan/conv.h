// conv.h — plans of convolutions and of their derivatives in the weight (metal/kernels/conv.metal).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_conv(const Task& task, Plan& plan);
bool plan_conv_weight(const Task& task, Plan& plan);

}  // namespace mx::metal

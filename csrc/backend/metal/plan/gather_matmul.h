// gather_matmul.h — plans of products of chosen, masked or segmented matrices.
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_gather_mm(const Task& task, Plan& plan);
bool plan_block_masked_mm(const Task& task, Plan& plan);
bool plan_segmented_mm(const Task& task, Plan& plan);
bool plan_segment_sum_mm(const Task& task, Plan& plan);

}  // namespace mx::metal

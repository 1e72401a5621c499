// elementwise.h — plans of the rows of ops/*.def and of astype, to_fp8 and from_fp8.
#pragma once

#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/planners.h"
#include "ops/elementwise_params.h"

namespace mx::metal {

/// Adds a launch of a kernel of elementwise.metal: operands of one shape, a contiguous result. False: too many axes.
bool add_elementwise(Plan& plan, std::string kernel, int32_t op, std::span<const Place> in, const Place& out, const Shape& shape);
/// The kernel of a row.
std::string row_kernel(ElementwiseCode code, Dtype in, Dtype out);

bool plan_elementwise(const Task& task, Plan& plan);
bool plan_astype(const Task& task, Plan& plan);
bool plan_to_fp8(const Task& task, Plan& plan);
bool plan_from_fp8(const Task& task, Plan& plan);

}  // namespace mx::metal

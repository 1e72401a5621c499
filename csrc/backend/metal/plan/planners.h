// planners.h — the Metal kernels' side of each primitive: how a call becomes launches. The table that joins planners to
// their primitives is planners.cpp; the functions of a family are in <family>.h and .cpp beside it.
#pragma once

#include "backend/metal/plan/launch.h"

namespace mx::metal {

/// Fills `plan`, or returns false when this call cannot run on the GPU (a dtype that it lacks, such as float64): then the CPU
/// runs it. Looks at types, strides and parameters only, never at values. Outputs are row-contiguous. An elementwise
/// output may lie in the memory of an input of the same layout.
using Planner = bool (*)(const Task& task, Plan& plan);

/// The planner of a primitive, or null: it always runs on the CPU.
Planner find_planner(const Primitive& primitive);

}  // namespace mx::metal

// gather.h — plans of gathering, and what scattering shares with it.
#pragma once

#include "backend/metal/plan/planners.h"
#include "backend/metal/plan/axis.h"

namespace mx::metal {

/// As gather.metal has it.
struct IndexParams {
  int64_t size, stride, n;
  int32_t axis, unused = 0;
};

/// What index arrays out of bounds raise. `inputs`: the index arrays of the task, `axes`: theirs.
void set_index_error(Plan& plan, std::span<const array> inputs, const Axes& axes);

/// Adds the launches that sum the places of index arrays (inputs from `first` on) into a temporary of 64-bit numbers; with `packed` as items to
/// sort by place. Nothing: too many axes.
std::optional<uint16_t> add_places(Plan& plan, const Task& task, size_t first, const Axes& axes, const Shape& shape, const Strides& strides, bool packed);

bool plan_gather(const Task& task, Plan& plan);
bool plan_gather_axis(const Task& task, Plan& plan);

}  // namespace mx::metal

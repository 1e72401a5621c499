// copy.h — plans of copies between layouts.
#pragma once

#include "backend/metal/plan/layout.h"
#include "backend/metal/plan/planners.h"

namespace mx::metal {

/// What a copy reads or writes: an input, an output or a temporary, from byte `offset` on, with strides in elements.
struct Place {
  Binding::Kind kind;
  size_t which;
  int64_t offset;
  Strides strides;
};

void bind_place(Plan& plan, uint8_t slot, const Place& place, bool written);

/// Adds the launch that copies elements of 1, 2, 4 or 8 bytes. False: too many axes.
bool add_copy(Plan& plan, const Place& to, const Place& from, const Shape& shape, size_t itemsize);

/// contiguous, and views and reshapes that cannot alias: the elements in row order.
bool plan_copy(const Task& task, Plan& plan);

}  // namespace mx::metal

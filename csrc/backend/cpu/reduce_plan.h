// reduce_plan.h — how kernels that work along axes go through an array, and what they cut it into.
#pragma once

#include "backend/cpu/strided.h"

namespace mx::cpu {

/// split_axes (runtime/layout.h), where a few elements for each of many results count as columns, too.
inline AxesLayout plan_reduction(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order) {
  AxesLayout plan = split_axes(shape, axes, in, out, any_order);
  plan.by_columns |= plan.kept.inner() >= 16 && plan.along.size < 24;
  return plan;
}

/// Splits the elements along the axes into chunks of work, by sizes alone, so that results do not depend on threads.
constexpr int64_t kChunk = 65536;

}  // namespace mx::cpu

// reduce_plan.h — how kernels that work along axes see an array: the axes kept and the axes worked along, each
// merged and ordered so that the innermost one has the smallest stride.
#pragma once

#include "backend/cpu/strided.h"

namespace mx::cpu {

/// Operand 0 is the input, operand 1 the output.
struct Plan {
  Layout kept;
  Layout along;
  /// True if neighbours in memory belong to different results: then whole rows are combined element by element.
  bool by_columns = false;
};

/// `out` has a stride for every axis of `shape`, 0 for one that the output lacks. `axes` ascending. With
/// `any_order` the elements along `axes` may be visited in another than row order.
Plan plan_reduction(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order);

/// Strides of a row-contiguous result without `axes`, one for every axis of `shape`.
Strides reduced_strides(const Shape& shape, const Axes& axes);

/// Splits the elements along the axes into chunks of work, by sizes alone, so that results do not depend on threads.
constexpr int64_t kChunk = 65536;

}  // namespace mx::cpu

// fused_rows.h — running a plan (fused_plan.h) over the rows of arrays.
#pragma once

#include "backend/cpu/fused_plan.h"
#include "runtime/backend.h"

namespace mx::cpu {

/// What is seen of the arrays of a call.
struct RowCall {
  const Task& task;
  const Program& program;
  const RowPlan& plan;
  RowMode mode;
  const Shape& whole;
  int64_t n_rows, length;             ///< Rows, and elements of a row.
  const std::vector<Level>& levels;   ///< Of the inputs, as in plan_rows.
  std::span<const array> in;
};

void run_rows(const RowCall& call);

/// The strides of an input over the whole shape: 0 along axes that it lacks.
Strides whole_strides(const array& x, Level declared, const Shape& whole, int row_axes);

/// The way for rows of a length: few long rows and very long ones are cut into pieces, short ones are run many at a time.
RowMode choose_mode(const Program& program, int64_t n_rows, int64_t length);

}  // namespace mx::cpu

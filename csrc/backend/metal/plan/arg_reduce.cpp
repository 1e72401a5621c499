// arg_reduce.cpp — launches of arg_reduce.metal: one for each call.

#include "backend/metal/plan/arg_reduce.h"

#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rows.h"
#include "ops/reduce_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kLargest, kByColumns };

struct Rows {
  uint64_t n_rows, length, n_groups;
  int64_t step;
  uint32_t width, unused = 0;
};

bool launch(const Task& task, Plan& plan, bool largest) {
  const array& x = task.in[0];
  if (x.dtype() == Dtype::float64) return false;
  if (task.out[0].size() == 0) return true;
  Axes axes{task.params.get<ArgReduceParams>().axis};
  AxesLayout l = split_axes(x.shape(), axes, x.strides(), reduced_strides(x.shape(), axes), false);
  if (!fits_inline(l) || l.along.size >> 32) return false;
  Teams teams = make_teams(static_cast<uint64_t>(l.kept.size), static_cast<uint64_t>(l.along.size), l.by_columns);
  plan.launch(kernel_name("arg_reduce", x.dtype()), teams.grid.threads, teams.grid.group);
  plan.constant(kLargest, largest);
  plan.constant(kByColumns, l.by_columns);
  plan.input(0, 0);
  plan.output(1);
  plan.value(2, Rows{static_cast<uint64_t>(l.kept.size), static_cast<uint64_t>(l.along.size), teams.n_groups, l.along.strides[0].back(), teams.width});
  plan.values(3, words(l.kept));
  return true;
}

}  // namespace

bool plan_argmax(const Task& task, Plan& plan) { return launch(task, plan, true); }
bool plan_argmin(const Task& task, Plan& plan) { return launch(task, plan, false); }

}  // namespace mx::metal

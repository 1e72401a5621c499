// softmax.cpp — launches of softmax.metal: one for each call.

#include "backend/metal/plan/softmax.h"

#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rows.h"
#include "ops/composite_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kLogSum, kByColumns, kOneAxis };

struct Rows {
  uint64_t n_rows, length, n_groups;
  uint32_t width, unused = 0;
};

bool launch(const Task& task, Plan& plan, bool log_sum) {
  const array &x = task.in[0], &y = task.out[0];
  if (x.dtype() != y.dtype() || !is_floating(x.dtype()) || x.dtype() == Dtype::float64) return false;
  if (y.size() == 0) return true;
  const Axes& axes = task.params.get<ReduceParams>().axes;
  AxesLayout l = split_axes(x.shape(), axes, x.strides(), log_sum ? reduced_strides(x.shape(), axes) : row_strides(y.shape()), true);
  if (!fits_inline(l)) return false;
  Teams teams = make_teams(static_cast<uint64_t>(l.kept.size), static_cast<uint64_t>(l.along.size), l.by_columns);
  plan.launch(kernel_name("softmax", x.dtype()), teams.grid.threads, teams.grid.group);
  plan.constant(kLogSum, log_sum);
  plan.constant(kByColumns, l.by_columns);
  plan.constant(kOneAxis, l.along.shape.size() == 1);
  plan.input(0, 0);
  plan.output(1);
  plan.value(2, Rows{static_cast<uint64_t>(l.kept.size), static_cast<uint64_t>(l.along.size), teams.n_groups, teams.width});
  plan.values(3, words(l.kept));
  plan.values(4, words(l.along));
  return true;
}

}  // namespace

bool plan_softmax(const Task& task, Plan& plan) { return launch(task, plan, false); }
bool plan_logsumexp(const Task& task, Plan& plan) { return launch(task, plan, true); }

}  // namespace mx::metal

// cross_entropy.cpp — launches of cross_entropy.metal: one for each call.

#include "backend/metal/plan/cross_entropy.h"

#include "backend/metal/plan/rows.h"
#include "ops/fast_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kBackward, kForward };

struct Rows {
  uint64_t n_rows, length, n_groups;
  int64_t step;
  uint32_t width, unused = 0;
};

bool launch(const Task& task, Plan& plan, bool backward) {
  const array &x = task.in[0], &targets = task.in[1];
  if (!is_floating(x.dtype()) || x.dtype() == Dtype::float64 || targets.dtype() != Dtype::int64) return false;
  // One element a row: strides without the last axis.
  Strides of_x(x.strides().begin(), x.strides().end() - 1);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  Layout rows = backward ? collapse(shape, {&of_x, &targets.strides(), &task.in[2].strides()}) : collapse(shape, {&of_x, &targets.strides()});
  if (!fits_inline(rows)) return false;
  int64_t n = x.shape(-1);
  if (rows.size == 0) return true;
  Teams teams = make_teams(static_cast<uint64_t>(rows.size), static_cast<uint64_t>(n), false);
  plan.launch(kernel_name("cross_entropy", x.dtype()), teams.grid.threads, teams.grid.group);
  plan.constant(kBackward, backward);
  plan.constant(kForward, !backward);
  plan.input(0, 0);
  plan.input(1, 1);
  if (backward) plan.input(2, 2);
  plan.output(backward ? 4 : 3);
  plan.status(5);
  plan.value(6, Rows{static_cast<uint64_t>(rows.size), static_cast<uint64_t>(n), teams.n_groups, n == 1 ? 0 : x.strides().back(), teams.width});
  plan.values(7, words(rows));
  plan.index_error = [](int64_t target, int64_t classes, int64_t) {
    return cat("[cross_entropy] target ", target, " is out of bounds for ", classes, " classes; need ", -classes, " <= target < ", classes, ".");
  };
  return true;
}

}  // namespace

bool plan_cross_entropy(const Task& task, Plan& plan) { return launch(task, plan, false); }
bool plan_cross_entropy_vjp(const Task& task, Plan& plan) { return launch(task, plan, true); }

}  // namespace mx::metal

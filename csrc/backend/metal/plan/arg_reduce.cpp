// arg_reduce.cpp — launches of arg_reduce.metal: one for each call, or two if there are few rows and these are long: each is searched in
// pieces then.

#include "backend/metal/plan/arg_reduce.h"

#include <algorithm>

#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rows.h"
#include "ops/reduce_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kLargest, kByColumns, kCompares };

constexpr uint64_t kManyGroups = 256;   // Threadgroups that fill a GPU, about.
constexpr uint64_t kPerThread = 16;     // Elements of a piece that are worth a thread.

struct Rows {
  uint64_t n_rows, length, n_groups, n_pieces, each;
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
  auto n_rows = static_cast<uint64_t>(l.kept.size), length = static_cast<uint64_t>(l.along.size);
  Teams whole = make_teams(n_rows, length, l.by_columns);
  uint64_t n_pieces = std::clamp<uint64_t>(std::min(kManyGroups / whole.n_groups, length / (kPerThread * whole.width)), 1, length);
  uint64_t each = ceil_div(length, n_pieces);
  n_pieces = ceil_div(length, each);
  auto add = [&](uint64_t n, uint64_t pieces, uint64_t part, bool compares) {
    Teams teams = make_teams(n_rows * pieces, part, l.by_columns);
    plan.launch(kernel_name("arg_reduce", x.dtype()), teams.grid.threads, teams.grid.group);
    plan.constant(kLargest, largest);
    plan.constant(kByColumns, l.by_columns);
    plan.constant(kCompares, compares);
    plan.input(0, 0);
    plan.value(2, Rows{n_rows, n, teams.n_groups, pieces, part, l.along.strides[0].back(), teams.width});
    plan.values(3, words(l.kept));
  };
  if (n_pieces == 1) {
    add(length, 1, length, false);
    plan.output(1);
    return true;
  }
  uint16_t found = plan.temporary(sizeof(uint32_t) * n_rows * n_pieces);
  add(length, n_pieces, each, false);
  plan.writes(1, found);
  add(n_pieces, 1, n_pieces, true);
  plan.output(1);
  plan.reads(4, found);
  return true;
}

}  // namespace

bool plan_argmax(const Task& task, Plan& plan) { return launch(task, plan, true); }
bool plan_argmin(const Task& task, Plan& plan) { return launch(task, plan, false); }

}  // namespace mx::metal

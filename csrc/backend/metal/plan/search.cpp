// search.cpp — searchsorted: a thread a value (search.metal).

#include "backend/metal/plan/sort.h"
#include "ops/sort_params.h"

namespace mx::metal {

bool plan_searchsorted(const Task& task, Plan& plan) {
  const array &sequences = task.in[0], &values = task.in[1], &out = task.out[0];
  if (!on_gpu(values.dtype())) return false;
  if (out.size() == 0) return true;
  int last = values.ndim() - 1;
  AroundAxis s(sequences.shape(), sequences.strides(), last), v(values.shape(), values.strides(), last);
  Layout layout = collapse(v.outer_shape, {&s.outer, &v.outer});
  std::optional<Grid> grid = grid_of(uint64_t(v.n), uint64_t(v.n_outer));
  if (!grid || !fits_inline(layout)) return false;
  plan.launch("search_sorted", grid->threads, grid->group);
  plan.constant(0, static_cast<uint32_t>(values.dtype()));
  plan.constant(1, false);
  plan.constant(2, task.params.get<SearchParams>().right);
  plan.constant(3, out.dtype() == Dtype::int64);
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  struct {
    int64_t n, step, value_step;
  } p{s.n, s.step, v.step};
  plan.value(3, p);
  plan.values(4, words(layout));
  return true;
}

}  // namespace mx::metal

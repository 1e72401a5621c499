// random.cpp — launches of random.metal: one for each call.

#include "backend/metal/plan/random.h"

#include "backend/metal/plan/rows.h"
#include "ops/random_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kWholeWords, kFrom };

struct Draw {
  uint64_t n_keys, n_bytes, n_blocks;
  int64_t step;
};

int64_t word_step(const array& keys) { return keys.strides().back(); }

// Blocks along x, keys along y.
bool launch(const Task& task, Plan& plan, const char* kernel) {
  const array &keys = task.in[0], &out = task.out[0];
  if (out.size() == 0) return true;
  Layout layout = leading_layout(keys, {});
  if (!fits_inline(layout)) return false;
  uint64_t n_bytes = out.n_bytes() / static_cast<uint64_t>(layout.size), n_blocks = ceil_div(ceil_div(n_bytes, 4), 2);
  Grid grid = strided_grid({layout.size, static_cast<int64_t>(n_blocks)});
  plan.launch(kernel, grid.threads, grid.group);
  plan.input(0, 0);
  plan.output(1);
  plan.value(2, Draw{static_cast<uint64_t>(layout.size), n_bytes, n_blocks, word_step(keys)});
  plan.values(3, words(layout));
  return true;
}

}  // namespace

bool plan_random_bits(const Task& task, Plan& plan) {
  if (!launch(task, plan, "random_bits")) return false;
  if (!plan.launches.empty()) plan.constant(kWholeWords, task.out[0].n_bytes() / static_cast<size_t>(task.in[0].size() / 2) % 4 == 0);
  return true;
}

bool plan_random_draw(const Task& task, Plan& plan) {
  if (task.out[0].dtype() != Dtype::float32 || !launch(task, plan, "random_draw")) return false;
  if (!plan.launches.empty()) plan.constant(kFrom, static_cast<int32_t>(task.params.get<RandomDrawParams>().from));
  return true;
}

bool plan_fold_in(const Task& task, Plan& plan) {
  const array &keys = task.in[0], &data = task.in[1];
  if (data.dtype() != Dtype::int64) return false;
  if (task.out[0].size() == 0) return true;
  Strides of_keys(keys.strides().begin(), keys.strides().end() - 1);
  Layout layout = collapse(data.shape(), {&of_keys, &data.strides()});
  if (!fits_inline(layout)) return false;
  Grid grid = linear_grid(static_cast<uint64_t>(layout.size));
  plan.launch("fold_in", grid.threads, grid.group);
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.value(3, Draw{static_cast<uint64_t>(layout.size), 0, 0, word_step(keys)});
  plan.values(4, words(layout));
  return true;
}

}  // namespace mx::metal

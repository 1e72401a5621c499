// movement.cpp — joins and updates are copies into a part of the result; blocks at positions that only the GPU knows, and sums of windows, have
// kernels of their own (metal/kernels/movement.metal).

#include "backend/metal/plan/movement.h"

#include <algorithm>
#include <numeric>

#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/axis.h"
#include "ops/movement_params.h"

namespace mx::metal {

bool plan_concatenate(const Task& task, Plan& plan) {
  size_t axis = static_cast<size_t>(task.params.get<ConcatenateParams>().axis);
  const array& out = task.out[0];
  Strides strides = row_strides(out.shape());
  int64_t offset = 0;
  for (size_t i = 0; i < task.in.size(); ++i) {
    const array& x = task.in[i];
    if (!add_copy(plan, {Binding::output, 0, offset * int64_t(x.itemsize()), strides}, {Binding::input, i, 0, x.strides()}, x.shape(), x.itemsize())) {
      return false;
    }
    offset += x.shape()[axis] * strides[axis];
  }
  return true;
}

bool plan_slice_update(const Task& task, Plan& plan) {
  const auto& p = task.params.get<SliceParams>();
  const array &update = task.in[1], &out = task.out[0];
  int64_t offset = 0;
  Strides strides = row_strides(out.shape());
  for (size_t i = 0; i < strides.size(); ++i) {
    offset += p.starts[i] * strides[i];
    strides[i] *= p.steps[i];
  }
  return add_copy_of_first(task, plan) &&
         add_copy(plan, {Binding::output, 0, offset * int64_t(out.itemsize()), strides}, {Binding::input, 1, 0, update.strides()}, p.sizes, out.itemsize());
}

namespace {

// A block of `sizes` between `small`, which it fills, and `big`, in which it begins where input `starts` says.
bool add_block(const Task& task, Plan& plan, const Strides& small, const Shape& big_shape, const Strides& big, bool into_big, size_t from, size_t starts) {
  const auto& p = task.params.get<DynamicSliceParams>();
  const array& start = task.in[starts];
  Strides start_strides(start.strides().begin(), start.strides().end() - 1);
  start_strides.resize(p.sizes.size(), 0);
  Layout layout = into_big ? collapse(p.sizes, {&small, &big, &start_strides}) : collapse(p.sizes, {&big, &small, &start_strides});
  if (layout.size == 0) return true;
  std::vector<int64_t> moves{int64_t(p.axes.size()), start.strides().back()};
  for (int axis : p.axes) {
    size_t i = static_cast<size_t>(axis);
    moves.push_back(big_shape[i] - p.sizes[i]);
    moves.push_back(big[i]);
  }
  if (!fits_inline(layout) || moves.size() * sizeof(int64_t) > kMaxInlineBytes) return false;
  Grid grid = linear_grid(static_cast<uint64_t>(layout.size));
  plan.launch(kernel_name("dynamic_block", bits_of(task.out[0].dtype())), grid.threads, grid.group);
  plan.constant(0, static_cast<uint32_t>(start.dtype()));
  plan.constant(1, into_big);
  plan.input(0, from);
  plan.output(1);
  plan.input(2, starts);
  plan.values(3, words(layout));
  plan.values(4, moves);
  plan.value(5, static_cast<uint64_t>(layout.size));
  return true;
}

}  // namespace

bool plan_dynamic_slice(const Task& task, Plan& plan) {
  const array& x = task.in[0];
  return add_block(task, plan, row_strides(task.out[0].shape()), x.shape(), x.strides(), false, 0, 1);
}

bool plan_dynamic_slice_update(const Task& task, Plan& plan) {
  const array &update = task.in[1], &out = task.out[0];
  return add_copy_of_first(task, plan) && add_block(task, plan, update.strides(), out.shape(), row_strides(out.shape()), true, 1, 2);
}

bool plan_as_strided_add(const Task& task, Plan& plan) {
  const auto& p = task.params.get<StridedParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (!on_gpu(out.dtype())) return false;
  if (out.size() == 0) return true;
  Layout l = collapse(x.shape(), {&p.strides, &x.strides()});
  constexpr size_t kMostAxes = 12;  // As in movement.metal.
  if (l.shape.size() > kMostAxes) return false;
  // Axes of negative strides are walked from their other end.
  int64_t first = p.offset, x_first = 0;
  for (size_t i = 0; i < l.shape.size(); ++i) {
    int64_t &to = l.strides[0][i], &from = l.strides[1][i];
    if (to >= 0 || l.shape[i] == 0) continue;
    first += to * (l.shape[i] - 1);
    x_first += from * (l.shape[i] - 1);
    to = -to;
    from = -from;
  }
  std::vector<size_t> order(l.shape.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return l.strides[0][a] > l.strides[0][b]; });
  std::vector<int64_t> windows{static_cast<int64_t>(order.size())};
  for (size_t k = 0; k < order.size(); ++k) {
    int64_t reach = 0;
    for (size_t r = k + 1; r < order.size(); ++r) reach += std::max<int64_t>(l.shape[order[r]] - 1, 0) * l.strides[0][order[r]];
    windows.insert(windows.end(), {l.shape[order[k]], l.strides[0][order[k]], l.strides[1][order[k]], reach});
  }
  Grid grid = linear_grid(static_cast<uint64_t>(out.size()));
  plan.launch(kernel_name("windows_add", out.dtype()), grid.threads, grid.group);
  plan.input(0, 0, x_first * int64_t(x.itemsize()));
  plan.output(1);
  plan.values(2, windows);
  plan.values(3, std::vector<int64_t>{out.size(), first});
  return true;
}

}  // namespace mx::metal

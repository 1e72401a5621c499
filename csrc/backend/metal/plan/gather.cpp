// gather.cpp — see gather.h. One index array is read where it is needed; several are summed to places first. Kernels: gather.metal.

#include "backend/metal/plan/gather.h"

#include <algorithm>

#include "ops/index_params.h"

namespace mx::metal {

void set_index_error(Plan& plan, std::span<const array> inputs, const Axes& axes) {
  std::vector<int> wide;  // Axes whose indices may be beyond int64.
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() == Dtype::uint64) wide.push_back(axes[k]);
  }
  plan.index_error = [wide](int64_t index, int64_t size, int64_t axis) {
    bool is_wide = std::find(wide.begin(), wide.end(), static_cast<int>(axis)) != wide.end();
    std::string text = is_wide ? std::to_string(static_cast<uint64_t>(index)) : std::to_string(index);
    return cat("[index] index ", text, " is out of bounds for axis ", axis, " with size ", size, "; need ", -size, " <= index < ", size, ".");
  };
}

std::optional<uint16_t> add_places(Plan& plan, const Task& task, size_t first, const Axes& axes, const Shape& shape, const Strides& strides, bool packed) {
  int64_t n = task.in[first].size();
  uint16_t places = plan.temporary(static_cast<size_t>(n) * sizeof(int64_t));
  Grid grid = linear_grid(static_cast<uint64_t>(n));
  for (size_t k = 0; k < axes.size(); ++k) {
    const array& index = task.in[first + k];
    size_t axis = static_cast<size_t>(axes[k]);
    Layout layout = collapse(index.shape(), {&index.strides()});
    if (!fits_inline(layout)) return std::nullopt;
    plan.launch("index_places", grid.threads, grid.group);
    plan.constant(0, static_cast<uint32_t>(index.dtype()));
    plan.constant(1, k == 0);
    plan.constant(2, packed && k + 1 == axes.size());
    plan.input(0, first + k);
    plan.writes(1, places);
    plan.values(2, words(layout));
    plan.value(3, IndexParams{shape[axis], strides[k], n, axes[k]});
    plan.status(4);
  }
  return places;
}

bool plan_gather(const Task& task, Plan& plan) {
  const auto& p = task.params.get<GatherParams>();
  const array &a = task.in[0], &out = task.out[0], &index = task.in[1];
  int64_t n_places = index.size();
  if (n_places == 0) return true;
  set_index_error(plan, task.in.subspan(1), p.axes);
  Strides steps;
  for (int axis : p.axes) steps.push_back(a.strides()[static_cast<size_t>(axis)]);
  // Indices are checked even if there is nothing to read.
  if (out.size() == 0) return add_places(plan, task, 1, p.axes, a.shape(), steps, false).has_value();

  Shape outer_shape, inner_shape;
  Strides outer, inner;
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (std::find(p.axes.begin(), p.axes.end(), static_cast<int>(i)) != p.axes.end()) continue;
    bool before = static_cast<int>(outer_shape.size() + inner_shape.size()) < p.at;
    (before ? outer_shape : inner_shape).push_back(a.shape()[i]);
    (before ? outer : inner).push_back(a.strides()[i]);
  }
  Layout o = collapse(outer_shape, {&outer}), i = collapse(inner_shape, {&inner}), x = collapse(index.shape(), {&index.strides()});
  std::optional<Grid> grid = grid_of(uint64_t(i.size), uint64_t(n_places), uint64_t(o.size));
  if (!grid || !fits_inline(o) || !fits_inline(i) || !fits_inline(x)) return false;
  std::optional<uint16_t> places;
  if (p.axes.size() > 1) {
    places = add_places(plan, task, 1, p.axes, a.shape(), steps, false);
    if (!places) return false;
  }
  plan.launch(kernel_name("gather", bits_of(a.dtype())), grid->threads, grid->group);
  plan.constant(0, static_cast<uint32_t>(index.dtype()));
  plan.constant(3, places.has_value());
  plan.input(0, 0);
  places ? plan.reads(1, *places) : plan.input(1, 1);
  plan.output(2);
  plan.values(3, words(o));
  plan.values(4, words(i));
  plan.values(5, words(x));
  plan.value(6, IndexParams{a.shape()[static_cast<size_t>(p.axes[0])], steps[0], n_places, p.axes[0]});
  plan.status(7);
  return true;
}

bool plan_gather_axis(const Task& task, Plan& plan) {
  int axis = task.params.get<GatherAxisParams>().axis;
  const array &a = task.in[0], &index = task.in[1], &out = task.out[0];
  if (out.size() == 0) return true;
  set_index_error(plan, task.in.subspan(1), {axis});
  AroundAxis from(a.shape(), a.strides(), axis), by(index.shape(), index.strides(), axis);
  Layout o = collapse(by.outer_shape, {&from.outer, &by.outer}), i = collapse(by.inner_shape, {&from.inner, &by.inner});
  std::optional<Grid> grid = grid_of(uint64_t(by.n_inner), uint64_t(by.n), uint64_t(by.n_outer));
  if (!grid || !fits_inline(o) || !fits_inline(i)) return false;
  plan.launch(kernel_name("gather_axis", bits_of(a.dtype())), grid->threads, grid->group);
  plan.constant(0, static_cast<uint32_t>(index.dtype()));
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.values(3, words(o));
  plan.values(4, words(i));
  plan.value(5, IndexParams{from.n, from.step, by.n, axis});
  plan.value(6, by.step);
  plan.status(7);
  return true;
}

}  // namespace mx::metal

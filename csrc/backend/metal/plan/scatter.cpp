// scatter.cpp — the result begins as a copy of the array; then few updates are walked through by every element that they may meet, many are sorted
// by place first. Kernels: scatter.metal, gather.metal (places), sort.metal.

#include "backend/metal/plan/scatter.h"

#include <algorithm>

#include "backend/metal/plan/gather.h"
#include "backend/metal/plan/sort.h"
#include "ops/index_params.h"

namespace mx::metal {

namespace {

constexpr int64_t kFew = 32;
constexpr int64_t kCarriedFrom = 1024;
constexpr uint64_t kBlock = 64;  // As in scatter.metal.

// Whether elements can be combined with one update after another in memory: half types would be rounded each time.
bool one_by_one(Dtype t, ScatterMode mode, int64_t n) {
  bool half = t == Dtype::float16 || t == Dtype::bfloat16;
  return n == 1 || (n <= kFew && (mode == ScatterMode::set || !half));
}

std::string scatter_name(std::string_view base, Dtype t, ScatterMode mode) {
  return kernel_name(base, mode == ScatterMode::set ? bits_of(t) : t);
}

bool fit(std::initializer_list<const Layout*> layouts) {
  return std::all_of(layouts.begin(), layouts.end(), [](const Layout* l) { return fits_inline(*l); });
}

// Combines sorted updates. Operands of `outer` and `inner`: the result and the updates.
bool add_sorted(Plan& plan, uint16_t items, Dtype t, ScatterMode mode, const Layout& outer, const Layout& inner, const Layout& places, const Layout& index) {
  std::optional<Grid> grid = grid_of(uint64_t(inner.size), uint64_t(index.size), uint64_t(outer.size));
  if (!grid || !fit({&outer, &inner, &places, &index})) return false;
  // Products are left in order: a part of one may overflow where the whole does not.
  const bool carried = mode != ScatterMode::set && mode != ScatterMode::multiply && index.size >= kCarriedFrom;
  uint16_t carries = 0;
  if (carried) {
    const uint64_t n_blocks = ceil_div(static_cast<uint64_t>(index.size), kBlock);
    const bool half = t == Dtype::float16 || t == Dtype::bfloat16;
    carries = plan.temporary(n_blocks * static_cast<size_t>(outer.size * inner.size) * (half ? sizeof(float) : size_of(t)));
    Grid blocks = *grid_of(uint64_t(inner.size), n_blocks, uint64_t(outer.size));
    plan.launch(kernel_name("scatter_carries", t), blocks.threads, blocks.group);
    plan.constant(1, static_cast<uint32_t>(mode));
    plan.reads(0, items);
    plan.input(1, 1);
    plan.writes(2, carries);
    plan.values(3, words(outer));
    plan.values(4, words(inner));
    plan.value(5, static_cast<uint32_t>(index.size));
    plan.values(6, words(index));
  }
  plan.launch(scatter_name(mode == ScatterMode::set ? "scatter_sorted_set" : "scatter_sorted", t, mode), grid->threads, grid->group);
  if (mode != ScatterMode::set) {
    plan.constant(1, static_cast<uint32_t>(mode));
    plan.constant(2, carried);
  }
  plan.reads(0, items);
  plan.input(1, 1);
  plan.output(2);
  plan.values(3, words(outer));
  plan.values(4, words(inner));
  plan.values(5, words(places));
  plan.values(6, words(index));
  if (carried) plan.reads(7, carries);
  return true;
}

constexpr int64_t kMostItems = (int64_t(1) << 32) - 1;  // Places and numbers of updates have 32 bits each.

}  // namespace

bool plan_scatter(const Task& task, Plan& plan) {
  const auto& p = task.params.get<ScatterParams>();
  const array &updates = task.in[1], &out = task.out[0], &index = task.in[2];
  if (!on_gpu(out.dtype())) return false;
  const int64_t n = index.size();
  if (!add_copy_of_first(task, plan)) return false;
  if (n == 0) return true;
  set_index_error(plan, task.in.subspan(2), p.axes);

  const Shape& shape = out.shape();
  const Strides strides = row_strides(shape);
  Shape place_shape;
  Strides place_strides;
  for (int axis : p.axes) {
    place_shape.push_back(shape[static_cast<size_t>(axis)]);
    place_strides.push_back(strides[static_cast<size_t>(axis)]);
  }
  // Indices are checked even if there is nothing to change.
  if (out.size() == 0) return add_places(plan, task, 2, p.axes, shape, place_strides, false).has_value();

  // Axes before and behind the indices, in the result and in the updates.
  Shape outer_shape, inner_shape;
  Strides outer, inner, outer_updates, inner_updates, index_updates;
  const size_t at = static_cast<size_t>(p.at), n_index = index.shape().size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (std::find(p.axes.begin(), p.axes.end(), static_cast<int>(i)) != p.axes.end()) continue;
    size_t k = outer_shape.size() + inner_shape.size();
    bool before = k < at;
    (before ? outer_shape : inner_shape).push_back(shape[i]);
    (before ? outer : inner).push_back(strides[i]);
    (before ? outer_updates : inner_updates).push_back(updates.strides()[before ? k : k + n_index]);
  }
  for (size_t i = 0; i < n_index; ++i) index_updates.push_back(updates.strides()[at + i]);
  Layout o = collapse(outer_shape, {&outer, &outer_updates}), i = collapse(inner_shape, {&inner, &inner_updates}),
         u = collapse(index.shape(), {&index_updates});

  if (one_by_one(out.dtype(), p.mode, n)) {
    std::optional<uint16_t> places = add_places(plan, task, 2, p.axes, shape, place_strides, false);
    std::optional<Grid> grid = grid_of(uint64_t(i.size), uint64_t(o.size));
    if (!places || !grid || !fit({&o, &i, &u})) return false;
    plan.launch(scatter_name("scatter_few", out.dtype(), p.mode), grid->threads, grid->group);
    plan.constant(1, static_cast<uint32_t>(p.mode));
    plan.reads(0, *places);
    plan.input(1, 1);
    plan.output(2);
    plan.values(3, words(o));
    plan.values(4, words(i));
    plan.value(5, static_cast<uint32_t>(n));
    plan.values(6, words(u));
    return true;
  }
  if (n > kMostItems || n_elems(place_shape) > kMostItems) return false;
  std::optional<uint16_t> items = add_places(plan, task, 2, p.axes, shape, row_strides(place_shape), true);
  if (!items) return false;
  return add_sorted(plan, add_item_sort(plan, *items, n), out.dtype(), p.mode, o, i, collapse(place_shape, {&place_strides}), u);
}

bool plan_scatter_axis(const Task& task, Plan& plan) {
  const auto& p = task.params.get<ScatterAxisParams>();
  const array &updates = task.in[1], &index = task.in[2], &out = task.out[0];
  if (!on_gpu(out.dtype())) return false;
  if (!add_copy_of_first(task, plan)) return false;
  if (index.size() == 0) return true;
  const Axes axes{p.axis};
  set_index_error(plan, task.in.subspan(2), axes);
  AroundAxis to(out.shape(), row_strides(out.shape()), p.axis), from(updates.shape(), updates.strides(), p.axis),
      by(index.shape(), index.strides(), p.axis);
  const IndexParams q{to.n, to.step, index.size(), p.axis};

  if (one_by_one(out.dtype(), p.mode, by.n) && out.size() > 0) {
    Layout o = collapse(to.outer_shape, {&to.outer, &from.outer, &by.outer}), i = collapse(to.inner_shape, {&to.inner, &from.inner, &by.inner});
    std::optional<Grid> grid = grid_of(uint64_t(i.size), uint64_t(o.size));
    if (!grid || !fit({&o, &i})) return false;
    plan.launch(scatter_name("scatter_axis_few", out.dtype(), p.mode), grid->threads, grid->group);
    plan.constant(0, static_cast<uint32_t>(index.dtype()));
    plan.constant(1, static_cast<uint32_t>(p.mode));
    plan.input(0, 2);
    plan.input(1, 1);
    plan.output(2);
    plan.values(3, words(o));
    plan.values(4, words(i));
    plan.value(5, q);
    const int64_t steps[4] = {to.step, from.step, by.step, by.n};
    plan.bytes(6, steps, sizeof steps);
    plan.status(7);
    return true;
  }
  if (index.size() > kMostItems || out.size() > kMostItems) return false;
  Layout o = collapse(by.outer_shape, {&by.outer}), i = collapse(by.inner_shape, {&by.inner});
  std::optional<Grid> grid = grid_of(uint64_t(i.size), uint64_t(by.n), uint64_t(o.size));
  if (!grid || !fit({&o, &i})) return false;
  uint16_t items = plan.temporary(static_cast<size_t>(index.size()) * sizeof(uint64_t));
  plan.launch("scatter_axis_items", grid->threads, grid->group);
  plan.constant(0, static_cast<uint32_t>(index.dtype()));
  plan.input(0, 2);
  plan.writes(1, items);
  plan.values(2, words(o));
  plan.values(3, words(i));
  plan.value(4, q);
  plan.value(5, by.step);
  plan.status(6);
  // Nothing can be met in an empty result: the indices were checked.
  if (out.size() == 0) return true;
  const Strides none{}, one{1};
  const Layout single = collapse({}, {&none, &none});
  return add_sorted(plan, add_item_sort(plan, items, index.size()), out.dtype(), p.mode, single, single, collapse({out.size()}, {&one}),
                    collapse(updates.shape(), {&updates.strides()}));
}

}  // namespace mx::metal

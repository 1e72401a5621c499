// reduce.cpp — launches of reduce.metal. Long axes are cut into chunks by sizes alone; the chunks' results are reduced by a second
// launch, and so on. Start at add_reduction().

#include "backend/metal/plan/reduce.h"

#include <cstdlib>

#include "ops/reduce_params.h"

namespace mx::metal {

namespace {

// As in reduce.metal.
constexpr uint32_t kThreads = 256, kColumns = 32;
constexpr uint64_t kPerThread = 64;  // Elements, of a chunk.

enum Constant : uint32_t { kOp, kResult, kByColumns, kOneAxis };

struct Work {
  uint64_t n_results, n_along, chunk, n_chunks, n_tiles;
  uint32_t width, unused = 0;
};

Layout pick(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool reorder) {
  Axes order(axes);
  if (reorder) {
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return std::abs(in[static_cast<size_t>(a)]) > std::abs(in[static_cast<size_t>(b)]);
    });
  }
  Shape sizes;
  Strides from, to;
  for (int axis : order) {
    size_t i = static_cast<size_t>(axis);
    sizes.push_back(shape[i]);
    from.push_back(in[i]);
    to.push_back(out[i]);
  }
  return collapse(sizes, {&from, &to});
}

bool reduce_task(const Task& task, Plan& plan, Reduction op) {
  const array &x = task.in[0], &y = task.out[0];
  if (x.dtype() == Dtype::float64 || y.dtype() == Dtype::float64) return false;
  const Axes& axes = task.params.get<ReduceParams>().axes;
  if ((op == Reduction::sum || op == Reduction::prod) && combined_in(x.dtype()) != combined_in(y.dtype())) return false;
  return add_reduction(plan, {Binding::input, Binding::output, 0, 0, x.dtype(), y.dtype(), op},
                       split_axes(x.shape(), axes, x.strides(), reduced_strides(x.shape(), axes), true));
}

}  // namespace

AxesLayout split_axes(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order) {
  Axes others;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) others.push_back(i);
  }
  AxesLayout l{pick(shape, others, in, out, true), pick(shape, axes, in, out, any_order)};
  int64_t across = std::abs(l.kept.strides[0].back()), along = std::abs(l.along.strides[0].back());
  l.by_columns = l.kept.shape.back() > 1 && l.along.shape.back() > 1 && across < along;
  return l;
}

Strides reduced_strides(const Shape& shape, const Axes& axes) {
  Strides strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) != axes.end()) continue;
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Dtype combined_in(Dtype t) {
  switch (t) {
    case Dtype::bool_:
    case Dtype::int8:
    case Dtype::int16: return Dtype::int32;
    case Dtype::uint8:
    case Dtype::uint16: return Dtype::uint32;
    case Dtype::float16:
    case Dtype::bfloat16: return Dtype::float32;
    default: return t;
  }
}

bool add_reduction(Plan& plan, const ReduceCall& call, const AxesLayout& layout) {
  uint64_t n_results = static_cast<uint64_t>(layout.kept.size), n_along = static_cast<uint64_t>(layout.along.size);
  if (n_results == 0) return true;
  if (!layout.fits()) return false;
  uint64_t lanes = layout.by_columns ? kThreads / kColumns : kThreads, chunk = lanes * kPerThread;
  if (n_along <= 2 * chunk) chunk = std::max<uint64_t>(n_along, 1);
  Work w{n_results, n_along, chunk, std::max<uint64_t>(ceil_div(n_along, chunk), 1), 0, 0};
  w.width = layout.by_columns ? kThreads / kColumns : power_of_2_for(ceil_div(std::min(n_along, chunk), 8), kThreads);
  w.n_tiles = ceil_div(n_results, kThreads / w.width);
  bool more = w.n_chunks > 1;
  Dtype work = combined_in(call.in);
  // The chunks' results: one after another, each in the order of the results.
  uint16_t partial = more ? plan.temporary(w.n_chunks * n_results * size_of(work)) : uint16_t(0);

  Grid grid = group_grid(w.n_tiles * w.n_chunks, kThreads);
  plan.launch(kernel_name("reduce", call.in), grid.threads, grid.group);
  plan.constant(kOp, static_cast<int32_t>(call.op));
  plan.constant(kResult, static_cast<int32_t>(more ? work : call.out));
  plan.constant(kByColumns, layout.by_columns);
  plan.constant(kOneAxis, layout.along.shape.size() == 1);
  if (call.from == Binding::input) plan.input(0, call.from_which);
  else if (call.from == Binding::output) plan.reads_output(0, call.from_which);
  else plan.reads(0, static_cast<uint16_t>(call.from_which));
  Layout kept = layout.kept;
  if (more) {
    plan.writes(1, partial);
    kept.strides[1] = row_strides(kept.shape);
  } else if (call.to == Binding::output) {
    plan.output(1, call.to_which);
  } else {
    plan.writes(1, static_cast<uint16_t>(call.to_which));
  }
  plan.value(2, w);
  plan.values(3, kept.words());
  plan.values(4, layout.along.words());
  if (!more) return true;

  AxesLayout next;
  next.kept = layout.kept;
  next.kept.strides[0] = row_strides(next.kept.shape);
  Shape chunks{static_cast<int64_t>(w.n_chunks)};
  Strides step{static_cast<int64_t>(n_results)}, none{0};
  next.along = collapse(chunks, {&step, &none});
  next.by_columns = n_results > 1;
  return add_reduction(plan, {Binding::temporary, call.to, partial, call.to_which, work, call.out, call.op}, next);
}

bool plan_sum(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::sum); }
bool plan_prod(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::prod); }
bool plan_max(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::max); }
bool plan_min(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::min); }
bool plan_all(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::all); }
bool plan_any(const Task& task, Plan& plan) { return reduce_task(task, plan, Reduction::any); }

}  // namespace mx::metal

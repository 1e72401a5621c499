// reduce.cpp — launches of reduce.metal. Long axes are cut into chunks by sizes alone; the chunks' results are reduced by a second
// launch, and so on. Start at add_reduction().

#include "backend/metal/plan/reduce.h"

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

bool reduce_task(const Task& task, Plan& plan, Reduction op) {
  const array &x = task.in[0], &y = task.out[0];
  if (x.dtype() == Dtype::float64 || y.dtype() == Dtype::float64) return false;
  const Axes& axes = task.params.get<ReduceParams>().axes;
  if ((op == Reduction::sum || op == Reduction::prod) && combined_in(x.dtype()) != combined_in(y.dtype())) return false;
  return add_reduction(plan, {Binding::input, Binding::output, 0, 0, x.dtype(), y.dtype(), op},
                       split_axes(x.shape(), axes, x.strides(), reduced_strides(x.shape(), axes), true));
}

}  // namespace

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
  if (!fits_inline(layout)) return false;
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
  plan.values(3, words(kept));
  plan.values(4, words(layout.along));
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

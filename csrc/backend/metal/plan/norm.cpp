// norm.cpp — launches of norm.metal. Backward: the rows, which leave their moments if the weight's or the bias's cotangent is asked for;
// sums over chunks of rows; and the sums of those by reduce.metal.

#include "backend/metal/plan/norm.h"

#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rows.h"
#include "ops/fast_params.h"

namespace mx::metal {

namespace {

constexpr uint64_t kColumns = 32, kThreads = 256;  // Of norm_sums.
constexpr uint64_t kChunk = 256;                   // Rows summed apart.

enum Constant : uint32_t { kCentred, kHasWeight, kHasBias, kOfWeight, kOfBias, kOfEither };

struct Rows {
  uint64_t n_rows, length, n_groups;
  int64_t steps[4] = {};
  uint64_t chunk = 0;
  float eps = 0;
  uint32_t width = 0;
};

int64_t last_step(const array& x) { return x.shape(-1) == 1 ? 0 : x.strides().back(); }

bool on_gpu(const array& x) { return is_floating(x.dtype()) && x.dtype() != Dtype::float64; }

bool same_dtypes(const Task& task) {
  for (const array& x : task.in) {
    if (x.dtype() != task.in[0].dtype()) return false;
  }
  return task.out[0].dtype() == task.in[0].dtype();
}

bool forward(const Task& task, Plan& plan, bool centred) {
  const auto& p = task.params.get<fast::NormParams>();
  const array& x = task.in[0];
  if (!on_gpu(x) || !same_dtypes(task)) return false;
  if (x.size() == 0) return true;
  Layout rows = leading_layout(x, {});
  if (!fits_inline(rows)) return false;
  uint64_t n_rows = static_cast<uint64_t>(rows.size), length = static_cast<uint64_t>(x.shape(-1));
  Teams teams = make_teams(n_rows, length, false);
  Rows r{n_rows, length, teams.n_groups, {last_step(x)}, 0, static_cast<float>(p.eps), teams.width};
  plan.launch(kernel_name("norm", x.dtype()), teams.grid.threads, teams.grid.group);
  plan.constant(kCentred, centred);
  plan.constant(kHasWeight, p.weight);
  plan.constant(kHasBias, p.bias);
  plan.input(0, 0);
  if (p.weight) {
    plan.input(1, 1);
    r.steps[2] = last_step(task.in[1]);
  }
  if (p.bias) {
    size_t which = p.weight ? 2 : 1;
    plan.input(2, which);
    r.steps[3] = last_step(task.in[which]);
  }
  plan.output(3);
  plan.value(4, r);
  plan.values(5, words(rows));
  return true;
}

bool backward(const Task& task, Plan& plan, bool centred) {
  const auto& p = task.params.get<fast::NormVjpParams>();
  const array &x = task.in[0], &ct = task.in[1];
  if (!on_gpu(x) || !same_dtypes(task)) return false;
  uint64_t length = static_cast<uint64_t>(x.shape(-1));
  if (length == 0) return true;
  Layout rows = leading_layout(x, {&ct});
  if (!fits_inline(rows)) return false;
  uint64_t n_rows = static_cast<uint64_t>(rows.size), n_chunks = ceil_div(n_rows, kChunk);
  Teams teams = make_teams(n_rows, length, false);
  Rows r{n_rows, length, teams.n_groups, {last_step(x), last_step(ct)}, kChunk, static_cast<float>(p.eps), teams.width};
  if (p.weight) r.steps[2] = last_step(task.in[2]);
  bool sums = p.of_weight || p.of_bias;
  uint16_t moments = sums ? plan.temporary(std::max<uint64_t>(n_rows, 1) * 2 * sizeof(float)) : uint16_t(0);
  size_t n_sums = std::max<uint64_t>(n_chunks, 1) * length * sizeof(float);
  uint16_t weight_sums = p.of_weight ? plan.temporary(n_sums) : uint16_t(0), bias_sums = p.of_bias ? plan.temporary(n_sums) : uint16_t(0);

  if (n_rows > 0) {
    plan.launch(kernel_name("norm_vjp", x.dtype()), teams.grid.threads, teams.grid.group);
    plan.constant(kCentred, centred);
    plan.constant(kHasWeight, p.weight);
    plan.constant(kOfEither, sums);
    plan.input(0, 0);
    plan.input(1, 1);
    if (p.weight) plan.input(2, 2);
    plan.output(3);
    if (sums) plan.writes(4, moments);
    plan.value(5, r);
    plan.values(6, words(rows));
  }
  if (!sums) return true;

  if (n_rows > 0) {
    r.n_groups = ceil_div(length, kColumns) * n_chunks;
    Grid grid = group_grid(r.n_groups, kThreads);
    plan.launch(kernel_name("norm_sums", x.dtype()), grid.threads, grid.group);
    plan.constant(kOfWeight, p.of_weight);
    plan.constant(kOfBias, p.of_bias);
    plan.input(0, 0);
    plan.input(1, 1);
    plan.reads(2, moments);
    if (p.of_weight) plan.writes(3, weight_sums);
    if (p.of_bias) plan.writes(4, bias_sums);
    plan.value(5, r);
    plan.values(6, words(rows));
  }
  // Without rows the sums are zero: a reduction over nothing.
  Shape shape{static_cast<int64_t>(n_chunks), static_cast<int64_t>(length)};
  AxesLayout chunks = split_axes(shape, {0}, row_strides(shape), reduced_strides(shape, {0}), true);
  size_t out = 1;
  for (auto [wanted, which] : {std::pair{p.of_weight, weight_sums}, std::pair{p.of_bias, bias_sums}}) {
    if (!wanted) continue;
    if (!add_reduction(plan, {Binding::temporary, Binding::output, which, out, Dtype::float32, task.out[out].dtype(), Reduction::sum}, chunks)) return false;
    ++out;
  }
  return true;
}

}  // namespace

bool plan_rms_norm(const Task& task, Plan& plan) { return forward(task, plan, false); }
bool plan_layer_norm(const Task& task, Plan& plan) { return forward(task, plan, true); }
bool plan_rms_norm_vjp(const Task& task, Plan& plan) { return backward(task, plan, false); }
bool plan_layer_norm_vjp(const Task& task, Plan& plan) { return backward(task, plan, true); }

}  // namespace mx::metal

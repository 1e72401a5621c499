// scan.cpp — which of scan.metal's ways a running reduction takes. Many short or interleaved rows: a thread a row. Otherwise a threadgroup a row,
// or for long rows one for each part, in two passes: totals of the parts, then the parts themselves. Products of floating-point numbers and
// recurrences go step by step: a product of a part may overflow where the running one does not.

#include "backend/metal/plan/scan.h"

#include "backend/metal/plan/axis.h"
#include "ops/scan_params.h"

namespace mx::metal {

namespace {

constexpr uint32_t kThreads = 256;
constexpr int64_t kChunk = 8 * kThreads;  // Elements that a threadgroup scans at a time.

// As in scan.metal.
enum Constant : uint32_t { kOp, kInclusive, kOnlyTotals, kHasTotals, kWidePlaces };
enum Op : uint32_t { kSum, kProduct, kMaximum, kMinimum };
struct RowParams {
  int64_t n, rows, in_first, in_step, out_first, out_step, part, parts;
  uint32_t mirrored, unused = 0;
};

enum Family { fold, place, log_sum };

// Bytes of a state of the operation.
size_t state_bytes(Family family, Dtype t) {
  switch (family) {
    case fold: return t == Dtype::float16 || t == Dtype::bfloat16 ? 4 : size_of(t);
    case place: return 16;
    default: return is_complex(t) ? 12 : 8;
  }
}

// A thread a row if there are many side by side; a row alone keeps 32 threads busy or 256.
bool by_lanes(const AroundAxis& a, int64_t few) { return a.n <= few || (a.n_inner >= 32 && a.n_rows() >= 1024); }

bool plan_scan(const Task& task, Plan& plan, Family family, Op op) {
  const auto& p = task.params.get<ScanParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (!on_gpu(x.dtype())) return false;
  if (out.size() == 0) return true;
  AroundAxis in(x.shape(), x.strides(), p.axis), to(out.shape(), row_strides(out.shape()), p.axis);
  Strides in_rows = in.rows(), out_rows = to.rows();
  Layout layout = collapse(in.rows_shape(), {&in_rows, &out_rows});
  if (!fits_inline(layout)) return false;
  RowParams q{in.n, in.n_rows(), 0, in.step, 0, to.step, in.n, 1, p.reverse};
  if (p.reverse) {
    q.in_first = (in.n - 1) * in.step;
    q.out_first = (in.n - 1) * to.step;
    q.in_step = -in.step;
    q.out_step = -to.step;
  }
  const char* base = family == fold ? "fold" : family == place ? "fold_place" : "logcumsumexp";
  // Launches kernel `way`; what only some ways have is bound by the caller.
  auto launch = [&](const char* way, const Grid& grid, bool rows) {
    plan.launch(kernel_name(cat(base, "_", way), x.dtype()), grid.threads, grid.group);
    plan.constant(kOp, static_cast<uint32_t>(op));
    plan.constant(kInclusive, family == place || p.inclusive);
    if (family == place) plan.constant(kWidePlaces, out.dtype() == Dtype::int64);
    plan.input(0, 0);
    plan.output(1);
    plan.value(3, q);
    plan.values(4, words(layout));
    if (rows) plan.threadgroup(0, (kThreads / kSimdWidth) * state_bytes(family, x.dtype()));
  };

  if (family == fold && op == kProduct && is_inexact(x.dtype())) {
    if (by_lanes(in, 8) || q.rows >> 32) return launch("lanes", linear_grid(uint64_t(q.rows)), false), true;
    return launch("steps", {{kSimdWidth, uint32_t(q.rows), 1}, {kSimdWidth, power_of_2_for(uint64_t(q.rows), 8), 1}}, false), true;
  }
  if (by_lanes(in, 16) || q.rows >> 32) return launch("lanes", linear_grid(uint64_t(q.rows)), false), true;

  auto launch_rows = [&](bool only_totals, bool has_totals, uint16_t totals) {
    launch("rows", {{uint32_t(q.parts) * kThreads, uint32_t(q.rows), 1}, {kThreads, 1, 1}}, true);
    plan.constant(kOnlyTotals, only_totals);
    plan.constant(kHasTotals, has_totals);
    only_totals ? plan.writes(2, totals) : plan.reads(2, totals);
  };
  constexpr int64_t kMostParts = 1024;
  bool long_rows = q.n >= 8 * kChunk && q.rows < 64;
  if (long_rows) {
    q.part = std::max(4 * kChunk, int64_t(ceil_div(uint64_t(q.n), uint64_t(kMostParts * kChunk))) * kChunk);
    q.parts = int64_t(ceil_div(uint64_t(q.n), uint64_t(q.part)));
  }
  uint16_t totals = plan.temporary(long_rows ? static_cast<size_t>(q.rows * q.parts) * state_bytes(family, x.dtype()) : 16);
  if (long_rows) launch_rows(true, false, totals);
  launch_rows(false, long_rows, totals);
  return true;
}

}  // namespace

bool plan_cumsum(const Task& task, Plan& plan) { return plan_scan(task, plan, fold, kSum); }
bool plan_cumprod(const Task& task, Plan& plan) { return plan_scan(task, plan, fold, kProduct); }
bool plan_cummax(const Task& task, Plan& plan) { return plan_scan(task, plan, fold, kMaximum); }
bool plan_cummin(const Task& task, Plan& plan) { return plan_scan(task, plan, fold, kMinimum); }
bool plan_cumargmax(const Task& task, Plan& plan) { return plan_scan(task, plan, place, kMaximum); }
bool plan_cumargmin(const Task& task, Plan& plan) { return plan_scan(task, plan, place, kMinimum); }
bool plan_logcumsumexp(const Task& task, Plan& plan) { return plan_scan(task, plan, log_sum, kSum); }

bool plan_linear_recurrence(const Task& task, Plan& plan) {
  const auto& p = task.params.get<ScanParams>();
  const array &out = task.out[0];
  if (!on_gpu(out.dtype()) || is_bool(out.dtype())) return false;
  if (out.size() == 0) return true;
  AroundAxis a(out.shape(), task.in[0].strides(), p.axis), b(out.shape(), task.in[1].strides(), p.axis), y(out.shape(), row_strides(out.shape()), p.axis);
  Strides a_rows = a.rows(), b_rows = b.rows(), y_rows = y.rows();
  Layout layout = collapse(y.rows_shape(), {&a_rows, &b_rows, &y_rows});
  if (!fits_inline(layout)) return false;
  int64_t last = p.reverse ? y.n - 1 : 0, way = p.reverse ? -1 : 1;
  std::vector<int64_t> steps{last * a.step, last * b.step, last * y.step, way * a.step, way * b.step, way * y.step};
  int64_t rows = y.n_rows();
  bool lanes = by_lanes(y, 8) || rows >> 32;
  Grid grid = lanes ? linear_grid(uint64_t(rows)) : Grid{{kSimdWidth, uint32_t(rows), 1}, {kSimdWidth, power_of_2_for(uint64_t(rows), 8), 1}};
  plan.launch(kernel_name(lanes ? "recurrence_lanes" : "recurrence_steps", out.dtype()), grid.threads, grid.group);
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.values(3, steps);
  plan.values(4, words(layout));
  plan.value(5, RowParams{y.n, rows, 0, 0, 0, 0, y.n, 1, p.reverse});
  return true;
}

}  // namespace mx::metal

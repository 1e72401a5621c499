// create.cpp — see create.h. Without float64 a number is the sum of two floats, which is more than a float32 result shows. Ranges of
// integers with steps that are not whole, which are cut at the last bit, stay on the CPU.

#include "backend/metal/plan/create.h"

#include <cmath>

#include "backend/metal/plan/layout.h"
#include "ops/create_params.h"

namespace mx::metal {

namespace {

enum Constant : uint32_t { kExact };

struct Pair {
  float hi, lo;
  explicit Pair(double x) : hi(static_cast<float>(x)), lo(static_cast<float>(x - static_cast<double>(hi))) {}
};

// As in create.metal.
struct Range {
  uint64_t n;
  int64_t int_start, int_step;
  Pair start, step;
  float last;
  uint32_t unused = 0;
};

bool in_float_range(double x) { return x == 0 || (std::abs(x) > 1e-25 && std::abs(x) < 1e35); }

}  // namespace

void add_integer(Plan& plan, uint16_t temporary, Dtype t, int64_t value) {
  plan.launch(kernel_name("arange", t), {1, 1, 1}, {1, 1, 1});
  plan.constant(kExact, true);
  plan.writes(0, temporary);
  plan.value(1, Range{1, value, 0, Pair(0), Pair(0), 0});
}

bool plan_arange(const Task& task, Plan& plan) {
  const auto& p = task.params.get<ArangeParams>();
  if (p.dtype == Dtype::float64) return false;
  if (!p.exact && (!is_inexact(p.dtype) || p.n >> 48 || !in_float_range(p.start) || !in_float_range(p.step) || !in_float_range(p.last))) return false;
  if (p.n == 0) return true;
  Grid grid = linear_grid(static_cast<uint64_t>(p.n));
  plan.launch(kernel_name("arange", p.dtype), grid.threads, grid.group);
  plan.constant(kExact, p.exact);
  plan.output(0);
  plan.value(1, Range{static_cast<uint64_t>(p.n), p.int_start, p.int_step, Pair(p.start), Pair(p.step), static_cast<float>(p.last)});
  return true;
}

}  // namespace mx::metal

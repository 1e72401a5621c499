// rope.cpp — rotary position embedding: rates of turning are computed here, in double, and passed as sums of two floats.

#include "backend/metal/plan/rope.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "backend/metal/plan/matmul.h"
#include "ops/fast_params.h"

namespace mx::metal {

namespace {

// As in rope.metal.
struct Params {
  int64_t row, col, freqs_col, leading;
  int32_t positions, features, half_dims, each;
  float scale, scale_low;
};
struct TwoFloats {
  float high, low;
};
TwoFloats split(double x) {
  auto high = static_cast<float>(x);
  return {high, static_cast<float>(x - high)};
}

constexpr int64_t kEach = 4;  // Leading rows of a thread.

}  // namespace

bool plan_rope(const Task& task, Plan& plan) {
  const auto& p = task.params.get<fast::RopeParams>();
  const array &x = task.in[0], &offset = task.in[1], &out = task.out[0];
  int64_t t = x.shape(-2), d = x.shape(-1), half = p.dims / 2, most = std::numeric_limits<int32_t>::max();
  if (out.size() == 0) return true;
  if (!is_gpu_real(out.dtype()) || t >= most || d >= most) return false;
  if (p.freqs ? task.in[2].dtype() != Dtype::float32 : half * sizeof(TwoFloats) > kMaxInlineBytes) return false;
  Strides of_x = leading_strides(x, 2), of_offset = offset.strides(), of_freqs(of_x.size(), 0);
  if (p.freqs) of_freqs = leading_strides(task.in[2], 1);
  Layout leading = collapse(Shape(x.shape().begin(), x.shape().end() - 2), {&of_x, &of_offset, &of_freqs});
  if (!fits_inline(leading) || leading.size / kEach >= most) return false;

  double turn = p.scale / (2 * std::numbers::pi);
  TwoFloats scale = split(turn);
  size_t n = x.strides().size();
  Params params{x.strides()[n - 2], x.strides()[n - 1], p.freqs ? task.in[2].strides().back() : 0, leading.size, static_cast<int32_t>(t),
                static_cast<int32_t>(d), static_cast<int32_t>(half), static_cast<int32_t>(kEach), scale.high, scale.low};
  // Pairs, and features that only move.
  auto width = static_cast<uint32_t>(d - half), height = static_cast<uint32_t>(t);
  uint32_t across = power_of_2_for(width, 64);
  plan.launch(kernel_name("rope", out.dtype()), {width, height, static_cast<uint32_t>((leading.size + kEach - 1) / kEach)},
              {across, power_of_2_for(height, 256 / across), 1});
  plan.constant(0, p.traditional);
  plan.constant(1, p.inverse);
  plan.constant(2, p.freqs);
  plan.constant(3, !p.freqs);
  plan.input(0, 0);
  plan.input(1, 1);
  if (p.freqs) plan.input(2, 2);
  plan.output(3);
  plan.value(4, params);
  plan.values(5, words(leading));
  if (p.freqs) return true;
  std::vector<TwoFloats> rates;
  for (int64_t i = 0; i < half; ++i) rates.push_back(split(std::pow(p.base, -2.0 * static_cast<double>(i) / static_cast<double>(p.dims)) * turn));
  plan.values(6, rates);
  return true;
}

}  // namespace mx::metal

// delta.cpp — the gated delta rule: a simdgroup takes a row of a head's state; backward, a threadgroup takes a head.

#include "backend/metal/plan/delta.h"

#include <algorithm>
#include <limits>

#include "backend/metal/plan/matmul.h"
#include "ops/fast_params.h"

namespace mx::metal {

namespace {

// As in delta.metal.
struct Params {
  int64_t q[3], k[3], v[3], gamma[3], dy[3];
  int64_t beta[2], mask_time;
  int64_t state[3], dstate[3];
  int32_t steps, key_heads, heads, d, e;
};
constexpr int kMostFeatures = 256, kForwardRows = 4, kBackwardRows = 8;

void set(const array& x, int64_t (&strides)[3]) {
  for (size_t i = 0; i < 3; ++i) strides[i] = x.strides()[x.strides().size() - 3 + i];
}

struct Call {
  const Task& task;
  bool masked;
  Params p{};
  Layout batch;
  bool fits = true;

  Call(const Task& t, bool m, bool vjp) : task(t), masked(m) {
    const array &q = task.in[0], &v = task.in[2];
    int64_t sizes[] = {v.shape(-3), q.shape(-2), v.shape(-2), q.shape(-1), v.shape(-1)};
    for (int64_t n : sizes) fits &= n < std::numeric_limits<int32_t>::max() / 2;
    fits &= is_gpu_real(q.dtype()) && q.dtype() == Dtype::float32 && q.shape(-1) <= kMostFeatures;
    if (!fits) return;
    p.steps = static_cast<int32_t>(sizes[0]);
    p.key_heads = static_cast<int32_t>(sizes[1]);
    p.heads = static_cast<int32_t>(sizes[2]);
    p.d = static_cast<int32_t>(sizes[3]);
    p.e = static_cast<int32_t>(sizes[4]);
    size_t last = task.in.size() - 1, n = q.shape().size() - 3;
    set(task.in[0], p.q);
    set(task.in[1], p.k);
    set(task.in[2], p.v);
    set(task.in[3], p.gamma);
    set(task.in[5], p.state);
    p.beta[0] = task.in[4].strides().end()[-2];
    p.beta[1] = task.in[4].strides().end()[-1];
    if (masked) p.mask_time = task.in[6].strides().back();
    if (vjp) {
      set(task.in[last - 1], p.dy);
      set(task.in[last], p.dstate);
    }
    Strides none(n, 0), strides[9];
    for (size_t i = 0; i < 6; ++i) strides[i] = leading_strides(task.in[i], i == 4 ? 2 : 3);
    strides[6] = masked ? leading_strides(task.in[6], 1) : none;
    strides[7] = vjp ? leading_strides(task.in[last - 1], 3) : none;
    strides[8] = vjp ? leading_strides(task.in[last], 3) : none;
    batch = collapse(Shape(q.shape().begin(), q.shape().begin() + static_cast<long>(n)),
                     {&strides[0], &strides[1], &strides[2], &strides[3], &strides[4], &strides[5], &strides[6], &strides[7], &strides[8]});
    fits = fits_inline(batch) && batch.size < std::numeric_limits<int32_t>::max();
  }

  void bind(Plan& plan) const {
    plan.constant(0, masked);
    plan.constant(1, (p.d + 31) / 32);
    for (uint8_t i = 0; i < 6; ++i) plan.input(i, i);
    if (masked) plan.input(6, 6);
    plan.value(7, p);
    plan.values(8, words(batch));
  }
};

}  // namespace

bool plan_gated_delta_update(const Task& task, Plan& plan) {
  Call call(task, task.params.get<fast::DeltaParams>().mask, false);
  if (!call.fits) return false;
  const Params& p = call.p;
  if (call.batch.size * p.heads * p.e == 0) return true;
  uint32_t threads = kForwardRows * kSimdWidth;
  plan.launch("delta", {static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(p.e), kForwardRows)) * threads, static_cast<uint32_t>(p.heads),
                        static_cast<uint32_t>(call.batch.size)}, {threads, 1, 1});
  call.bind(plan);
  plan.output(9, 0);
  plan.output(10, 1);
  return true;
}

bool plan_gated_delta_update_vjp(const Task& task, Plan& plan) {
  Call call(task, task.params.get<fast::DeltaParams>().mask, true);
  if (!call.fits) return false;
  const Params& p = call.p;
  // With nothing to sum, outputs are zeros: left to the CPU.
  if (call.batch.size * p.heads * p.e * p.d * p.key_heads == 0) return false;
  bool fold = p.heads != p.key_heads;
  size_t last = task.in.size() - 1;
  auto examples = static_cast<size_t>(call.batch.size), heads = static_cast<size_t>(p.heads), steps = static_cast<size_t>(p.steps), d = static_cast<size_t>(p.d);
  uint16_t states = plan.temporary(std::max<size_t>(16, sizeof(float) * examples * heads * kBackwardRows * steps * d)), of_q = 0, of_k = 0;
  if (fold) {
    size_t n_bytes = std::max<size_t>(16, sizeof(float) * examples * steps * heads * d);
    of_q = plan.temporary(n_bytes);
    of_k = plan.temporary(n_bytes);
  }
  uint32_t threads = kBackwardRows * kSimdWidth;
  plan.launch("delta_vjp", {threads, static_cast<uint32_t>(p.heads), static_cast<uint32_t>(call.batch.size)}, {threads, 1, 1});
  call.bind(plan);
  plan.input(9, last - 1);
  plan.input(10, last);
  plan.writes(11, states);
  if (fold) {
    plan.writes(12, of_q);
    plan.writes(13, of_k);
  } else {
    plan.output(12, 0);
    plan.output(13, 1);
  }
  for (uint8_t i = 2; i < 6; ++i) plan.output(static_cast<uint8_t>(12 + i), i);
  if (!fold || steps == 0) return true;
  for (uint8_t i = 0; i < 2; ++i) {
    plan.launch("delta_fold", {static_cast<uint32_t>(p.d), static_cast<uint32_t>(p.key_heads), static_cast<uint32_t>(examples * steps)},
                {power_of_2_for(d, 256), 1, 1});
    plan.reads(0, i == 0 ? of_q : of_k);
    plan.output(1, i);
    plan.value(7, p);
  }
  return true;
}

}  // namespace mx::metal

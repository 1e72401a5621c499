// metal_kernel.cpp — a user's kernel: first its outputs are filled, if it asks for that; then it runs on the grid that it asks for.

#include "backend/metal/plan/metal_kernel.h"

#include <algorithm>
#include <array>

#include "ops/metal_kernel_params.h"

namespace mx::metal {

namespace {

/// `value` as an element of type t.
std::array<std::byte, 8> element(double value, Dtype t) {
  array x = t == Dtype::complex64 ? array(complex64_t(static_cast<float>(value), 0.0f)) : array(value, t);
  std::array<std::byte, 8> bytes{};
  std::memcpy(bytes.data(), x.bytes(), x.n_bytes());
  return bytes;
}

void fill(Plan& plan, const Task& task, size_t k, double value) {
  const array& out = task.out[k];
  auto n = static_cast<uint64_t>(out.size());
  if (n == 0) return;
  auto threads = static_cast<uint32_t>(std::min<uint64_t>(n, 1 << 20));
  plan.launch(metal_fill_kernel(out.dtype()), {threads, 1, 1}, {std::min(threads, 256u), 1, 1}).source = 0;
  plan.output(0, k);
  auto bytes = element(value, out.dtype());
  plan.bytes(1, bytes.data(), out.itemsize());
  plan.value(2, n);
}

}  // namespace

bool plan_metal_kernel(const Task& task, Plan& plan) {
  const auto& p = task.params.get<MetalKernelParams>();
  plan.sources.push_back({p.text, p.fast_math});
  if (p.init_value) {
    for (size_t k = 0; k < task.out.size(); ++k) fill(plan, task, k, *p.init_value);
  }
  auto size = [](const Shape& s) { return Size3{static_cast<uint32_t>(s[0]), static_cast<uint32_t>(s[1]), static_cast<uint32_t>(s[2])}; };
  plan.launch(p.kernel, size(p.grid), size(p.group)).source = 0;
  uint8_t slot = 0;
  for (size_t i = 0; i < task.in.size(); ++i) {
    const array& in = task.in[i];
    plan.input(slot++, i);
    if (p.known[i] & MetalKernelParams::shape) plan.values(slot++, std::vector<int32_t>(in.shape().begin(), in.shape().end()));
    if (p.known[i] & MetalKernelParams::strides) plan.values(slot++, std::vector<int64_t>(in.strides().begin(), in.strides().end()));
    if (p.known[i] & MetalKernelParams::ndim) plan.value(slot++, static_cast<int32_t>(in.ndim()));
  }
  // A kernel may add to what the outputs hold.
  for (size_t k = 0; k < task.out.size(); ++k) plan.output(slot++, k);
  return true;
}

}  // namespace mx::metal

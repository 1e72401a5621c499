// elementwise.cpp — launches of elementwise.metal: one for each call.

#include "backend/metal/plan/elementwise.h"

namespace mx::metal {

namespace {

constexpr uint64_t kRun = 4;  // Elements of a thread, as in elementwise.metal.

enum Constant : uint32_t { kOp, kStrided, kSingle };

bool launch(const Task& task, Plan& plan, std::string kernel, int32_t op) {
  SmallVector<Place, 3> in;
  for (size_t k = 0; k < task.in.size(); ++k) in.push_back({Binding::input, k, 0, task.in[k].strides()});
  return add_elementwise(plan, std::move(kernel), op, in, {Binding::output, 0, 0, {}}, task.out[0].shape());
}

const char* bits_name(size_t itemsize) { return itemsize == 1 ? "uint8" : itemsize == 2 ? "uint16" : itemsize == 4 ? "uint32" : "uint64"; }

}  // namespace

bool add_elementwise(Plan& plan, std::string kernel, int32_t op, std::span<const Place> in, const Place& out, const Shape& shape) {
  SmallVector<const Strides*, 3> strides;
  for (const Place& x : in) strides.push_back(&x.strides);
  Layout layout = collapse(shape, strides);
  if (layout.size == 0) return true;
  if (!fits_inline(layout)) return false;
  bool strided = false;
  for (size_t k = 0; k < in.size(); ++k) strided |= !layout.contiguous(k) && !single(layout, k);
  Grid grid = strided ? strided_grid(layout.shape) : linear_grid(ceil_div(static_cast<uint64_t>(layout.size), kRun));
  plan.launch(std::move(kernel), grid.threads, grid.group);
  plan.constant(kOp, op);
  plan.constant(kStrided, strided);
  for (size_t k = 0; k < 3; ++k) plan.constant(kSingle + static_cast<uint32_t>(k), !strided && k < in.size() && single(layout, k));
  uint8_t slot = 0;
  for (const Place& x : in) bind_place(plan, slot++, x, false);
  bind_place(plan, slot++, out, true);
  plan.value(slot++, static_cast<uint64_t>(layout.size));
  if (strided) plan.values(slot, words(layout));
  return true;
}

std::string row_kernel(ElementwiseCode code, Dtype in, Dtype out) {
  if (code.arity == 3) return cat("select_", bits_name(size_of(in)));
  const char* base = code.arity == 1 ? "unary" : "binary";
  return in == out ? kernel_name(base, in) : kernel_name(base, in, out);
}

bool plan_elementwise(const Task& task, Plan& plan) {
  ElementwiseCode code = *elementwise_code(task.primitive);
  Dtype in = task.in.back().dtype(), out = task.out[0].dtype();
  // Selecting moves bits.
  if (code.arity != 3 && (in == Dtype::float64 || out == Dtype::float64)) return false;
  return launch(task, plan, row_kernel(code, in, out), code.op);
}

bool plan_astype(const Task& task, Plan& plan) {
  Dtype from = task.in[0].dtype(), to = task.out[0].dtype();
  if (from == Dtype::float64 || to == Dtype::float64) return false;
  return launch(task, plan, kernel_name("cast", from), static_cast<int32_t>(to));
}

bool plan_to_fp8(const Task& task, Plan& plan) {
  Dtype from = task.in[0].dtype();
  return from != Dtype::float64 && launch(task, plan, kernel_name("to_fp8", from), 0);
}

bool plan_from_fp8(const Task& task, Plan& plan) {
  Dtype to = task.out[0].dtype();
  return to != Dtype::float64 && launch(task, plan, kernel_name("from_fp8", to), 0);
}

}  // namespace mx::metal

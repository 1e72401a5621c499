// conv.cpp — from arrays to the loops of conv_gemm.cpp, conv_weight_gemm.cpp and conv_channels.cpp: brings operands into
// order, takes complex numbers apart and picks the loops. Start at conv_kernel().

#include "backend/cpu/conv.h"

#include <cstring>
#include <optional>

#include "backend/cpu/conv_plan.h"
#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/conv_params.h"

namespace mx::cpu {

namespace {

// Elements of an array, with strides.
struct Operand {
  const void* data;
  Strides strides;
};

Operand as_is(const array& x) { return {x.bytes(), x.strides()}; }

// The array itself if its last axis is contiguous, else a copy.
class Ready {
 public:
  explicit Ready(const array& x, bool all = false) : operand_(as_is(x)) {
    if (x.shape().back() == 1) operand_.strides.back() = 1;
    if (all ? is_row_contiguous(x.shape(), x.strides()) : operand_.strides.back() == 1) return;
    memory_.emplace(x.n_bytes());
    copy_to(x, memory_->as<void>());
    operand_ = {memory_->as<void>(), row_strides(x.shape())};
  }
  const Operand& operator*() const { return operand_; }

 private:
  Operand operand_;
  std::optional<Scratch> memory_;
};

// One part of a complex array, contiguous.
class Parts {
 public:
  explicit Parts(const array& x) : n_(x.size()), memory_(2 * x.n_bytes()), strides_(row_strides(x.shape())) {
    auto* both = memory_.as<float>() + 2 * n_;
    copy_to(x, both);
    float *re = memory_.as<float>(), *im = re + n_;
    for (int64_t i = 0; i < n_; ++i) {
      re[i] = both[2 * i];
      im[i] = both[2 * i + 1];
    }
  }
  Operand re() const { return {memory_.as<float>(), strides_}; }
  Operand im() const { return {memory_.as<float>() + n_, strides_}; }

 private:
  int64_t n_;
  Scratch memory_;
  Strides strides_;
};

// What the shapes say; w and y have the shapes of weight and output.
Conv describe(const ConvParams& p, const Shape& x, const Shape& w, const Shape& y) {
  Conv c{.batch = x[0], .groups = p.groups, .cin = x.back() / p.groups, .cout = w[0] / p.groups, .axes = {}};
  for (size_t i = 0; i < p.pad.size(); ++i) {
    c.axes.push_back({.in = x[i + 1], .kernel = w[i + 1], .out = y[i + 1], .stride = p.stride[i], .kernel_dilation = p.kernel_dilation[i],
                      .input_dilation = p.input_dilation[i], .pad = p.pad[i]});
  }
  return c;
}

void drop_trivial_axes(Conv& c) {
  for (size_t i = c.axes.size(); i-- > 0 && c.axes.size() > 1;) {
    const ConvAxis& a = c.axes[i];
    if (a.in == 1 && a.kernel == 1 && a.out == 1 && a.pad == 0) c.axes.erase(c.axes.begin() + static_cast<long>(i));
  }
}

// Few channels a group make narrow products: then a vector is better filled with channels of many groups, or with
// neighbouring outputs.
bool prefers_channels(const Conv& c) {
  if (c.cin == 1 && c.cout == 1) return true;
  int64_t most = c.groups > 1 ? 8 : 4;
  return n_taps(c) > 2 && c.cin <= most && c.cout <= most;
}

template <class S>
void run(Conv c, const Operand& x, const Operand& w, void* out) {
  c.x = x.data;
  c.x_batch = x.strides[0];
  c.w = w.data;
  c.w_out = w.strides[0];
  c.w_in = w.strides.back();
  c.out = out;
  for (size_t i = 0; i < c.axes.size(); ++i) {
    c.axes[i].x_stride = x.strides[i + 1];
    c.axes[i].w_stride = w.strides[i + 1];
  }
  drop_trivial_axes(c);
  if (has_empty_phase(c)) std::memset(out, 0, static_cast<size_t>(c.batch * n_positions(c) * c.channels_out()) * sizeof(S));
  prefers_channels(c) ? conv_channels<S>(c) : conv_gemm<S>(c);
}

template <class S>
void run_weight(Conv c, const Operand& x, const Operand& y, void* out) {
  c.x = x.data;
  c.x_batch = x.strides[0];
  c.y = y.data;
  c.out = out;
  for (size_t i = 0; i < c.axes.size(); ++i) c.axes[i].x_stride = x.strides[i + 1];
  drop_trivial_axes(c);
  c.w_in = 1;
  c.w_out = c.cin;
  for (size_t i = c.axes.size(); i-- > 0;) {
    c.axes[i].w_stride = c.w_out;
    c.w_out *= c.axes[i].kernel;
  }
  std::memset(out, 0, static_cast<size_t>(c.channels_out() * n_taps(c) * c.cin) * sizeof(S));
  c.cin <= 4 && c.cout <= 4 ? conv_weight_channels<S>(c) : conv_weight_gemm<S>(c);
}

// (a + bi)(c + di) in four real convolutions: f(part of x, part of w, out).
template <class F>
void run_complex(const array& x, const array& w, array& out, F f) {
  Parts a(x), b(w);
  auto n = out.size();
  Scratch memory(4 * static_cast<size_t>(n) * sizeof(float));
  float *rr = memory.as<float>(), *ii = rr + n, *ri = ii + n, *ir = ri + n;
  f(a.re(), b.re(), rr);
  f(a.im(), b.im(), ii);
  f(a.re(), b.im(), ri);
  f(a.im(), b.re(), ir);
  auto* to = out.data<complex64_t>();
  for (int64_t i = 0; i < n; ++i) to[i] = {rr[i] - ii[i], ri[i] + ir[i]};
}

template <class F>
void dispatch_real(Dtype t, F&& f) {
  switch (t) {
    case Dtype::float16: return f(TypeTag<float16_t>());
    case Dtype::bfloat16: return f(TypeTag<bfloat16_t>());
    case Dtype::float32: return f(TypeTag<float>());
    case Dtype::float64: return f(TypeTag<double>());
    default: throw BackendError(cat("[conv] no kernel for ", t, "; need a floating or complex dtype."));
  }
}

}  // namespace

void conv_kernel(const Task& task) {
  const array &x = task.in[0], &w = task.in[1];
  array& out = task.out[0];
  if (out.size() == 0) return;
  if (x.size() == 0 || w.size() == 0) {
    std::memset(out.bytes(), 0, out.n_bytes());
    return;
  }
  Conv c = describe(task.params.get<ConvParams>(), x.shape(), w.shape(), out.shape());
  if (is_complex(out.dtype())) {
    return run_complex(x, w, out, [&](const Operand& a, const Operand& b, float* to) { run<float>(c, a, b, to); });
  }
  Ready input(x);
  dispatch_real(out.dtype(), [&](auto tag) { run<typename decltype(tag)::type>(c, *input, as_is(w), out.bytes()); });
}

void conv_weight_kernel(const Task& task) {
  const array &x = task.in[0], &y = task.in[1];
  array& out = task.out[0];
  if (out.size() == 0) return;
  if (x.size() == 0 || y.size() == 0) {
    std::memset(out.bytes(), 0, out.n_bytes());
    return;
  }
  Conv c = describe(task.params.get<ConvParams>(), x.shape(), out.shape(), y.shape());
  if (is_complex(out.dtype())) {
    return run_complex(x, y, out, [&](const Operand& a, const Operand& b, float* to) { run_weight<float>(c, a, b, to); });
  }
  Ready input(x), output(y, true);
  dispatch_real(out.dtype(), [&](auto tag) { run_weight<typename decltype(tag)::type>(c, *input, *output, out.bytes()); });
}

}  // namespace mx::cpu

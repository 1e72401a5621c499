// conv.cpp — convolutions: conv_p as products of patches and weight, conv_weight_p as products of outputs and patches; with few
// channels a group, or complex numbers, one output a thread. With a dilated input an output needs only the taps that
// do not hit the zeros in between: outputs are taken in phases that share those, each a convolution of its own
// without dilation. Start at plan_conv().

#include "backend/metal/plan/conv.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/matmul.h"
#include "ops/conv_params.h"

namespace mx::metal {

namespace {

constexpr size_t kAxes = 3;

// As in conv.metal. Axes that there are not have size 1.
struct Params {
  int64_t x_stride[kAxes], w_stride[kAxes], y_stride[kAxes];
  int64_t x_batch, x_channel, w_first, w_out, w_in, y_batch, y_first;
  int32_t in[kAxes], taps[kAxes], out[kAxes], stride[kAxes], dilation[kAxes], start[kAxes], spread[kAxes];
  int32_t groups, cin, cout, rows, depth;
  int32_t tiles_m, tiles_n, swizzle, splits, each;
};

// One axis of the relation o * stride + k * kernel_dilation == i * input_dilation + pad.
struct Axis {
  int64_t in = 1, kernel = 1, out = 1, stride = 1, kernel_dilation = 1, input_dilation = 1, pad = 0;
  int64_t x_stride = 0, w_stride = 0, y_stride = 0;
};

// Outputs first, first + step, ... of an axis, and the taps that they share: tap0, tap0 + tap_step, ...
struct Phase {
  int64_t first, step, count, tap0, tap_step, taps;
  int64_t stride, dilation, start;  // In the input.
};

std::vector<Phase> phases_of(const Axis& a) {
  int64_t common = std::gcd(a.stride, a.input_dilation), period = a.input_dilation / common;
  int64_t tap_step = a.input_dilation / std::gcd(a.kernel_dilation, a.input_dilation);
  std::vector<Phase> phases;
  for (int64_t r = 0; r < std::min(period, a.out); ++r) {
    Phase p{r, period, (a.out - r + period - 1) / period, 0, tap_step, 0, a.stride / common, a.kernel_dilation * tap_step / a.input_dilation, 0};
    while (p.tap0 < std::min(tap_step, a.kernel) && (r * a.stride + p.tap0 * a.kernel_dilation - a.pad) % a.input_dilation != 0) ++p.tap0;
    if (p.tap0 < std::min(tap_step, a.kernel)) {
      p.taps = (a.kernel - p.tap0 + tap_step - 1) / tap_step;
      p.start = (r * a.stride + p.tap0 * a.kernel_dilation - a.pad) / a.input_dilation;
    }
    phases.push_back(p);
  }
  return phases;
}

// Sizes and strides that both directions share; w and y are shapes of weight and output.
struct Geometry {
  std::vector<Axis> axes;
  int64_t batch, groups, cin, cout;
  bool fits = true;  // In 32 bits.
};

Geometry geometry(const ConvParams& p, const array& x, const Shape& w, const Strides& w_strides, const Shape& y) {
  Geometry g{std::vector<Axis>(kAxes), x.shape()[0], p.groups, x.shape().back() / p.groups, w[0] / p.groups};
  Strides y_strides = row_strides(y);
  size_t n = p.pad.size(), missing = kAxes - n;
  int64_t rows = g.batch, depth = g.cin, most = std::numeric_limits<int32_t>::max() / 4;
  for (size_t i = 0; i < n; ++i) {
    g.axes[missing + i] = {x.shape()[i + 1], w[i + 1], y[i + 1], p.stride[i], p.kernel_dilation[i], p.input_dilation[i], p.pad[i],
                           x.strides()[i + 1], w_strides[i + 1], y_strides[i + 1]};
    const Axis& a = g.axes[missing + i];
    rows *= a.out;
    depth *= a.kernel;
    g.fits &= a.in < most && rows < most && depth < most && std::abs(a.pad) < most;
    g.fits &= a.out * a.stride + a.kernel * a.kernel_dilation < most;
  }
  g.fits &= g.groups * g.cout < most && g.groups < 65536;
  return g;
}

Params params(const Geometry& g, const array& x) {
  Params p{};
  p.x_batch = x.strides()[0];
  p.x_channel = g.cin * g.groups == 1 ? 1 : x.strides().back();
  p.groups = static_cast<int32_t>(g.groups);
  p.cin = static_cast<int32_t>(g.cin);
  p.cout = static_cast<int32_t>(g.cout);
  p.splits = 1;
  return p;
}

void set_axis(Params& p, size_t d, const Axis& a, const Phase& f) {
  p.x_stride[d] = a.x_stride;
  p.w_stride[d] = a.w_stride * f.tap_step;
  p.y_stride[d] = a.y_stride * f.step;
  p.w_first += a.w_stride * f.tap0;
  p.y_first += a.y_stride * f.first;
  p.in[d] = static_cast<int32_t>(a.in);
  p.taps[d] = static_cast<int32_t>(f.taps);
  p.out[d] = static_cast<int32_t>(f.count);
  p.stride[d] = static_cast<int32_t>(f.stride);
  p.dilation[d] = static_cast<int32_t>(f.dilation);
  p.start[d] = static_cast<int32_t>(f.start);
  p.spread[d] = 1;
}

// Few channels a group fill no piece of a product.
bool goes_direct(const Geometry& g, Dtype t) { return is_complex(t) || (g.cout < 4 && g.cin < 16) || (g.groups > 1 && g.cout <= 4 && g.cin <= 4); }

bool input_takes_vectors(const Params& p, const array& x) {
  return p.x_channel == 1 && p.cin % 4 == 0 && takes_vectors(x, {p.x_batch, p.x_stride[0], p.x_stride[1], p.x_stride[2]});
}

// One choice of a phase for each axis.
void add_conv(const Task& task, const Geometry& g, Params p, Plan& plan) {
  const array &x = task.in[0], &w = task.in[1];
  Dtype t = task.out[0].dtype();
  p.depth = p.taps[0] * p.taps[1] * p.taps[2] * p.cin;
  // Without taps, sums are empty; the kernels divide by these.
  for (int32_t& n : p.taps) n = std::max(n, 1);
  p.rows = static_cast<int32_t>(g.batch) * p.out[0] * p.out[1] * p.out[2];
  if (p.rows == 0) return;
  bool direct = goes_direct(g, t), along = std::abs(p.w_in) <= std::abs(p.w_out);
  if (direct) {
    if (p.depth == 0) p.cin = 0;
    auto width = power_of_2_for(static_cast<uint64_t>(g.groups * g.cout), 32);
    plan.launch(kernel_name("conv_direct", t), {static_cast<uint32_t>(g.groups * g.cout), static_cast<uint32_t>(p.rows), 1},
                {width, power_of_2_for(static_cast<uint64_t>(p.rows), 256 / width), 1});
    plan.constant(1, false);
    plan.constant(2, false);
  } else {
    GemmChoice choice = choose_gemm(p.rows, g.cout, std::max(p.depth, 1), g.groups);
    const Tile& tile = choice.tile;
    PieceGrid pieces = piece_grid(tile, p.rows, g.cout);
    p.tiles_m = pieces.tiles_m;
    p.tiles_n = pieces.tiles_n;
    p.swizzle = pieces.swizzle;
    bool vector_w = along ? p.w_in == 1 && p.cin % 4 == 0 && takes_vectors(w, {p.w_out, p.w_stride[0], p.w_stride[1], p.w_stride[2], p.w_first})
                          : p.w_out == 1 && p.cout % 4 == 0 && takes_vectors(w, {p.w_in, p.w_stride[0], p.w_stride[1], p.w_stride[2], p.w_first});
    plan.launch(kernel_name(cat("conv_", tile.name()), t), {pieces.across * tile.threads(), pieces.down, static_cast<uint32_t>(g.groups)},
                {tile.threads(), 1, 1});
    plan.constant(1, input_takes_vectors(p, x));
    plan.constant(2, vector_w);
    plan.threadgroup(0, tile.threadgroup_bytes(size_of(t)));
  }
  plan.constant(0, along);
  plan.constant(3, false);
  plan.constant(5, false);
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.value(3, p);
}

}  // namespace

bool plan_conv(const Task& task, Plan& plan) {
  const array &x = task.in[0], &w = task.in[1], &out = task.out[0];
  if (out.size() == 0) return true;
  if (!is_gpu_real(out.dtype()) && !is_complex(out.dtype())) return false;
  const auto& conv = task.params.get<ConvParams>();
  if (conv.pad.size() > kAxes) return false;
  Geometry g = geometry(conv, x, w.shape(), w.strides(), out.shape());
  if (!g.fits) return false;
  Params base = params(g, x);
  base.w_out = w.strides()[0];
  base.w_in = g.cin == 1 ? 1 : w.strides().back();
  base.y_batch = out.strides()[0];
  std::vector<Phase> by_axis[kAxes];
  for (size_t d = 0; d < kAxes; ++d) by_axis[d] = phases_of(g.axes[d]);
  for (const Phase& f0 : by_axis[0]) {
    for (const Phase& f1 : by_axis[1]) {
      for (const Phase& f2 : by_axis[2]) {
        Params p = base;
        set_axis(p, 0, g.axes[0], f0);
        set_axis(p, 1, g.axes[1], f1);
        set_axis(p, 2, g.axes[2], f2);
        add_conv(task, g, p, plan);
      }
    }
  }
  return true;
}

bool plan_conv_weight(const Task& task, Plan& plan) {
  const array &x = task.in[0], &y = task.in[1], &out = task.out[0];
  Dtype t = out.dtype();
  if (out.size() == 0) return true;
  if (!is_gpu_real(t) && !is_complex(t)) return false;
  const auto& conv = task.params.get<ConvParams>();
  if (conv.pad.size() > kAxes) return false;
  Geometry g = geometry(conv, x, out.shape(), out.strides(), y.shape());
  if (!g.fits) return false;
  Params p = params(g, x);
  bool spread = false;
  for (size_t d = 0; d < kAxes; ++d) {
    const Axis& a = g.axes[d];
    set_axis(p, d, a, {0, 1, a.out, 0, 1, a.kernel, a.stride, a.kernel_dilation, -a.pad});
    p.spread[d] = static_cast<int32_t>(a.input_dilation);
    spread |= a.input_dilation != 1;
  }
  p.depth = p.taps[0] * p.taps[1] * p.taps[2] * p.cin;
  p.rows = static_cast<int32_t>(g.batch) * p.out[0] * p.out[1] * p.out[2];
  // Without positions, sums are empty; the kernels divide by these.
  for (int32_t& n : p.out) n = std::max(n, 1);
  // Kernels read the output with one stride for its positions.
  p.y_batch = g.groups * g.cout;
  std::optional<uint16_t> copied;
  if (!is_row_contiguous(y.shape(), y.strides())) {
    copied = plan.temporary(y.n_bytes());
    if (!add_copy(plan, {Binding::temporary, *copied, 0, row_strides(y.shape())}, {Binding::input, 1, 0, y.strides()}, y.shape(), y.itemsize())) return false;
  }
  bool vector_y = p.y_batch % 4 == 0 && g.cout % 4 == 0 && (copied || takes_vectors(y, {}));
  std::optional<uint16_t> parts;
  bool direct = goes_direct(g, t);
  p.each = p.rows;
  if (direct) {
    int64_t size = g.groups * g.cout * p.depth;
    if (is_gpu_real(t)) {
      p.splits = static_cast<int32_t>(std::clamp<int64_t>(std::min<int64_t>((1 << 15) / size, p.rows / 32), 1, 256));
      p.each = (p.rows + p.splits - 1) / p.splits;
      if (p.each > 0) p.splits = (p.rows + p.each - 1) / p.each;
    }
    if (p.splits > 1) parts = plan.temporary(sizeof(float) * static_cast<size_t>(size * p.splits));
    auto width = power_of_2_for(static_cast<uint64_t>(g.groups * g.cout), 32);
    plan.launch(kernel_name("conv_weight_direct", t), {static_cast<uint32_t>(g.groups * g.cout), static_cast<uint32_t>(p.depth), static_cast<uint32_t>(p.splits)},
                {width, power_of_2_for(static_cast<uint64_t>(p.depth), 256 / width), 1});
  } else {
    GemmChoice choice = choose_gemm(g.cout, p.depth, p.rows, g.groups);
    const Tile& tile = choice.tile;
    PieceGrid pieces = piece_grid(tile, g.cout, p.depth);
    p.tiles_m = pieces.tiles_m;
    p.tiles_n = pieces.tiles_n;
    p.swizzle = pieces.swizzle;
    p.splits = choice.splits;
    p.each = choice.k_each;
    if (p.splits > 1) parts = plan.temporary(sizeof(float) * static_cast<size_t>(out.size() * p.splits));
    plan.launch(kernel_name(cat("conv_weight_", tile.name()), t),
                {pieces.across * tile.threads(), pieces.down, static_cast<uint32_t>(g.groups * p.splits)}, {tile.threads(), 1, 1});
    plan.threadgroup(0, tile.threadgroup_bytes(size_of(t)));
  }
  plan.constant(0, false);
  plan.constant(1, !direct && input_takes_vectors(p, x));
  plan.constant(2, vector_y);
  plan.constant(3, spread);
  plan.constant(5, parts.has_value());
  plan.input(0, 0);
  if (copied) {
    plan.reads(1, *copied);
  } else {
    plan.input(1, 1);
  }
  if (parts) {
    plan.writes(2, *parts);
  } else {
    plan.output(2);
  }
  plan.value(3, p);
  if (!parts) return true;
  if (direct) {
    add_sum_of_parts(task, *parts, 1, p.splits, g.groups * g.cout, p.depth, plan);
  } else {
    add_sum_of_parts(task, *parts, g.groups, p.splits, g.cout, p.depth, plan);
  }
  return true;
}

}  // namespace mx::metal

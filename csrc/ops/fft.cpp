// fft.cpp — Fourier transforms over any axes. Three linear primitives do the work: fft_p (complex, several axes), rfft_p and
// irfft_p (real, one axis); sizes are cut or filled up before, and the norm becomes a factor. Their transposes with
// respect to Re(conj(a) b) are transforms of the same kinds. Kernels: backend/cpu/fft.cpp.

#include "ops/fft.h"

#include <algorithm>
#include <cmath>

#include "ops/cast.h"
#include "ops/movement.h"

namespace mx {

namespace {

array fft_node(const array& a, const FftParams& p) { return make_node(fft_p, p, {a}, a.type()); }

Type rfft_type(const array& a, const RfftParams& p) {
  Shape shape(a.shape());
  size_t at = static_cast<size_t>(p.axis);
  shape[at] = shape[at] / 2 + 1;
  return {Dtype::complex64, shape};
}
array rfft_node(const array& a, const RfftParams& p) { return make_node(rfft_p, p, {a}, rfft_type(a, p)); }

Type irfft_type(const array& a, const IrfftParams& p) {
  Shape shape(a.shape());
  shape[static_cast<size_t>(p.axis)] = p.n;
  return {Dtype::float32, shape};
}
array irfft_node(const array& a, const IrfftParams& p) { return make_node(irfft_p, p, {a}, irfft_type(a, p)); }

}  // namespace

const Primitive fft_p = define<FftParams>({
    .name = "fft",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call&, int, const array& t) { return fft_node(t, p); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return fft_node(ct, {p.axes, !p.inverse, p.scale}); },
    .vmap = [](auto& p, const Batch& b) { return fft_node(b.in(0), {shift(p.axes), p.inverse, p.scale}); },
});

// With Y = rfft(x), the transpose of x -> g Y is Re(sum of g_k ct_k e^(+...)) over the half: irfft counts the interior
// twice, so its weight there is half of g. The other way round it is twice.
const Primitive rfft_p = define<RfftParams>({
    .name = "rfft",
    .infer = [](auto& p, const Call& c) { return rfft_type(c.in(0), p); },
    .jvp = [](auto& p, const Call&, int, const array& t) { return rfft_node(t, p); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) {
      return irfft_node(ct, {p.axis, c.in(0).shape(p.axis), p.scale, p.interior / 2});
    },
    .vmap = [](auto& p, const Batch& b) { return rfft_node(b.in(0), {p.axis + 1, p.scale, p.interior}); },
});

const Primitive irfft_p = define<IrfftParams>({
    .name = "irfft",
    .infer = [](auto& p, const Call& c) { return irfft_type(c.in(0), p); },
    .jvp = [](auto& p, const Call&, int, const array& t) { return irfft_node(t, p); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return rfft_node(ct, {p.axis, p.scale, p.interior * 2}); },
    .vmap = [](auto& p, const Batch& b) { return irfft_node(b.in(0), {p.axis + 1, p.n, p.scale, p.interior}); },
});

namespace fft {

namespace {

// Axes in the order they came, normalised, and the output size of each.
struct Plan {
  Axes axes;
  Shape sizes;
};

// `halved`: the input's last axis holds the first half of the coefficients.
Plan checked(const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes, bool halved, std::string_view op) {
  if (a.ndim() == 0) throw AxisError(cat("[", op, "] a scalar cannot be transformed: a has shape (); need at least one axis."));
  if (s && !axes) throw ValueError(cat("[", op, "] axes are missing: s is ", *s, ", axes is None. Name the axes that the sizes belong to."));
  Plan plan{axes ? *axes : all_axes(a.ndim()), {}};
  if (s && s->size() != plan.axes.size()) {
    throw ValueError(cat("[", op, "] s and axes differ in length: s is ", *s, ", axes is ", plan.axes, "; need one size an axis."));
  }
  normalize_axes(plan.axes, a.ndim(), op);
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    plan.axes[i] = normalize_axis(plan.axes[i], a.ndim(), op);
    int64_t size = a.shape(plan.axes[i]);
    bool half = halved && i + 1 == plan.axes.size();
    plan.sizes.push_back(s ? (*s)[i] : half ? 2 * (size - 1) : size);
    if (plan.sizes.back() <= 0) {
      throw ValueError(cat("[", op, "] invalid size of the result: ", plan.sizes.back(), " along axis ", plan.axes[i], " of an array of shape ",
                           a.shape(), "; need at least 1.", half && !s ? " Give the size of the real array." : ""));
    }
  }
  return plan;
}

// `a` cut or filled up with zeros to `size` along an axis.
array resized(const array& a, int axis, int64_t size) {
  int64_t n = a.shape(axis);
  if (n > size) return slice_along(a, axis, 0, size);
  return n < size ? pad(a, {axis}, {0}, {size - n}) : a;
}

double factor(const Shape& sizes, Norm norm, bool inverse) {
  double n = 1;
  for (int64_t size : sizes) n *= static_cast<double>(size);
  if (norm == Norm::ortho) return 1 / std::sqrt(n);
  return (norm == Norm::backward) == inverse ? 1 / n : 1;
}

Axes sorted(Axes axes) {
  std::sort(axes.begin(), axes.end());
  return axes;
}

array complex_transform(const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes, Norm norm, bool inverse,
                        std::string_view op) {
  Plan plan = checked(a, s, axes, false, op);
  if (plan.axes.empty()) return a;
  array x = astype(a, Dtype::complex64);
  for (size_t i = 0; i < plan.axes.size(); ++i) x = resized(x, plan.axes[i], plan.sizes[i]);
  return fft_node(x, {sorted(plan.axes), inverse, factor(plan.sizes, norm, inverse)});
}

array real_forward(const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes, Norm norm, std::string_view op) {
  Plan plan = checked(a, s, axes, false, op);
  if (plan.axes.empty()) return a;
  array x = astype(a, Dtype::float32);
  for (size_t i = 0; i < plan.axes.size(); ++i) x = resized(x, plan.axes[i], plan.sizes[i]);
  double scale = factor(plan.sizes, norm, false);
  int last = plan.axes.back();
  plan.axes.pop_back();
  if (plan.axes.empty()) return rfft_node(x, {last, scale});
  return fft_node(rfft_node(x, {last}), {sorted(plan.axes), false, scale});
}

array real_inverse(const array& a, const std::optional<Shape>& s, const std::optional<Axes>& axes, Norm norm, std::string_view op) {
  Plan plan = checked(a, s, axes, true, op);
  if (plan.axes.empty()) return a;
  array x = astype(a, Dtype::complex64);
  for (size_t i = 0; i + 1 < plan.axes.size(); ++i) x = resized(x, plan.axes[i], plan.sizes[i]);
  double scale = factor(plan.sizes, norm, true);
  int last = plan.axes.back();
  int64_t n = plan.sizes.back();
  plan.axes.pop_back();
  x = resized(x, last, n / 2 + 1);
  if (!plan.axes.empty()) x = fft_node(x, {sorted(plan.axes), true});
  return irfft_node(x, {last, n, scale});
}

std::optional<Shape> one(std::optional<int64_t> n) { return n ? std::optional(Shape{*n}) : std::nullopt; }

}  // namespace

Norm parse_norm(std::string_view name, std::string_view op) {
  if (name == "backward") return Norm::backward;
  if (name == "ortho") return Norm::ortho;
  if (name == "forward") return Norm::forward;
  throw ValueError(cat("[", op, "] unknown norm: it is '", name, "'; need 'backward', 'ortho' or 'forward'."));
}

array fft(const array& a, std::optional<int64_t> n, int axis, Norm norm) {
  return complex_transform(a, one(n), Axes{axis}, norm, false, "fft");
}
array ifft(const array& a, std::optional<int64_t> n, int axis, Norm norm) {
  return complex_transform(a, one(n), Axes{axis}, norm, true, "ifft");
}
array rfft(const array& a, std::optional<int64_t> n, int axis, Norm norm) { return real_forward(a, one(n), Axes{axis}, norm, "rfft"); }
array irfft(const array& a, std::optional<int64_t> n, int axis, Norm norm) { return real_inverse(a, one(n), Axes{axis}, norm, "irfft"); }

using Sizes = std::optional<Shape>;
using SomeAxes = std::optional<Axes>;

array fftn(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return complex_transform(a, s, axes, norm, false, "fftn"); }
array ifftn(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return complex_transform(a, s, axes, norm, true, "ifftn"); }
array rfftn(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return real_forward(a, s, axes, norm, "rfftn"); }
array irfftn(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return real_inverse(a, s, axes, norm, "irfftn"); }

array fft2(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return complex_transform(a, s, axes, norm, false, "fft2"); }
array ifft2(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return complex_transform(a, s, axes, norm, true, "ifft2"); }
array rfft2(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return real_forward(a, s, axes, norm, "rfft2"); }
array irfft2(const array& a, const Sizes& s, const SomeAxes& axes, Norm norm) { return real_inverse(a, s, axes, norm, "irfft2"); }

}  // namespace fft

}  // namespace mx

// composite.cpp — softmax, logsumexp, count_nonzero. The first two are primitives for the sake of their
// kernels; complex input takes the long way, through exp and log.

#include "ops/composite.h"

#include "ops/cast.h"
#include "ops/composite_params.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

namespace {

/// The shape with `axes` (ascending) of size 1, or without them.
Shape collapsed(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out(shape);
  for (size_t i = axes.size(); i-- > 0;) {
    if (keepdims) {
      out[static_cast<size_t>(axes[i])] = 1;
    } else {
      out.erase(out.begin() + axes[i]);
    }
  }
  return out;
}

}  // namespace

// y = softmax(x) moves by y * (t - <y, t>).
const Primitive softmax_p = define<ReduceParams>({
    .name = "softmax",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call& c, int, const array& t) {
      array y = c.out();
      return y * (t - sum(y * t, p.axes, true));
    },
    .vmap = [](auto& p, const Batch& b) { return softmax(b.in(0), shift(p.axes)); },
});

// The slope is softmax(x), written with the output so that a row of -inf gives zeros.
const Primitive logsumexp_p = define<ReduceParams>({
    .name = "logsumexp",
    .infer = [](auto& p, const Call& c) {
      return Type{c.in(0).dtype(), collapsed(c.in(0).shape(), p.axes, p.keepdims)};
    },
    .jvp = [](auto& p, const Call& c, int, const array& t) {
      array y = p.keepdims ? c.out() : expand_dims(c.out(), p.axes);
      array finite = where(isneginf(y), weak(0, y), y);
      return sum(t * exp(c.in(0) - finite), p.axes, p.keepdims);
    },
    .vmap = [](auto& p, const Batch& b) { return logsumexp(b.in(0), shift(p.axes), p.keepdims); },
});

array softmax(const array& a, const Axes& axes, bool precise) {
  Axes fixed = normalize_axes(axes, a.ndim(), "softmax");
  array x = astype(a, at_least_float(a.dtype()));
  if (fixed.empty()) return stop_gradient(exp(x - x));
  if (is_complex(x.dtype())) {
    if (x.size() == 0) return x;
    array e = exp(x - stop_gradient(max(x, fixed, true)));
    return e / sum(e, fixed, true);
  }
  (void)precise;
  Type type = x.type();
  return make_node(softmax_p, ReduceParams{std::move(fixed), true}, {x}, std::move(type));
}
array softmax(const array& a, int axis, bool precise) { return softmax(a, Axes{axis}, precise); }
array softmax(const array& a, bool precise) { return softmax(a, all_axes(a.ndim()), precise); }

array logsumexp(const array& a, const Axes& axes, bool keepdims) {
  Axes fixed = normalize_axes(axes, a.ndim(), "logsumexp");
  array x = astype(a, at_least_float(a.dtype()));
  if (fixed.empty()) return x;
  Shape shape = collapsed(x.shape(), fixed, keepdims);
  if (x.size() == 0 && n_elems(shape) != 0) {
    throw ValueError(cat("[logsumexp] nothing to sum: shape ", x.shape(), " over axes ", fixed,
                         "; need at least one element along every reduced axis."));
  }
  if (is_complex(x.dtype())) {
    if (x.size() == 0) return sum(x, fixed, keepdims);
    array m = stop_gradient(max(x, fixed, true));
    m = where(isfinite(real(m)), m, weak(0, m));  // a row of -inf gives -inf
    array y = log(sum(exp(x - m), fixed, true)) + m;
    return keepdims ? y : squeeze(y, fixed);
  }
  Type type{x.dtype(), std::move(shape)};
  return make_node(logsumexp_p, ReduceParams{std::move(fixed), keepdims}, {x}, std::move(type));
}
array logsumexp(const array& a, int axis, bool keepdims) { return logsumexp(a, Axes{axis}, keepdims); }
array logsumexp(const array& a, bool keepdims) { return logsumexp(a, all_axes(a.ndim()), keepdims); }

array count_nonzero(const array& a, const Axes& axes, bool keepdims) {
  Axes fixed = normalize_axes(axes, a.ndim(), "count_nonzero");
  array hit = astype(a, Dtype::bool_);
  return fixed.empty() ? astype(hit, Dtype::int32) : sum(hit, fixed, keepdims);
}
array count_nonzero(const array& a, int axis, bool keepdims) { return count_nonzero(a, Axes{axis}, keepdims); }
array count_nonzero(const array& a, bool keepdims) { return count_nonzero(a, all_axes(a.ndim()), keepdims); }

}  // namespace mx

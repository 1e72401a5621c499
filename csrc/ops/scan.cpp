// scan.cpp — running reductions. Sums are linear; the derivatives of products and of logcumsumexp are linear
// recurrences, which are closed under differentiation and divide by nothing; extremes read the tangent where the
// extreme was met. The kernels are in backend/cpu/scan.cpp.

#include "ops/scan.h"

#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx {

namespace {

// x moved one step in the direction of the scan; `first` comes in at its beginning.
array step_behind(const array& x, int axis, bool reverse, const array& first) {
  int64_t n = x.shape(axis);
  if (n == 0) return x;
  Shape one(x.shape());
  one[static_cast<size_t>(axis)] = 1;
  array edge = broadcast_to(astype(first, x.dtype()), one);
  return reverse ? concatenate({slice_along(x, axis, 1, n), edge}, axis) : concatenate({edge, slice_along(x, axis, 0, n - 1)}, axis);
}
array step_behind(const array& x, int axis, bool reverse) { return step_behind(x, axis, reverse, array(0, x.dtype())); }

// The tangent of a scan from that of the inclusive one.
array as_inclusive(const ScanParams& p, const array& t) { return p.inclusive ? t : step_behind(t, p.axis, p.reverse); }

array is_lowest(const array& y) { return isneginf(is_complex(y.dtype()) ? real(y) : y); }

array push_logcumsumexp(const ScanParams& p, const Call& c, const array& t) {
  const array& x = c.in(0);
  array y = p.inclusive ? c.out() : logcumsumexp(x, p.axis, p.reverse);
  // y_i = log(exp(y_{i-1}) + exp(x_i)); while both are -inf the tangent is 0.
  array infinity = array(-std::numeric_limits<float>::infinity());
  array before = step_behind(y, p.axis, p.reverse, infinity);
  array safe = where(is_lowest(y), array(0, y.dtype()), y);
  array total = linear_recurrence(exp(before - safe), strong_zero_multiply(exp(x - safe), t), p.axis, p.reverse);
  return as_inclusive(p, total);
}

array push_extreme(const ScanParams& p, const Call& c, const array& t, bool max) {
  array where_met = max ? cumargmax(c.in(0), p.axis, p.reverse) : cumargmin(c.in(0), p.axis, p.reverse);
  return as_inclusive(p, take_along_axis(t, where_met, p.axis));
}

Dtype index_dtype(const Shape& shape, int axis) {
  return shape[static_cast<size_t>(axis)] > int64_t(std::numeric_limits<uint32_t>::max()) ? Dtype::int64 : Dtype::uint32;
}

auto same_type = [](auto&, const Call& c) { return c.in(0).type(); };
auto index_type = [](auto& p, const Call& c) { return Type{index_dtype(c.in(0).shape(), p.axis), c.in(0).shape()}; };

array scan(const Primitive& primitive, const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  if (!axis) return scan(primitive, flatten(a), 0, reverse, inclusive);
  int at = normalize_axis(*axis, a.ndim(), primitive.name);
  return make_node(primitive, ScanParams{at, reverse, inclusive}, {a}, a.type());
}

}  // namespace

// ---- records

const Primitive cumsum_p = define<ScanParams>({
    .name = "cumsum",
    .infer = same_type,
    .jvp = [](auto& p, const Call&, int, const array& t) { return cumsum(t, p.axis, p.reverse, p.inclusive); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return cumsum(ct, p.axis, !p.reverse, p.inclusive); },
    .vmap = [](auto& p, const Batch& b) { return cumsum(b.in(0), p.axis + 1, p.reverse, p.inclusive); },
});

const Primitive cumprod_p = define<ScanParams>({
    .name = "cumprod",
    .infer = same_type,
    // P_i = x_i P_{i-1}, so dP_i = x_i dP_{i-1} + P_{i-1} dx_i.
    .jvp = [](auto& p, const Call& c, int, const array& t) {
      array before = p.inclusive ? cumprod(c.in(0), p.axis, p.reverse, false) : c.out();
      return as_inclusive(p, linear_recurrence(c.in(0), strong_zero_multiply(before, t), p.axis, p.reverse));
    },
    .vmap = [](auto& p, const Batch& b) { return cumprod(b.in(0), p.axis + 1, p.reverse, p.inclusive); },
});

const Primitive cummax_p = define<ScanParams>({
    .name = "cummax",
    .infer = same_type,
    .jvp = [](auto& p, const Call& c, int, const array& t) { return push_extreme(p, c, t, true); },
    .vmap = [](auto& p, const Batch& b) { return cummax(b.in(0), p.axis + 1, p.reverse, p.inclusive); },
});

const Primitive cummin_p = define<ScanParams>({
    .name = "cummin",
    .infer = same_type,
    .jvp = [](auto& p, const Call& c, int, const array& t) { return push_extreme(p, c, t, false); },
    .vmap = [](auto& p, const Batch& b) { return cummin(b.in(0), p.axis + 1, p.reverse, p.inclusive); },
});

const Primitive logcumsumexp_p = define<ScanParams>({
    .name = "logcumsumexp",
    .infer = same_type,
    .jvp = [](auto& p, const Call& c, int, const array& t) { return push_logcumsumexp(p, c, t); },
    .vmap = [](auto& p, const Batch& b) { return logcumsumexp(b.in(0), p.axis + 1, p.reverse, p.inclusive); },
});

const Primitive cumargmax_p = define<ScanParams>({
    .name = "cumargmax",
    .infer = index_type,
    .vmap = [](auto& p, const Batch& b) { return cumargmax(b.in(0), p.axis + 1, p.reverse); },
    .differentiable = false,
});

const Primitive cumargmin_p = define<ScanParams>({
    .name = "cumargmin",
    .infer = index_type,
    .vmap = [](auto& p, const Batch& b) { return cumargmin(b.in(0), p.axis + 1, p.reverse); },
    .differentiable = false,
});

const Primitive linear_recurrence_p = define<ScanParams>({
    .name = "linear_recurrence",
    .infer = same_type,
    .jvp = [](auto& p, const Call& c, int i, const array& t) {
      if (i == 1) return linear_recurrence(c.in(0), t, p.axis, p.reverse);
      array before = step_behind(c.out(), p.axis, p.reverse);
      return linear_recurrence(c.in(0), strong_zero_multiply(before, t), p.axis, p.reverse);
    },
    // Cotangents run the other way: s_i = ct_i + a_{i+1} s_{i+1} reaches b_i, and a_i times y_{i-1}.
    .vjp = [](auto& p, const Call& c, int i, const array& ct) {
      array next = step_behind(c.in(0), p.axis, !p.reverse);
      array s = linear_recurrence(conjugate(next), ct, p.axis, !p.reverse);
      return i == 1 ? s : strong_zero_multiply(conjugate(step_behind(c.out(), p.axis, p.reverse)), s);
    },
    .vmap = [](auto& p, const Batch& b) { return linear_recurrence(b.in(0), b.in(1), p.axis + 1, p.reverse); },
});

// ---- public functions

array cumsum(const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  return scan(cumsum_p, a.dtype() == Dtype::bool_ ? astype(a, Dtype::int32) : a, axis, reverse, inclusive);
}

array cumprod(const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  return scan(cumprod_p, a, axis, reverse, inclusive);
}

array cummax(const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  return scan(cummax_p, a, axis, reverse, inclusive);
}

array cummin(const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  return scan(cummin_p, a, axis, reverse, inclusive);
}

array logcumsumexp(const array& a, std::optional<int> axis, bool reverse, bool inclusive) {
  return scan(logcumsumexp_p, astype(a, at_least_float(a.dtype())), axis, reverse, inclusive);
}

array cumargmax(const array& a, int axis, bool reverse) {
  axis = normalize_axis(axis, a.ndim(), "cumargmax");
  return make_node(cumargmax_p, ScanParams{axis, reverse, true}, {a}, {index_dtype(a.shape(), axis), a.shape()});
}

array cumargmin(const array& a, int axis, bool reverse) {
  axis = normalize_axis(axis, a.ndim(), "cumargmin");
  return make_node(cumargmin_p, ScanParams{axis, reverse, true}, {a}, {index_dtype(a.shape(), axis), a.shape()});
}

array linear_recurrence(const array& a, const array& b, int axis, bool reverse) {
  Dtype t = promote(a.dtype(), b.dtype());
  if (t == Dtype::bool_) t = Dtype::int32;
  Shape shape = broadcast_shapes(a.shape(), b.shape(), "linear_recurrence");
  axis = normalize_axis(axis, static_cast<int64_t>(shape.size()), "linear_recurrence");
  return make_node(linear_recurrence_p, ScanParams{axis, reverse, true},
                   {broadcast_to(astype(a, t), shape), broadcast_to(astype(b, t), shape)}, {t, shape});
}

}  // namespace mx

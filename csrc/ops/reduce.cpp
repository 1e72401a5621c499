// reduce.cpp — reductions: checks, promotion, and the records with their rules.
//
// sum, prod, max, min, all, any, argmax and argmin are primitives; mean, var, std, median and minmax are made
// of them. Start at reduce() and the records; the public functions are below.

#include "ops/reduce.h"

#include "ops/cast.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce_params.h"
#include "ops/scan.h"
#include "ops/sort.h"

namespace mx {

namespace {

Shape reduced_shape(const Shape& shape, const Axes& axes, bool keepdims) {
  Shape out;
  size_t k = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (k < axes.size() && axes[k] == static_cast<int>(i)) {
      ++k;
      if (keepdims) out.push_back(1);
    } else {
      out.push_back(shape[i]);
    }
  }
  return out;
}

/// How many elements go into each result.
int64_t n_reduced(const array& a, const Axes& axes) {
  int64_t n = 1;
  for (int axis : axes) n *= a.shape(axis);
  return n;
}

/// Narrow integers are summed and multiplied in 32 bits.
Dtype wide(Dtype t) {
  if (is_unsigned(t)) return size_of(t) < 4 ? Dtype::uint32 : t;
  if (is_bool(t) || is_integer(t)) return size_of(t) < 4 ? Dtype::int32 : t;
  return t;
}

/// Half precision is averaged in float32: a sum may overflow where the mean does not.
Dtype working_type(Dtype t) { return is_floating(t) && size_of(t) == 2 ? Dtype::float32 : at_least_float(t); }

/// What depends on the output's shape, seen with the input's: each element beside those it was made from.
array spread(const array& x, const ReduceParams& p, const Shape& shape) {
  return broadcast_to(p.keepdims ? x : expand_dims(x, p.axes), shape);
}

array reduce(const Primitive& primitive, const array& a, const Axes& axes, bool keepdims, Dtype dtype) {
  Axes fixed = normalize_axes(axes, a.ndim(), primitive.name);
  if (fixed.empty()) return astype(a, dtype);
  Shape shape = reduced_shape(a.shape(), fixed, keepdims);
  return make_node(primitive, ReduceParams{std::move(fixed), keepdims}, {a}, {dtype, std::move(shape)});
}

void check_not_empty(const array& a, const Axes& axes, std::string_view op) {
  for (int axis : normalize_axes(axes, a.ndim(), op)) {
    if (a.shape(axis) != 0) continue;
    throw ValueError(cat("[", op, "] nothing to choose from: axis ", axis, " of shape ", a.shape(),
                         " has size 0; need at least one element along every reduced axis."));
  }
}

template <Dtype (*result)(Dtype)>
Inferred reduced_type(const ReduceParams& p, const Call& c) {
  return Type{result(c.in(0).dtype()), reduced_shape(c.in(0).shape(), p.axes, p.keepdims)};
}
Dtype same(Dtype t) { return t; }
Dtype truth(Dtype) { return Dtype::bool_; }

/// Each element's share in the derivative of max or min: 1 / (number of ties) where the extreme is, else 0.
array share(const ReduceParams& p, const Call& c) {
  const array& x = c.in(0);
  Dtype t = working_type(real_type(x.dtype()));
  array hit = equal(x, spread(c.out(), p, x.shape()));
  array n = astype(sum(hit, p.axes, true), t);
  return astype(divide(astype(hit, t), broadcast_to(n, x.shape())), x.dtype());
}

/// `a` with `axes` moved to the end and merged into one.
array merge(const array& a, const Axes& axes) {
  int n = static_cast<int>(axes.size()), kept = a.ndim() - n;
  if (n == 0) return expand_dims(a, kept);
  Axes last;
  for (int i = 0; i < n; ++i) last.push_back(kept + i);
  return flatten(moveaxis(a, axes, last), kept, -1);
}

/// For each element the product of all others that it is multiplied with. Nothing is divided, so zeros are
/// exact, in higher derivatives too.
array product_of_others(const array& x, const Axes& axes) {
  if (axes.size() == 1) return cumprod(x, axes[0], false, false) * cumprod(x, axes[0], true, false);
  int n = static_cast<int>(axes.size()), kept = x.ndim() - n;
  Axes last;
  for (int i = 0; i < n; ++i) last.push_back(kept + i);
  Shape moved;
  for (int i = 0; i < x.ndim(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) moved.push_back(x.shape(i));
  }
  for (int axis : axes) moved.push_back(x.shape(axis));
  return moveaxis(reshape(product_of_others(merge(x, axes), {kept}), moved), last, axes);
}

using Reduction = array (*)(const array&, const Axes&, bool);

/// A reduction of a batch is the same reduction one axis further.
template <Reduction f>
Outs batched(const ReduceParams& p, const Batch& b) {
  return f(b.in(0), shift(p.axes), p.keepdims);
}

}  // namespace

const Primitive sum_p = define<ReduceParams>({
    .name = "sum",
    .infer = reduced_type<wide>,
    .jvp = [](auto& p, const Call&, int, const array& t) { return sum(t, p.axes, p.keepdims); },
    .vjp = [](auto& p, const Call& c, int, const Outs& ct) { return spread(ct, p, c.in(0).shape()); },
    .vmap = batched<sum>,
});

const Primitive prod_p = define<ReduceParams>({
    .name = "prod",
    .infer = reduced_type<wide>,
    .jvp = [](auto& p, const Call& c, int, const array& t) {
      return sum(t * product_of_others(c.in(0), p.axes), p.axes, p.keepdims);
    },
    .vmap = batched<prod>,
});

// Ties share the tangent evenly.
const Primitive max_p = define<ReduceParams>({
    .name = "max",
    .infer = reduced_type<same>,
    .jvp = [](auto& p, const Call& c, int, const array& t) { return sum(t * share(p, c), p.axes, p.keepdims); },
    .vmap = batched<max>,
});

const Primitive min_p = define<ReduceParams>({
    .name = "min",
    .infer = reduced_type<same>,
    .jvp = [](auto& p, const Call& c, int, const array& t) { return sum(t * share(p, c), p.axes, p.keepdims); },
    .vmap = batched<min>,
});

const Primitive all_p = define<ReduceParams>({
    .name = "all",
    .infer = reduced_type<truth>,
    .vmap = batched<all>,
    .differentiable = false,
});

const Primitive any_p = define<ReduceParams>({
    .name = "any",
    .infer = reduced_type<truth>,
    .vmap = batched<any>,
    .differentiable = false,
});

namespace {

Inferred position_type(const ArgReduceParams& p, const Call& c) {
  return Type{Dtype::uint32, reduced_shape(c.in(0).shape(), {p.axis}, p.keepdims)};
}

array arg_reduce(const Primitive& primitive, const array& a, int axis, bool keepdims) {
  int fixed = normalize_axis(axis, a.ndim(), primitive.name);
  check_not_empty(a, {fixed}, primitive.name);
  if (a.shape(fixed) > (int64_t(1) << 32)) {
    throw OverflowError(cat("[", primitive.name, "] axis ", axis, " has size ", a.shape(fixed),
                            "; positions are uint32, so need at most 2**32."));
  }
  Shape shape = reduced_shape(a.shape(), {fixed}, keepdims);
  return make_node(primitive, ArgReduceParams{fixed, keepdims}, {a}, {Dtype::uint32, std::move(shape)});
}

array arg_reduce_all(const Primitive& primitive, const array& a, bool keepdims) {
  array position = arg_reduce(primitive, flatten(a), 0, false);
  return keepdims ? reshape(position, Shape(static_cast<size_t>(a.ndim()), 1)) : position;
}

}  // namespace

const Primitive argmax_p = define<ArgReduceParams>({
    .name = "argmax",
    .infer = position_type,
    .vmap = [](auto& p, const Batch& b) { return argmax(b.in(0), p.axis + 1, p.keepdims); },
    .differentiable = false,
});

const Primitive argmin_p = define<ArgReduceParams>({
    .name = "argmin",
    .infer = position_type,
    .vmap = [](auto& p, const Batch& b) { return argmin(b.in(0), p.axis + 1, p.keepdims); },
    .differentiable = false,
});

// ---- public functions: over axes, over one axis, over all

array sum(const array& a, const Axes& axes, bool keepdims) { return reduce(sum_p, a, axes, keepdims, wide(a.dtype())); }
array sum(const array& a, int axis, bool keepdims) { return sum(a, Axes{axis}, keepdims); }
array sum(const array& a, bool keepdims) { return sum(a, all_axes(a.ndim()), keepdims); }

array prod(const array& a, const Axes& axes, bool keepdims) { return reduce(prod_p, a, axes, keepdims, wide(a.dtype())); }
array prod(const array& a, int axis, bool keepdims) { return prod(a, Axes{axis}, keepdims); }
array prod(const array& a, bool keepdims) { return prod(a, all_axes(a.ndim()), keepdims); }

array max(const array& a, const Axes& axes, bool keepdims) {
  check_not_empty(a, axes, "max");
  return reduce(max_p, a, axes, keepdims, a.dtype());
}
array max(const array& a, int axis, bool keepdims) { return max(a, Axes{axis}, keepdims); }
array max(const array& a, bool keepdims) { return max(a, all_axes(a.ndim()), keepdims); }

array min(const array& a, const Axes& axes, bool keepdims) {
  check_not_empty(a, axes, "min");
  return reduce(min_p, a, axes, keepdims, a.dtype());
}
array min(const array& a, int axis, bool keepdims) { return min(a, Axes{axis}, keepdims); }
array min(const array& a, bool keepdims) { return min(a, all_axes(a.ndim()), keepdims); }

std::pair<array, array> minmax(const array& a, const Axes& axes, bool keepdims) {
  check_not_empty(a, axes, "minmax");
  return {min(a, axes, keepdims), max(a, axes, keepdims)};
}
std::pair<array, array> minmax(const array& a, int axis, bool keepdims) { return minmax(a, Axes{axis}, keepdims); }
std::pair<array, array> minmax(const array& a, bool keepdims) { return minmax(a, all_axes(a.ndim()), keepdims); }

array all(const array& a, const Axes& axes, bool keepdims) {
  return reduce(all_p, a, axes, keepdims, Dtype::bool_);
}
array all(const array& a, int axis, bool keepdims) { return all(a, Axes{axis}, keepdims); }
array all(const array& a, bool keepdims) { return all(a, all_axes(a.ndim()), keepdims); }

array any(const array& a, const Axes& axes, bool keepdims) {
  return reduce(any_p, a, axes, keepdims, Dtype::bool_);
}
array any(const array& a, int axis, bool keepdims) { return any(a, Axes{axis}, keepdims); }
array any(const array& a, bool keepdims) { return any(a, all_axes(a.ndim()), keepdims); }

array mean(const array& a, const Axes& axes, bool keepdims) {
  Axes fixed = normalize_axes(axes, a.ndim(), "mean");
  array total = sum(astype(a, working_type(a.dtype())), fixed, keepdims);
  return astype(total / static_cast<double>(n_reduced(a, fixed)), at_least_float(a.dtype()));
}
array mean(const array& a, int axis, bool keepdims) { return mean(a, Axes{axis}, keepdims); }
array mean(const array& a, bool keepdims) { return mean(a, all_axes(a.ndim()), keepdims); }

namespace {

/// The variance in the dtype it is computed in.
array variance(const array& a, const Axes& axes, bool keepdims, int ddof, std::string_view op) {
  Axes fixed = normalize_axes(axes, a.ndim(), op);
  array x = astype(a, working_type(a.dtype()));
  if (x.size() != 0) {
    // Measured from the first element: exactly 0 for equal elements, and accurate far from the origin.
    Shape stop(x.shape());
    for (int axis : fixed) stop[static_cast<size_t>(axis)] = 1;
    x = x - stop_gradient(slice(x, Shape(stop.size(), 0), stop));
  }
  array d = x - mean(x, fixed, true);
  array squares = is_complex(d.dtype()) ? square(real(d)) + square(imag(d)) : square(d);
  double divisor = std::max(static_cast<double>(n_reduced(a, fixed)) - ddof, 0.0);
  return sum(squares, fixed, keepdims) / divisor;
}

}  // namespace

array var(const array& a, const Axes& axes, bool keepdims, int ddof) {
  return astype(variance(a, axes, keepdims, ddof, "var"), real_type(at_least_float(a.dtype())));
}
array var(const array& a, int axis, bool keepdims, int ddof) { return var(a, Axes{axis}, keepdims, ddof); }
array var(const array& a, bool keepdims, int ddof) { return var(a, all_axes(a.ndim()), keepdims, ddof); }

array std(const array& a, const Axes& axes, bool keepdims, int ddof) {
  array v = variance(a, axes, keepdims, ddof, "std");
  // At 0 the square root is taken of a constant, so no infinite slope meets a zero.
  array zero = equal(v, weak(0, v));
  array root = where(zero, weak(0, v), sqrt(where(zero, weak(1, v), v)));
  return astype(root, real_type(at_least_float(a.dtype())));
}
array std(const array& a, int axis, bool keepdims, int ddof) { return std(a, Axes{axis}, keepdims, ddof); }
array std(const array& a, bool keepdims, int ddof) { return std(a, all_axes(a.ndim()), keepdims, ddof); }

array median(const array& a, const Axes& axes, bool keepdims) {
  check_not_empty(a, axes, "median");
  Axes fixed = normalize_axes(axes, a.ndim(), "median");
  array sorted = sort(merge(a, fixed), -1);
  int last = sorted.ndim() - 1;
  int64_t n = sorted.shape(last);
  auto at = [&](int64_t i) {
    return astype(squeeze(slice_along(sorted, last, i, i + 1), last), at_least_float(a.dtype()));
  };
  array middle = at(n / 2);
  if (n % 2 == 0) {
    array below = at(n / 2 - 1);
    // Halved first, so that large values do not overflow; equal infinities must not be subtracted.
    middle = 0.5 * below + 0.5 * middle;
  }
  // NaN is sorted to the end.
  if (is_inexact(a.dtype())) {
    array top = at(n - 1);
    middle = where(isnan(top), top, middle);
  }
  return keepdims ? reshape(middle, reduced_shape(a.shape(), fixed, true)) : middle;
}
array median(const array& a, int axis, bool keepdims) { return median(a, Axes{axis}, keepdims); }
array median(const array& a, bool keepdims) { return median(a, all_axes(a.ndim()), keepdims); }

array argmax(const array& a, int axis, bool keepdims) { return arg_reduce(argmax_p, a, axis, keepdims); }
array argmax(const array& a, bool keepdims) { return arg_reduce_all(argmax_p, a, keepdims); }
array argmin(const array& a, int axis, bool keepdims) { return arg_reduce(argmin_p, a, axis, keepdims); }
array argmin(const array& a, bool keepdims) { return arg_reduce_all(argmin_p, a, keepdims); }

}  // namespace mx

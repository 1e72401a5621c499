// create.cpp — constants as broadcast scalars, arange (the one primitive here), and matrices and windows made from them.

#include "ops/create.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "ops/cast.h"
#include "ops/create_params.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx {

// No inputs, so only the type is a rule: nothing to differentiate, and a batch never reaches it.
const Primitive arange_p = define<ArangeParams>({
    .name = "arange",
    .infer = [](auto& p, const Call&) { return Type{p.dtype, {p.n}}; },
    .differentiable = false,
});

namespace {

void check_sizes(const Shape& shape, std::string_view op) {
  for (int64_t size : shape) {
    if (size < 0) throw ValueError(cat("[", op, "] negative size in shape ", shape, "; need sizes >= 0."));
  }
}

array filled(const Shape& shape, const array& value, std::string_view op) {
  check_sizes(shape, op);
  if (value.ndim() > 0 && (value.ndim() > static_cast<int>(shape.size()) || broadcast_shapes(value.shape(), shape, op) != shape)) {
    throw ValueError(cat("[", op, "] the value has shape ", value.shape(), ", which does not broadcast to ", shape, "."));
  }
  return broadcast_to(value, shape);
}

array arange_node(ArangeParams p) {
  if (is_bool(p.dtype)) throw DtypeError("[arange] dtype bool has no ranges; need a numeric dtype.");
  Type type{p.dtype, {p.n}};
  if (p.n == 0) return zeros(type.shape, p.dtype);
  if (p.exact) {
    p.start = p.step = p.last = 0;
  } else {
    p.int_start = p.int_step = 0;
  }
  return make_node(arange_p, p, {}, type);
}

int64_t truncated(double x, double start, double stop) {
  if (!(std::abs(x) < 0x1p63)) throw OverflowError(cat("[arange] from ", start, " to ", stop, " leaves the range of int64."));
  return static_cast<int64_t>(x);
}

// Where the window's points lie on the circle: 2 pi i / (m - 1), in float64.
array angles(int64_t m) {
  return arange(m, Dtype::float64) * (2 * std::numbers::pi / static_cast<double>(m - 1));
}

// Short windows are the same for all formulas.
std::optional<array> short_window(int64_t m) {
  if (m > 1) return std::nullopt;
  return ones({std::max<int64_t>(m, 0)});
}

}  // namespace

// ---- constants

array full(const Shape& shape, const array& value) { return filled(shape, value, "full"); }
array full(const Shape& shape, const array& value, Dtype dtype) { return filled(shape, astype(value, dtype), "full"); }
array zeros(const Shape& shape, Dtype dtype) { return filled(shape, array(0, dtype), "zeros"); }
array ones(const Shape& shape, Dtype dtype) { return filled(shape, array(1, dtype), "ones"); }

array full_like(const array& a, const array& value) { return full_like(a, value, a.dtype()); }
array full_like(const array& a, const array& value, Dtype dtype) { return filled(a.shape(), astype(value, dtype), "full_like"); }
array zeros_like(const array& a) { return zeros(a.shape(), a.dtype()); }
array zeros_like(const array& a, Dtype dtype) { return zeros(a.shape(), dtype); }
array ones_like(const array& a) { return ones(a.shape(), a.dtype()); }
array ones_like(const array& a, Dtype dtype) { return ones(a.shape(), dtype); }

// ---- ranges

array arange_int(int64_t start, int64_t stop, int64_t step, Dtype dtype) {
  if (step == 0) throw ValueError(cat("[arange] the step is 0; need a step that leads from ", start, " to ", stop, "."));
  __int128 span = __int128(stop) - start, n = 0;
  if (step > 0 && span > 0) n = (span - 1) / step + 1;
  if (step < 0 && span < 0) n = (span + 1) / step + 1;
  if (n > std::numeric_limits<int64_t>::max()) {
    throw OverflowError(cat("[arange] from ", start, " to ", stop, " by ", step, " holds more than 2**63 - 1 elements."));
  }
  return arange_node({.dtype = dtype, .n = static_cast<int64_t>(n), .exact = true, .int_start = start, .int_step = step,
                      .start = 0, .step = 0, .last = 0});
}

array arange_int(int64_t start, int64_t stop, int64_t step) {
  using Limits = std::numeric_limits<int32_t>;
  // The largest and smallest elements lie between start and stop, stop excluded.
  auto fits = [](int64_t x) { return x >= Limits::min() && x <= Limits::max(); };
  bool small = fits(start) && (fits(stop) || stop - 1 == Limits::max() || stop + 1 == Limits::min());
  return arange_int(start, stop, step, small ? Dtype::int32 : Dtype::int64);
}

array arange(double start, double stop, double step, Dtype dtype) {
  if (!std::isfinite(start) || !std::isfinite(stop) || !std::isfinite(step)) {
    throw ValueError(cat("[arange] start ", start, ", stop ", stop, ", step ", step, "; need finite numbers."));
  }
  if (step == 0) throw ValueError(cat("[arange] the step is 0; need a step that leads from ", start, " to ", stop, "."));
  double n = std::max(std::ceil((stop - start) / step), 0.0);
  if (!(n < 0x1p63)) {
    throw OverflowError(cat("[arange] from ", start, " to ", stop, " by ", step, " holds more than 2**63 - 1 elements."));
  }
  ArangeParams p{.dtype = dtype, .n = static_cast<int64_t>(n), .exact = is_integer(dtype), .int_start = 0, .int_step = 0,
                 .start = start, .step = step, .last = start + (n - 1) * step};
  if (p.exact) {
    // As NumPy and MLX do: the first two elements are truncated, and fix the others.
    p.int_start = truncated(start, start, stop);
    p.int_step = truncated(start + step, start, stop) - p.int_start;
  }
  return arange_node(p);
}

array linspace(double start, double stop, int64_t num, bool endpoint, Dtype dtype) {
  if (num < 0) throw ValueError(cat("[linspace] num is ", num, "; need num >= 0."));
  if (is_bool(dtype)) throw DtypeError("[linspace] dtype bool has no ranges; need a numeric dtype.");
  double n_steps = static_cast<double>(endpoint ? num - 1 : num);
  double span = stop - start;
  double step = num < 2 && endpoint ? 0.0 : std::isfinite(span) ? span / n_steps : stop / n_steps - start / n_steps;
  double last = endpoint && num > 1 ? stop : num > 1 ? start + static_cast<double>(num - 1) * step : start;
  return arange_node({.dtype = dtype, .n = num, .exact = false, .int_start = 0, .int_step = 0, .start = start, .step = step,
                      .last = last});
}

// ---- matrices

array eye(int64_t n, int64_t m, int64_t k, Dtype dtype) {
  check_sizes({n, m}, "eye");
  k = std::clamp(k, -n, m);
  int64_t first = k >= 0 ? k : -k * m, length = k >= 0 ? std::min(n, m - k) : std::min(n + k, m);
  int64_t total = n_elems({n, m});
  if (length <= 0) return zeros({n, m}, dtype);
  // In the flat matrix the diagonal is every (m + 1)-th element.
  array flat = slice_update(zeros({total}, dtype), array(1, dtype), {first}, {first + (length - 1) * (m + 1) + 1}, {m + 1});
  return reshape(flat, {n, m});
}
array identity(int64_t n, Dtype dtype) { return eye(n, n, 0, dtype); }

array tri(int64_t n, int64_t m, int64_t k, Dtype dtype) {
  check_sizes({n, m}, "tri");
  n_elems({n, m});
  k = std::clamp(k, -n, m);
  array row = reshape(arange_int(k, k + n, 1), {n, 1}), column = arange_int(0, m, 1);
  return astype(greater_equal(row, column), dtype);
}

array tril(const array& a, int64_t k) {
  if (a.ndim() < 2) throw ValueError(cat("[tril] a has shape ", a.shape(), "; need at least two dimensions."));
  return where(tri(a.shape(-2), a.shape(-1), k, Dtype::bool_), a, array(0, a.dtype()));
}
array triu(const array& a, int64_t k) {
  if (a.ndim() < 2) throw ValueError(cat("[triu] a has shape ", a.shape(), "; need at least two dimensions."));
  // What lies strictly below diagonal k is on or below diagonal k - 1.
  int64_t below = std::max(k, -a.shape(-2)) - 1;
  return where(tri(a.shape(-2), a.shape(-1), below, Dtype::bool_), array(0, a.dtype()), a);
}

// ---- windows

array hanning(int64_t m) {
  if (auto w = short_window(m)) return *w;
  return astype(0.5 - 0.5 * cos(angles(m)), Dtype::float32);
}
array hamming(int64_t m) {
  if (auto w = short_window(m)) return *w;
  return astype(0.54 - 0.46 * cos(angles(m)), Dtype::float32);
}
array blackman(int64_t m) {
  if (auto w = short_window(m)) return *w;
  array x = angles(m);
  // Rounding leaves the two ends a little off 0.
  return maximum(astype(0.42 - 0.5 * cos(x) + 0.08 * cos(2.0 * x), Dtype::float32), array(0, Dtype::float32));
}
array bartlett(int64_t m) {
  if (auto w = short_window(m)) return *w;
  array x = arange(m, Dtype::float64) * (2.0 / static_cast<double>(m - 1));
  return astype(1.0 - abs(x - 1.0), Dtype::float32);
}

}  // namespace mx

// elementwise_composed.cpp — elementwise functions made of table rows: no primitives, so no rules.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

namespace {

array truth(const array& a, bool value) { return full(a.shape(), array(value)); }

Dtype part_type(const array& a) { return real_type(a.dtype()); }

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }

double largest(Dtype t) {
  switch (t) {
    case Dtype::float16: return 65504.0;
    case Dtype::bfloat16: return 0x1.fep127;
    case Dtype::float64: return std::numeric_limits<double>::max();
    default: return static_cast<double>(std::numeric_limits<float>::max());
  }
}

// Re + i Im, infinities in the parts included.
array from_parts(const array& re, const array& im) {
  return astype(re, Dtype::complex64) + strong_zero_multiply(astype(im, Dtype::complex64), broadcast_to(array(complex64_t(0, 1)), im.shape()));
}

// The integers nearest to a / s, times s; halves to the even multiple.
array round_integer(const array& a, int decimals) {
  int64_t s = 1;
  double bound = std::pow(2.0, 8.0 * static_cast<double>(a.itemsize()) - (is_unsigned(a.dtype()) ? 0 : 1));
  for (int i = 0; i < -decimals; ++i) {
    if (10.0 * static_cast<double>(s) >= bound || s > std::numeric_limits<int64_t>::max() / 10) return zeros_like(a);
    s *= 10;
  }
  array step(s, a.dtype()), q = floor_divide(a, step), down = q * step, rest = a - down, missing = step - rest;
  array odd = not_equal(bitwise_and(q, array(1, a.dtype())), array(0, a.dtype()));
  array up = logical_or(greater(rest, missing), logical_and(equal(rest, missing), odd));
  return where(up, down + step, down);
}

}  // namespace

array positive(const array& a) { return a; }
array degrees(const array& a) { return a * (180.0 / std::numbers::pi); }
array radians(const array& a) { return a * (std::numbers::pi / 180.0); }

array round(const array& a, int decimals) {
  Dtype t = a.dtype();
  decimals = std::clamp(decimals, -1000, 1000);  // beyond the range of every dtype
  if (is_bool(t) || (is_integer(t) && decimals >= 0)) return a;
  if (is_integer(t)) return round_integer(a, decimals);
  if (decimals == 0) return rint(a);
  // Where the scaled number overflows, it has no decimals to round. float16 has no room for the scale.
  array x = is_half(t) ? astype(a, Dtype::float32) : a;
  array scale(std::pow(10.0, std::abs(decimals)), x.dtype());
  bool all_vanish = decimals < (x.dtype() == Dtype::float64 ? -308 : -38);
  array y = decimals > 0 ? rint(x * scale) / scale : all_vanish ? x * array(0.0, x.dtype()) : rint(x / scale) * scale;
  return astype(where(isfinite(y), y, stop_gradient(x)), t);
}

// The bits of a float, read as an integer, count its magnitude: the neighbours are one apart.
array nextafter(const array& a, const array& b) {
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_complex(t)) throw DtypeError(cat("[nextafter] dtype not supported: the input is ", t, "; need a real dtype. Convert with astype."));
  if (!is_floating(t)) t = Dtype::float32;
  Shape shape = broadcast_shapes(a.shape(), b.shape(), "nextafter");
  array from = broadcast_to(astype(a, t), shape), x = stop_gradient(from), y = stop_gradient(broadcast_to(astype(b, t), shape));
  Dtype bits_type = is_half(t) ? Dtype::int16 : t == Dtype::float32 ? Dtype::int32 : Dtype::int64;
  array bits = view(x, bits_type), one(1, bits_type), zero(0.0, t);
  array away_from_zero = equal(greater(y, x), greater(x, zero));
  array moved = view(where(away_from_zero, bits + one, bits - one), t);
  array next = where(equal(x, zero), copysign(view(one, t), y), moved);
  next = where(equal(x, y), y, next);
  next = where(logical_or(isnan(x), isnan(y)), x + y, next);
  // Adds 0, with the derivative 1; where that would lose a sign or an infinity, nothing.
  array carrier = where(isfinite(x), from - x, zero);
  return where(logical_and(isfinite(next), not_equal(next, zero)), next + carrier, next);
}

array isposinf(const array& a) {
  if (!is_inexact(a.dtype())) return truth(a, false);
  return equal(a, array(std::numeric_limits<double>::infinity(), a.dtype()));
}
array isneginf(const array& a) {
  if (!is_inexact(a.dtype())) return truth(a, false);
  return equal(a, array(-std::numeric_limits<double>::infinity(), a.dtype()));
}

std::pair<array, array> divmod(const array& a, const array& b) {
  broadcast_shapes(a.shape(), b.shape(), "divmod");
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_complex(t)) throw DtypeError(cat("[divmod] dtype not supported: the input is ", t, "; need a real dtype. Convert with astype."));
  return {floor_divide(a, b), remainder(a, b)};
}

array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max) {
  if (!a_min && !a_max) throw ValueError("[clip] no limits: a_min and a_max are both None; need at least one.");
  for (const auto* limit : {&a_min, &a_max}) {
    if (*limit) broadcast_shapes(a.shape(), (*limit)->shape(), "clip");
  }
  array y = a_min ? maximum(a, *a_min) : a;
  return a_max ? minimum(y, *a_max) : y;
}

array nan_to_num(const array& a, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  Dtype t = a.dtype();
  if (!is_inexact(t)) return a;
  if (is_complex(t)) return from_parts(nan_to_num(real(a), nan, posinf, neginf), nan_to_num(imag(a), nan, posinf, neginf));
  array y = where(isnan(a), array(nan, t), a);
  y = where(isposinf(a), array(posinf.value_or(largest(t)), t), y);
  return where(isneginf(a), array(neginf.value_or(-largest(t)), t), y);
}

array isclose(const array& a, const array& b, double rtol, double atol, bool equal_nan) {
  broadcast_shapes(a.shape(), b.shape(), "isclose");
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_bool(t)) t = Dtype::uint8;
  array x = astype(a, t), y = astype(b, t);
  // Integers are subtracted as such: large ones that differ by little have one float.
  array distance = is_integer(t) ? astype(maximum(x, y) - minimum(x, y), Dtype::float32) : abs(x - y);
  array size = astype(abs(y), part_type(distance));
  array close = logical_and(less_equal(distance, size * rtol + atol), isfinite(y));
  close = logical_or(close, equal(x, y));
  return equal_nan ? logical_or(close, logical_and(isnan(x), isnan(y))) : close;
}

array allclose(const array& a, const array& b, double rtol, double atol, bool equal_nan) {
  broadcast_shapes(a.shape(), b.shape(), "allclose");
  return all(isclose(a, b, rtol, atol, equal_nan));
}

array array_equal(const array& a, const array& b, bool equal_nan) {
  if (a.shape() != b.shape()) return array(false);
  Dtype t = promote(a.dtype(), b.dtype());
  array x = astype(a, t), y = astype(b, t), same = equal(x, y);
  if (equal_nan && is_inexact(t)) same = logical_or(same, logical_and(isnan(x), isnan(y)));
  return all(same);
}

}  // namespace mx

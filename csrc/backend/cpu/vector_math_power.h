// vector_math_power.h — power and hypot.
#pragma once

#include "backend/cpu/vector_math_log.h"

namespace mx::cpu::vector_math {

/// The logarithm of x > 0, not subnormal, as a pair that is right far beyond the last place: e log(2) + 2 artanh(s) with
/// s = f / (2 + f), where 2 artanh(s) = s (2 + s^2 (2/3 + s^2 P)).
template <class F>
MX_INLINE Pair<F> log_pair(F x) {
  auto [e, f, whole_e] = log_argument(x);
  F two = num<F>(2);
  Pair<F> below = fast_sum(two, f);
  F inverse = num<F>(1) / below.hi, s = f * inverse, s_low = (residue(f, s, below.hi) - s * below.lo) * inverse;
  Pair<F> z = exact_product(s, s);
  z.lo = fma(s + s, s_low, z.lo);
  F p;
  if constexpr (is_float32<F>) {
    // Within 2^-36.8, 2^-66.3 of the logarithm (`log_pair`).
    p = z.hi * horner(z.hi, 0.234201357, 0.285470784, 0.400001526);
  } else {
    p = z.hi * horner(z.hi, 0.13199438334407115, 0.13256492579671697, 0.15386770845262268, 0.18181784084125269, 0.22222222523031626,
                        0.28571428570082896, 0.40000000000002289);
  }
  Pair<F> sum = fast_sum(num<F>(is_float32<F> ? 0.666666686534881592 : 0.66666666666666663), p);
  sum.lo = sum.lo + num<F>(is_float32<F> ? -1.98682149251302083e-8 : 3.70074341541718847e-17);
  Pair<F> product = exact_product(z.hi, sum.hi);
  product.lo = product.lo + fma(z.hi, sum.lo, z.lo * sum.hi);
  sum = fast_sum(two, product.hi);
  sum.lo = sum.lo + product.lo;
  product = exact_product(s, sum.hi);
  product.lo = product.lo + fma(s, sum.lo, s_low * sum.hi);
  sum = fast_sum(e * num<F>(kLn2<F>), product.hi);
  return fast_sum(sum.hi, sum.lo + fma(e, num<F>(kLn2Low<F>), product.lo));
}

/// x^y = e^(y log |x|), with the special values of C99.
template <class F>
MX_INLINE F power(F x, F y) {
  using I = typename F::I;
  F a = abs(x), zero = num<F>(0), one = num<F>(1), inf = infinity<F>();
  Pair<F> log = log_pair(a);
  auto ordinary = (a < inf) & (a > zero);
  log.hi = select(ordinary, log.hi, select(a == zero, -inf, a));
  log.lo = select(ordinary, log.lo, zero);
  Pair<F> t = exact_product(y, log.hi);
  auto in_range = abs(t.hi) < num<F>(is_float32<F> ? 200 : 2000);
  F low = select(in_range, fma(y, log.lo, t.lo), zero);
  // e^(t + low)
  F high = min(num<F>(kExpHigh<F>), max(num<F>(kExpLow<F>), t.hi));
  auto [n, hi, lo] = exp_argument(high);
  lo = lo - low;
  F r = hi - lo, p = scale(one + (hi + fma(r * r, exp_tail(r), -lo)), n);
  // Signs: negative numbers have whole powers only, odd ones are negative.
  F half = y * num<F>(0.5);
  auto whole = trunc(y) == y, odd = whole & (trunc(half) != half);
  p = flip(p, select(odd, sign_of(x), I::of(0)));
  p = select((x < zero) & (x > -inf) & !whole, not_a_number<F>(), p);
  p = select((x != x) | (y != y), x + y, p);
  return select((y == zero) | (x == one) | ((x == -one) & (abs(y) == inf)), one, p);
}

/// sqrt(a^2 + b^2), scaled where the squares would overflow or vanish; infinite if either is.
template <class F>
MX_INLINE F hypot(F a, F b) {
  a = abs(a);
  b = abs(b);
  F one = num<F>(1), inf = infinity<F>(), large = max(a, b);
  auto too_large = large > num<F>(is_float32<F> ? 0x1p60 : 0x1p500), too_small = large < num<F>(is_float32<F> ? 0x1p-50 : 0x1p-450);
  F up = num<F>(is_float32<F> ? 0x1p90 : 0x1p600), down = num<F>(is_float32<F> ? 0x1p-90 : 0x1p-600);
  F by = select(too_large, down, select(too_small, up, one)), back = select(too_large, up, select(too_small, down, one));
  a = a * by;
  b = b * by;
  return select((a == inf) | (b == inf), inf, sqrt(fma(a, a, b * b)) * back);
}

}  // namespace mx::cpu::vector_math

// vector_math_trig.h — sin, cos, tan and their inverses. The argument is n pi / 2 and a rest r, |r| <= pi / 4, of which both sine
// and cosine are computed (tests/tools/minimax.py: `sin`, `cos`); n says which of them is meant, and its sign. Beyond
// kTrigLimit the library of the platform computes.
#pragma once

#include "backend/cpu/vector_math_base.h"
#include "backend/cpu/vector_math_rare.h"

namespace mx::cpu::vector_math {

/// As far as the reduction keeps all bits.
template <class F>
constexpr double kTrigLimit = is_float32<F> ? (is_fused<F> ? 1e5 : 12000) : (is_fused<F> ? 1e9 : 1.5e6);

/// x - n pi / 2 within a part of the last place, as hi + lo. Pi is in pieces as long as the number where multiplication and
/// addition are fused; else so short that their products with n are exact. The first differences are exact, so that
/// x near a multiple of pi / 2 keeps all its bits.
template <class F>
MX_INLINE Pair<F> less_half_pi(F x, F n) {
  auto less = [&](F from, double piece) { return fnma(n, num<F>(0.5 * piece), from); };
  Pair<F> product, r;
  if constexpr (is_fused<F>) {
    product = exact_product(n, num<F>(0.5 * (is_float32<F> ? -8.74227765734758577e-8 : 1.2246467991473532e-16)));
    r = exact_sum(less(x, is_float32<F> ? 3.14159274101257324 : 3.1415926535897931), -product.hi);
    r.lo = less(r.lo - product.lo, is_float32<F> ? -3.43024902e-15 : -2.9947698097183397e-33);
  } else if constexpr (is_float32<F>) {
    r = exact_sum(less(less(x, 3.140625), 0.000967979431152343750), n * num<F>(0.5 * 3.25962901115417481e-7));
    r.lo = less(less(r.lo, 1.21644916e-10), -1.02906229e-13);
  } else {
    r = exact_sum(less(x, 3.1415926534682512), n * num<F>(0.5 * -1.2154201012607932e-10));
    r.lo = less(less(r.lo, 4.0445324974223329e-21), 1.6956855320737799e-31);
  }
  return fast_sum(r.hi, r.lo);
}
/// The same as one number, within 0.6 of its last place, by less work where multiplication and addition are fused.
template <class F>
MX_INLINE Pair<F> less_half_pi_short(F x, F n) {
  if constexpr (!is_fused<F>) return less_half_pi(x, n);
  auto less = [&](double piece) { x = fnma(n, num<F>(0.5 * piece), x); };
  less(is_float32<F> ? 3.14159274101257324 : 3.1415926535897931);
  less(is_float32<F> ? -8.74227765734758577e-8 : 1.2246467991473532e-16);
  less(is_float32<F> ? -3.43024902e-15 : -2.9947698097183397e-33);
  return {x, num<F>(0)};
}

/// Sine and cosine of |x| less n quarter turns, and n in the lowest bits.
template <class F>
struct Turned {
  F sin, cos;
  typename F::I n;
};
template <class F>
MX_INLINE Turned<F> turned(F a) {
  F magic = num<F>(kWhole<F>), t = fma(a, num<F>(0.636619772367581343076), magic);
  auto [r, lo] = less_half_pi_short(a, t - magic);
  F z = r * r, s, c;
  if constexpr (is_float32<F>) {
    // Within 2^-27.8, 2^-32.9 of the result.
    s = horner(z, -0.000195078799, 0.00833210628, -0.166666538);
    c = horner(z, 2.44311977e-5, -0.00138873036, 0.0416666456, -0.5);
  } else {
    // 2^-57.8, 2^-63.8.
    s = horner(z, 1.5893465875455734e-10, -2.5050701068234031e-8, 2.7557313330097559e-6, -0.00019841269828771896, 0.0083333333333211277,
               -0.16666666666666627);
    c = horner(z, -1.1357274795089086e-11, 2.0875677013444565e-9, -2.7557314008394407e-7, 2.4801587288277327e-5, -0.0013888888888872169,
               0.041666666666666588, -0.5);
  }
  if constexpr (is_fused<F>) return {fma(z * s, r, r), fma(z, c, num<F>(1)), bits(t)};
  return {fma(z * s, r, lo) + r, fnma(r, lo, z * c) + num<F>(1), bits(t)};
}
template <class F>
MX_INLINE typename F::M is_odd(typename F::I n) {
  using I = typename F::I;
  return (n & I::of(1)) == I::of(1);
}
/// The second lowest bit of n as a sign.
template <class F>
MX_INLINE typename F::I turn_sign(typename F::I n) {
  return (n << (is_float32<F> ? 30 : 62)) & sign_mask<F>();
}

template <class F>
MX_INLINE F sin(F x) {
  F a = abs(x);
  auto [s, c, n] = turned(a);
  F y = flip(select(is_odd<F>(n), c, s), turn_sign<F>(n) ^ sign_of(x));
  return repair(a > num<F>(kTrigLimit<F>), x, y, rare::sin);
}

template <class F>
MX_INLINE F cos(F x) {
  F a = abs(x);
  auto [s, c, n] = turned(a);
  F y = flip(select(is_odd<F>(n), s, c), turn_sign<F>(n + F::I::of(1)));
  return repair(a > num<F>(kTrigLimit<F>), x, y, rare::cos);
}

/// Of the rest a polynomial (`tan`), for odd n minus its inverse.
template <class F>
MX_INLINE F tan(F x) {
  F a = abs(x), magic = num<F>(kWhole<F>), t = fma(a, num<F>(0.636619772367581343076), magic);
  auto [r, lo] = less_half_pi(a, t - magic);
  F z = r * r, p, one = num<F>(1);
  if constexpr (is_float32<F>) {
    // Within 2^-29.3, 2^-59.6 of the result.
    p = horner(z, 0.00447062403, -9.79590186e-5, 0.0109805074, 0.0212277081, 0.0540701821, 0.133325756, 0.333333522);
  } else {
    p = horner(z, 1.0022036165450737e-5, -2.5268166816172796e-5, 5.0625709439615138e-5, -2.7993973738542189e-5, 6.9067304852621765e-5,
               8.2558184324115695e-5, 0.00024413669830988753, 0.00058875816654907953, 0.0014560664701433312, 0.0035920980041174019,
               0.0088632381897222421, 0.021869488383448002, 0.053968253973451494, 0.13333333333324407, 0.33333333333333387);
  }
  // d tan = 1 + tan^2.
  F about = fma(z * p, r, r), y = r + fma(z * p, r, fma(about * about, lo, lo));
  auto odd = is_odd<F>(bits(t));
  y = flip(select(odd, one, y) / select(odd, y, one), ((bits(t) << (is_float32<F> ? 31 : 63)) ^ bits(x)) & sign_mask<F>());
  return repair(a > num<F>(kTrigLimit<F>), x, y, rare::tan);
}

/// pi / 2 less its nearest number.
template <class F>
constexpr double kHalfPiLow = is_float32<F> ? -4.37113882867378779e-8 : 6.1232339957367660e-17;

/// The angle of (x, y) for x, y >= 0. Angles near pi / 4 and pi / 2 are those of the point turned back by as much, so that
/// its tangent is at most tan(pi / 8).
template <class F>
MX_INLINE F first_quadrant(F y, F x) {
  auto steep = y > x * num<F>(2.41421356237309504880), middle = (y > x * num<F>(0.414213562373095048802)) & !steep;
  F top = select(steep, -x, select(middle, y - x, y)), bottom = select(steep, y, select(middle, y + x, x));
  F t = top / bottom, z = t * t, p;
  if constexpr (is_float32<F>) {
    // Within 2^-30.4, 2^-59.4 of the result (`atan`).
    p = horner(z, -0.0608947799, 0.105990209, -0.142443821, 0.199985281, -0.333333164);
  } else {
    p = horner(z, -0.017882426463989128, 0.038041266430142266, -0.050383577698978492, 0.058476713789700291, -0.06663072842815973,
               0.076920573384099786, -0.090908975872419112, 0.11111110777170605, -0.1428571428006257, 0.19999999999952181, -0.33333333333333193);
  }
  F turn = select(steep, num<F>(1.57079632679489661923), select(middle, num<F>(0.785398163397448309616), num<F>(0)));
  F rest = select(steep, num<F>(kHalfPiLow<F>), select(middle, num<F>(0.5 * kHalfPiLow<F>), num<F>(0)));
  return turn + (t + fma(z * p, t, rest));
}

template <class F>
MX_INLINE F arctan(F x) {
  return with_sign_of(first_quadrant(abs(x), num<F>(1)), x);
}

/// The angle of (x, y): 0 or pi at the origin, as if both were 1 where both are infinite.
template <class F>
MX_INLINE F arctan2(F y, F x) {
  F ay = abs(y), ax = abs(x), one = num<F>(1), zero = num<F>(0), inf = infinity<F>();
  // So that sums and products neither overflow nor lose their last bits.
  F large = max(ay, ax), by = select(large > num<F>(is_float32<F> ? 0x1p120 : 0x1p1000), num<F>(0.0625),
                                     select(large < num<F>(is_float32<F> ? 0x1p-80 : 0x1p-900), num<F>(is_float32<F> ? 0x1p40 : 0x1p100), one));
  auto same = (ay == ax) & ((ay == inf) | (ay == zero));
  F top = select(same, select(ay == zero, zero, one), ay * by), bottom = select(same, one, ax * by);
  // An infinite number beside a finite one: its angle is that of an axis.
  top = select((ay == inf) & (ax < inf), one, select((ax == inf) & (ay < inf), zero, top));
  bottom = select((ax == inf) & (ay < inf), one, select((ay == inf) & (ax < inf), zero, bottom));
  F angle = first_quadrant(top, bottom);
  angle = select(sign_of(x) == sign_mask<F>(), num<F>(3.14159265358979323846) - (angle - num<F>(2 * kHalfPiLow<F>)), angle);
  return select((y != y) | (x != x), y + x, with_sign_of(angle, y));
}

/// (arcsin(r) / r - 1) / r^2 from z = r^2 <= 1/4, within 2^-27.6, 2^-55.9 of arcsin(r) (`asin`).
template <class F>
MX_INLINE F arcsin_tail(F z) {
  if constexpr (is_float32<F>) {
    return horner(z, 0.0421583876, 0.0241847262, 0.0454691574, 0.0749530941, 0.166667521);
  } else {
    return horner(z, 0.031916918258429745, -0.016230687466753064, 0.019532131705934448, 0.0065266534193120333, 0.012169494758531114,
                  0.01388519604348437, 0.017359708347528389, 0.022371757842301856, 0.030381959144292654, 0.044642856828186722,
                  0.075000000003371411, 0.16666666666665408);
  }
}

/// The part of arcsin that a polynomial gives: r + tail, where r is |x|, or for |x| > 1/2 the sine of half the rest to pi / 2.
template <class F>
struct ArcsinParts {
  typename F::M large;
  F r, tail;
};
template <class F>
MX_INLINE ArcsinParts<F> arcsin_parts(F a) {
  auto large = a > num<F>(0.5);
  F z = select(large, fma(a, num<F>(-0.5), num<F>(0.5)), a * a), r = select(large, sqrt(z), a);
  return {large, r, r * (z * arcsin_tail(z))};
}

template <class F>
MX_INLINE F arcsin(F x) {
  auto [large, r, tail] = arcsin_parts(abs(x));
  F rest = num<F>(1.57079632679489661923) - fma(num<F>(2), r, fma(num<F>(2), tail, num<F>(-kHalfPiLow<F>)));
  return flip(select(large, rest, r + tail), sign_of(x));
}

template <class F>
MX_INLINE F arccos(F x) {
  auto [large, r, tail] = arcsin_parts(abs(x));
  auto negative = x < num<F>(0);
  F half_pi = num<F>(1.57079632679489661923), low = num<F>(kHalfPiLow<F>);
  F sum = r + tail, twice = sum + sum;
  F small = half_pi - (flip(r, sign_of(x)) + (flip(tail, sign_of(x)) - low));
  return select(large, select(negative, num<F>(3.14159265358979323846) - (twice - num<F>(2 * kHalfPiLow<F>)), twice), small);
}

}  // namespace mx::cpu::vector_math

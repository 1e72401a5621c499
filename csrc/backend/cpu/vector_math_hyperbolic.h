// vector_math_hyperbolic.h — hyperbolic functions and their inverses. Sums are arranged so that whatever cancels is exact.
#pragma once

#include "backend/cpu/vector_math_exp.h"
#include "backend/cpu/vector_math_log.h"

namespace mx::cpu::vector_math {

/// Near 0 an odd polynomial, else 1 - 2 / (e^(2|x|) + 1).
template <class F>
MX_INLINE F tanh(F x) {
  F one = num<F>(1), two = num<F>(2), a = abs(x), z = x * x, p;
  if constexpr (is_float32<F>) {
    // Within 2^-29.7, 2^-65 of the result (tests/tools/minimax.py: `tanh`).
    p = horner(z, -0.00624285312, 0.021050714, -0.0538475476, 0.133325443, -0.333333164);
  } else {
    p = horner(z, 7.2233768858472151e-6, -3.2568624076396989e-5, 9.3661616516431165e-5, -0.00023807943480322135, 0.00058979552866472761,
               -0.0014557989739007406, 0.0035921243269491031, -0.0088632352698640293, 0.021869488524522168, -0.0539682539679485,
               0.13333333333332931, -0.33333333333333331);
  }
  // From the limit on the result is 1.
  F c = min(num<F>(is_float32<F> ? 10 : 20), a), far = one - two / (exp_in_range(c + c) + one);
  return with_sign_of(select(a < num<F>(0.55), fma(a * z, p, a), far), x);
}

/// cosh(r) - 1 and sinh(r) - r for |r| <= 0.3475: with q = 2^(-2n), e^(n ln 2 + r) +- its reciprocal are 2^n times
/// cosh(r) (1 +- q) + sinh(r) (1 -+ q).
template <class F>
struct HyperbolicParts {
  F n, hi, lo, cosh, sinh, q;
};
template <class F>
MX_INLINE HyperbolicParts<F> hyperbolic_parts(F a) {
  // From the limit on both are infinite.
  auto [n, hi, lo] = exp_argument(min(num<F>(is_float32<F> ? 90 : 712), a));
  F r = hi - lo, z = r * r, c, s;
  if constexpr (is_float32<F>) {
    // Within 2^-33.2, 2^-26.1 of cosh(r) and sinh(r), so 2^-29 of the results.
    c = horner(z, 0.00139354845, 0.0416664593, 0.5);
    s = horner(z, 0.00836675428, 0.16666542);
  } else {
    // 2^-70, 2^-61.7.
    c = horner(z, 2.0921846571760825e-9, 2.7557251627283333e-7, 2.4801587349356334e-5, 0.0013888888888873244, 0.041666666666666685, 0.5);
    s = horner(z, 2.5109389539770109e-8, 2.7557243294628071e-6, 0.00019841269886928021, 0.0083333333333213619, 0.16666666666666677);
  }
  return {n, hi, lo, z * c, z * r * s, power_of_2(num<F>(-2) * min(num<F>(is_float32<F> ? 60 : 500), n))};
}

template <class F>
MX_INLINE F sinh(F x) {
  auto [n, hi, lo, c, s, q] = hyperbolic_parts(abs(x));
  F one = num<F>(1), less = one - q, more = one + q;
  return with_sign_of(scale(fma(more, hi, less) + fma(c, less, more * (s - lo)), n - one), x);
}

template <class F>
MX_INLINE F cosh(F x) {
  auto [n, hi, lo, c, s, q] = hyperbolic_parts(abs(x));
  F one = num<F>(1), less = one - q;
  return scale(fma(less, hi, one) + (q + fma(c, one + q, less * (s - lo))), n - one);
}

/// Near 0 an odd polynomial, else log(|x| + sqrt(x^2 + 1)) with the sum as a pair; for large |x| it is 2 |x|.
template <class F>
MX_INLINE F arcsinh(F x) {
  F a = abs(x), one = num<F>(1), z = a * a, p;
  if constexpr (is_float32<F>) {
    // Within 2^-33.9, 2^-66.5 of the result (`asinh`).
    p = horner(z, 0.00925595127, -0.0200492162, 0.0300335046, -0.044616092, 0.0749990717, -0.166666657);
  } else {
    p = horner(z, 0.00081179139184395536, -0.0027785640679649642, 0.0050238086737751028, -0.006827403221503596, 0.0082715503298074304,
               -0.0097405392171766546, 0.011549091840414466, -0.013964593390509322, 0.017352748104675113, -0.022372158364939224,
               0.030381944423544367, -0.044642857142500651, 0.07499999999999693, -0.16666666666666666);
  }
  F near = fma(a * z, p, a);
  auto large = a > num<F>(is_float32<F> ? 0x1p15 : 0x1p28);
  F b = select(large, one, a);
  Pair<F> square = exact_product(b, b), sum = exact_sum(one, square.hi);
  Pair<F> root = exact_root<F>({sum.hi, sum.lo + square.lo}), u = fast_sum(root.hi, b);
  F far = log_of_pair<F>({select(large, a, u.hi), select(large, num<F>(0), u.lo + root.lo)}, select(large, one, num<F>(0)));
  return with_sign_of(select(a < num<F>(0.5), near, select(a < infinity<F>(), far, a)), x);
}

/// Near 1 sqrt(2 t) times a polynomial in t = x - 1, else log(x + sqrt(x^2 - 1)) with the sum as a pair.
template <class F>
MX_INLINE F arccosh(F x) {
  F one = num<F>(1), t = x - one, p;
  if constexpr (is_float32<F>) {
    // Within 2^-33.9, 2^-64.5 of the result (`acosh`).
    p = horner(t, 0.000144635182, -0.000626549707, 0.00187709811, -0.00557701197, 0.0187497679, -0.0833333284);
  } else {
    p = horner(t, -1.6409989315962283e-7, 9.5046382616723904e-7, -3.07757297641092e-6, 7.9224326729153043e-6, -1.8959941560204535e-5,
               4.509483944201583e-5, -0.00010909453722361876, 0.00027113614188329835, -0.00069912989634611478, 0.001898871523228058,
               -0.0055803571426945135, 0.018749999999997068, -0.083333333333333315);
  }
  F r = sqrt(t + t), near = fma(r, t * p, r);
  auto large = x > num<F>(is_float32<F> ? 0x1p15 : 0x1p28);
  F b = select(large, num<F>(2), x);
  Pair<F> square = exact_product(b, b), sum = exact_sum(square.hi, -one);
  Pair<F> root = exact_root<F>({sum.hi, sum.lo + square.lo}), u = fast_sum(b, root.hi);
  F far = log_of_pair<F>({select(large, x, u.hi), select(large, num<F>(0), u.lo + root.lo)}, select(large, one, num<F>(0)));
  return select(x < num<F>(1.5), near, select(x < infinity<F>(), far, x));
}

/// log((1 + a) / (1 - a)) / 2 = e log(2) / 2 + artanh(s), where 2^e is near (1 + a) / (1 - a) and
/// s = (1 + a - 2^e (1 - a)) / (1 + a + 2^e (1 - a)).
template <class F>
MX_INLINE F arctanh(F x) {
  using I = typename F::I;
  F a = abs(x), one = num<F>(1), rest = one - a;
  F e = exponent<F>(bits(one + a) - bits(rest) + I::of(int64_t(1) << (kFraction<F> - 2)));
  auto close = e == num<F>(0);
  F k = power_of_2(min(num<F>(100), e)) * rest;
  Pair<F> sum = exact_sum(one, k), below = fast_sum(sum.hi, a);
  F top = select(close, a + a, (one - k) + a), bottom = select(close, num<F>(2), below.hi), s = top / bottom, z = s * s, p;
  // What the rounding of the denominator and of s took, where 1 / denominator is about 0.4.
  F rest_of_s = (residue(top, s, bottom) - s * select(close, num<F>(0), below.lo + sum.lo)) * num<F>(0.4);
  if constexpr (is_float32<F>) {
    // Within 2^-30.2, 2^-64.4 of the result (`atanh`).
    p = horner(z, 0.131073296, 0.141458318, 0.200037941, 0.333333015);
  } else {
    p = horner(z, 0.072732649142673841, 0.047367990947698078, 0.059422252345457331, 0.066625105157893411, 0.076924910689833648,
               0.09090903941584115, 0.11111111200298984, 0.14285714284828274, 0.20000000000004353, 0.33333333333333326);
  }
  F half_e = e * num<F>(0.5), y = fma(half_e, num<F>(kLn2<F>), s + (rest_of_s + fma(z * p, s, half_e * num<F>(kLn2Low<F>))));
  return with_sign_of(select(a < one, y, select(a == one, infinity<F>(), not_a_number<F>())), x);
}

}  // namespace mx::cpu::vector_math

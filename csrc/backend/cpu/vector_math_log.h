// vector_math_log.h — logarithms. A number is 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2). For float32 log(1 + f) is a
// polynomial in f; for float64 a shorter one in s = f / (2 + f), where log(1 + f) = 2 artanh(s).
#pragma once

#include "backend/cpu/vector_math_exp.h"

namespace mx::cpu::vector_math {

/// The high bits of i, from behind the fraction upwards, as a number.
template <class F>
MX_INLINE F exponent(typename F::I i) {
  using I = typename F::I;
  if constexpr (is_float32<F>) {
    return to_float(i >> kFraction<F>);
  } else {
    // Without an arithmetic shift, which AVX2 has not: made positive first.
    return to_float(shift_right(i + I::of(int64_t(1) << 62), kFraction<F>)) - num<F>(1 << 10);
  }
}

/// x = 2^e (1 + f), for x > 0 and finite; whole_e is e as it stands in the bits of a number.
template <class F>
struct LogArgument {
  F e, f;
  typename F::I whole_e;
};
template <class F>
MX_INLINE LogArgument<F> log_argument_normal(F x) {
  using I = typename F::I;
  // The bits of sqrt(1/2).
  I root = I::of(is_float32<F> ? 0x3f3504f3 : 0x3fe6a09e667f3bcd), above = bits(x) - root;
  I fraction = above & I::of((int64_t(1) << kFraction<F>) - 1);
  return {exponent<F>(above), as_float(fraction + root) - num<F>(1), above - fraction};
}
template <class F>
MX_INLINE LogArgument<F> log_argument(F x) {
  // Subnormal numbers are made normal first.
  auto small = x < num<F>(std::numeric_limits<Real<F>>::min());
  LogArgument<F> a = log_argument_normal(select(small, x * num<F>(is_float32<F> ? 0x1p25 : 0x1p54), x));
  a.e = select(small, a.e - num<F>(is_float32<F> ? 25 : 54), a.e);
  return a;
}

/// y = log(x) also where x is 0, negative, infinite or NaN.
template <class F>
MX_INLINE F log_limits(F x, F y) {
  F inf = infinity<F>();
  y = select(x < inf, y, x);
  return select(x > num<F>(0), y, select(x == num<F>(0), -inf, not_a_number<F>()));
}

/// log(1 + f) - f for 1 + f in [sqrt(1/2), sqrt(2)).
template <class F>
MX_INLINE F log_tail(F f) {
  if constexpr (is_float32<F>) {
    // Relative to log(1 + f) within 2^-27.3 (tests/tools/minimax.py: `log`).
    F p = horner(f, -0.0764365867, 0.127695546, -0.1316057, 0.142007053, -0.166232124, 0.200012654, -0.250008255, 0.333333313, -0.5);
    return p * (f * f);
  } else {
    // s (f^2 / 2 + R) - f^2 / 2, as in FreeBSD's e_log.c; R = s^2 times a polynomial within 2^-59.5 (`log_s`).
    F s = f / (num<F>(2) + f), z = s * s, half = num<F>(0.5) * f * f;
    F p = z * horner(z, 0.1479895920765493, 0.1531376945737121, 0.18183574493236102, 0.222221983946612, 0.28571428743941357,
                     0.3999999999940867, 0.66666666666667351);
    return s * (half + p) - half;
  }
}

/// e log(2) + log(1 + f) + more.
template <class F>
MX_INLINE F log_sum(F e, F f, F more) {
  return fma(e, num<F>(kLn2<F>), f + fma(e, num<F>(kLn2Low<F>), more));
}

/// Natural logarithm.
template <class F>
MX_INLINE F log(F x) {
  auto [e, f, whole_e] = log_argument(x);
  return log_limits(x, log_sum(e, f, log_tail(f)));
}

/// 2^-e; 0 for the largest e.
template <class F>
MX_INLINE F down(typename F::I whole_e) {
  return max(as_float(F::I::of(kOne<F>) - whole_e), num<F>(0));
}

/// log(hi + lo) + e log(2) for normal hi > 0.
template <class F>
MX_INLINE F log_of_pair(Pair<F> x, F more_e) {
  auto [e, f, whole_e] = log_argument_normal(x.hi);
  // lo / hi, nearly.
  F rest = x.lo * down<F>(whole_e) * fma(f, f - num<F>(1), num<F>(1));
  return log_sum(e + more_e, f, log_tail(f) + rest);
}

/// 1 + x = 2^e (1 + f) for normal 1 + x > 0, without the rounding of u = 1 + x: f = 2^-e x + (2^-e - 1).
template <class F>
MX_INLINE LogArgument<F> log1p_argument(F x, F u) {
  auto a = log_argument_normal(u);
  a.f = as_float(bits(x) - a.whole_e) + (down<F>(a.whole_e) - num<F>(1));
  return a;
}
template <class F>
MX_INLINE F log1p(F x) {
  F u = num<F>(1) + x;
  auto [e, f, whole_e] = log1p_argument(x, u);
  return with_sign_of(log_limits(u, log_sum(e, f, log_tail(f))), x);
}

/// (hi + lo) * (c + c_low) as a pair, where hi + lo = log(1 + f).
template <class F>
MX_INLINE Pair<F> log_times(F f, double c, double c_low) {
  Pair<F> log = fast_sum(f, log_tail(f)), product = exact_product(log.hi, num<F>(c));
  product.lo = product.lo + fma(log.lo, num<F>(c), log.hi * num<F>(c_low));
  return product;
}
template <class F>
MX_INLINE F log2(F x) {
  auto [e, f, whole_e] = log_argument(x);
  Pair<F> part = log_times(f, is_float32<F> ? 1.44269502162933350 : 1.44269504088896339, is_float32<F> ? 1.92596299112661747e-8 : 2.03552737409310331e-17);
  Pair<F> sum = fast_sum(e, part.hi);
  return log_limits(x, sum.hi + (sum.lo + part.lo));
}
template <class F>
MX_INLINE F log10(F x) {
  auto [e, f, whole_e] = log_argument(x);
  Pair<F> part = log_times(f, is_float32<F> ? 0.43429449200630188 : 0.434294481903251817, is_float32<F> ? -1.01030500522316836e-8 : 1.09831965021676511e-17);
  // log10(2) in two pieces, as ln 2 is.
  Pair<F> sum = fast_sum(e * num<F>(is_float32<F> ? 0.301025390625 : 0.30102999566588550806), part.hi);
  return log_limits(x, sum.hi + (sum.lo + fma(e, num<F>(is_float32<F> ? 4.6050389811952137e-6 : -1.9043128467164275e-12), part.lo)));
}

/// log(e^a + e^b) = max + log1p(e^-|a - b|); equal infinities by themselves.
template <class F>
MX_INLINE F logaddexp(F a, F b) {
  F small = exp_of_negative(-abs(select(a == b, num<F>(0), a - b))), large = max(a, b);
  auto [e, f, whole_e] = log1p_argument(small, num<F>(1) + small);
  // The logarithm may cancel the maximum: both are added up with their rounding errors.
  Pair<F> sum = exact_sum(large, e * num<F>(kLn2<F>)), more = exact_sum(sum.hi, f);
  F y = more.hi + (more.lo + (sum.lo + fma(e, num<F>(kLn2Low<F>), log_tail(f))));
  return select((a != a) | (b != b), a + b, select(abs(large) < infinity<F>(), y, large));
}

}  // namespace mx::cpu::vector_math

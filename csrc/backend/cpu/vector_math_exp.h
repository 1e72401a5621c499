// vector_math_exp.h — exponentials: exp, expm1, sigmoid. The argument is n ln 2 + r with a whole number n and
// |r| <= ln 2 / 2; e^r is a polynomial (tests/tools/minimax.py: `exp`, `expm1`), and n goes to the exponent.
#pragma once

#include "backend/cpu/vector_math_base.h"

namespace mx::cpu::vector_math {

/// x = n ln 2 + hi - lo, where hi has no error and lo is small.
template <class F>
struct ExpArgument {
  F n, hi, lo;
};
template <class F>
MX_INLINE ExpArgument<F> exp_argument(F x) {
  F magic = num<F>(kWhole<F>), n = fma(x, num<F>(1.44269504088896340736), magic) - magic;
  return {n, fnma(n, num<F>(kLn2<F>), x), n * num<F>(kLn2Low<F>)};
}

/// (e^r - 1 - r) / r^2 for |r| <= 0.3475; relative to e^r - 1 within 2^-28.8, 2^-63.6.
template <class F>
MX_INLINE F exp_tail(F r) {
  if constexpr (is_float32<F>) {
    return horner(r, 0.000198456881, 0.00139408873, 0.00833339058, 0.0416663587, 0.166666657, 0.5);
  } else {
    return horner(r, 1.5466549687385956e-10, 2.0922243771099634e-9, 2.50553659254978e-8, 2.7557252377263176e-7, 2.7557313174606556e-6,
                  2.4801587345891912e-5, 0.00019841269846149464, 0.0013888888888876209, 0.0083333333333316557, 0.041666666666666678,
                  0.16666666666666669, 0.5);
  }
}

/// e^x where nothing overflows, nor is so low that scale does not know the exponent: from kExpLow to kExpHigh.
template <class F>
MX_INLINE F exp_in_range(F x) {
  F magic = num<F>(kWhole<F>), one = num<F>(1), n = fma(x, num<F>(1.44269504088896340736), magic) - magic;
  F r = fnma(n, num<F>(kLn2Low<F>), fnma(n, num<F>(kLn2<F>), x)), p;
  if constexpr (is_float32<F>) {
    // Relative to e^r within 2^-28.2, 2^-63.2.
    p = horner(r, 0.00138404348, 0.00836935453, 0.0416680835, 0.166665152, 0.49999994);
  } else {
    p = horner(r, 2.1023845996172844e-9, 2.5116123421064195e-8, 2.7556949590589045e-7, 2.7557222628339317e-6, 2.4801587660056141e-5,
               0.00019841269909140385, 0.0013888888888744795, 0.0083333333333116821, 0.041666666666666859, 0.16666666666666691, 0.5);
  }
  // The same sum; which way rounds less depends on what a multiplication and an addition are.
  return scale(is_fused<F> ? fma(fma(p, r, one), r, one) : fma(r * r, p, r) + one, n);
}

/// From here on e^x is 0, from there on infinite.
template <class F>
constexpr double kExpLow = is_float32<F> ? -104.5 : -746;
template <class F>
constexpr double kExpHigh = is_float32<F> ? 89 : 710;

/// e^x.
template <class F>
MX_INLINE F exp(F x) {
  return exp_in_range(min(num<F>(kExpHigh<F>), max(num<F>(kExpLow<F>), x)));
}

/// e^x for x <= 0 (and NaN).
template <class F>
MX_INLINE F exp_of_negative(F x) {
  return exp_in_range(max(num<F>(kExpLow<F>), x));
}

/// e^x - 1 = 2^n (r + (r^2 tail - lo) + (1 - 2^-n)): whatever cancels is exact.
template <class F>
MX_INLINE F expm1(F x) {
  F one = num<F>(1), c = min(num<F>(kExpHigh<F>), max(num<F>(is_float32<F> ? -18 : -40), x));
  auto [n, hi, lo] = exp_argument(c);
  F r = hi - lo, tail = fma(r * r, exp_tail(r), -lo);
  // Large powers: what is less than the last place may be anything small.
  F less = one - power_of_2(max(num<F>(is_float32<F> ? -100 : -1000), -n));
  F y = scale((less + hi) + tail, n);
  // Signed zeros and subnormal numbers are their own.
  return select(abs(x) < num<F>(is_float32<F> ? 0x1p-30 : 0x1p-60), x, y);
}

/// 1 / (1 + e^-x), from e^-|x|, which cannot overflow.
template <class F>
MX_INLINE F sigmoid(F x) {
  F one = num<F>(1), e = exp_of_negative(-abs(x)), below = one + e, y = select(x < num<F>(0), e, one) / below;
  // Less what the rounding of the denominator added; one over it is y or 1 - y.
  return fnma(y * (e - (below - one)), max(y, one - y), y);
}

}  // namespace mx::cpu::vector_math

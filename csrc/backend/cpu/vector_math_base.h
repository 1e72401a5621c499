// vector_math_base.h — what the functions of vector_math*.h share: polynomials, sums and products with their rounding
// errors, signs. Everything here and there is a template over a lane type (lanes.h) and has no includes of the library, so that
// it may stand behind a target pragma.
#pragma once

#include "backend/cpu/lanes.h"

namespace mx::cpu::vector_math {

template <class F>
using Real = typename F::R;
template <class F>
constexpr bool is_float32 = sizeof(typename F::R) == 4;
/// Whether fma rounds once.
template <class F>
constexpr bool is_fused = !requires { F::unfused; };

/// The constant of F's type nearest to x.
template <class F>
MX_INLINE F num(double x) {
  return F::of(static_cast<Real<F>>(x));
}

/// c[0] x^(n-1) + ... + c[n-1], by Horner's rule.
template <class F, class... C>
MX_INLINE F horner(F x, double first, C... rest) {
  F y = num<F>(first);
  ((y = fma(y, x, num<F>(rest))), ...);
  return y;
}

/// The sign bit alone, and numbers with other signs.
template <class F>
MX_INLINE typename F::I sign_mask() {
  return F::I::of(is_float32<F> ? int64_t(1) << 31 : std::numeric_limits<int64_t>::min());
}
template <class F>
MX_INLINE typename F::I sign_of(F x) {
  return bits(x) & sign_mask<F>();
}
template <class F>
MX_INLINE F flip(F x, typename F::I sign) {
  return as_float(bits(x) ^ sign);
}
/// x, positive, with the sign of `from`.
template <class F>
MX_INLINE F with_sign_of(F x, F from) {
  return as_float(bits(x) | sign_of(from));
}

template <class F>
MX_INLINE F infinity() {
  return F::of(std::numeric_limits<Real<F>>::infinity());
}
template <class F>
MX_INLINE F not_a_number() {
  return F::of(std::numeric_limits<Real<F>>::quiet_NaN());
}

/// x + kWhole holds x rounded to a whole number, in its lowest bits too (|x| < 2^21; float64: 2^51).
template <class F>
constexpr double kWhole = is_float32<F> ? 0x1.8p23 : 0x1.8p52;

/// Bits behind the point, and the exponent of 1.
template <class F>
constexpr int kFraction = is_float32<F> ? 23 : 52;
template <class F>
constexpr int64_t kOne = is_float32<F> ? 0x3f800000 : 0x3ff0000000000000;

/// A number as the sum of two, the second less than the rounding error of the first.
template <class F>
struct Pair {
  F hi, lo;
};
/// a + b where |a| >= |b| or a is 0.
template <class F>
MX_INLINE Pair<F> fast_sum(F a, F b) {
  F s = a + b;
  return {s, b - (s - a)};
}
/// a + b. D. E. Knuth, The Art of Computer Programming 2, 4.2.2.
template <class F>
MX_INLINE Pair<F> exact_sum(F a, F b) {
  F s = a + b, t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}
/// a * b. Without fused multiply-add by halves: T. J. Dekker, Numerische Mathematik 18 (1971).
template <class F>
MX_INLINE Pair<F> exact_product(F a, F b) {
  F p = a * b;
  if constexpr (is_fused<F>) {
    return {p, fma(a, b, -p)};
  } else {
    auto high = [](F x) { return as_float(bits(x) & F::I::of(is_float32<F> ? -(int64_t(1) << 12) : -(int64_t(1) << 27))); };
    F ah = high(a), al = a - ah, bh = high(b), bl = b - bh;
    return {p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)};
  }
}

/// a - b * c where b * c is near a.
template <class F>
MX_INLINE F residue(F a, F b, F c) {
  if constexpr (is_fused<F>) {
    return fnma(b, c, a);
  } else {
    Pair<F> p = exact_product(b, c);
    return (a - p.hi) - p.lo;
  }
}
/// The square root of a pair.
template <class F>
MX_INLINE Pair<F> exact_root(Pair<F> a) {
  F r = sqrt(a.hi);
  return {r, (residue(a.hi, r, r) + a.lo) * (num<F>(0.5) / r)};
}

// ln 2 in two pieces, the first so short that its product with an exponent is exact.
template <class F>
constexpr double kLn2 = is_float32<F> ? 0.693359375 : 0.69314718060195446014;
template <class F>
constexpr double kLn2Low = is_float32<F> ? -2.12194440054690583e-4 : -4.2009150726810847292e-11;

/// 2^n for a whole number n in the range of normal numbers.
template <class F>
MX_INLINE F power_of_2(F n) {
  return as_float((to_int(n) << kFraction<F>) + F::I::of(kOne<F>));
}

}  // namespace mx::cpu::vector_math

// binary.h — one function per row of ops/binary.def: the value for two elements of one type T.
//
// Integer arithmetic wraps. Nothing traps: an integer division or remainder by 0 gives 0, the smallest integer
// divided by -1 wraps to itself, and shifts by the width or more push everything out.
#pragma once

#include "scalar/complex.h"

namespace mx::scalar {

namespace binary_detail {

template <class T> MX_FN T add(T a, T b, Integer) { return T(Wrap<T>(a) + Wrap<T>(b)); }
template <class T> MX_FN T add(T a, T b, Real) { return a + b; }
template <class T> MX_FN T add(T a, T b, ComplexNumber) { return a + b; }
template <class T> MX_FN T subtract(T a, T b, Integer) { return T(Wrap<T>(a) - Wrap<T>(b)); }
template <class T> MX_FN T subtract(T a, T b, Real) { return a - b; }
template <class T> MX_FN T subtract(T a, T b, ComplexNumber) { return a - b; }
template <class T> MX_FN T multiply(T a, T b, Integer) { return T(Wrap<T>(a) * Wrap<T>(b)); }
template <class T> MX_FN T multiply(T a, T b, Real) { return a * b; }
template <class T> MX_FN T multiply(T a, T b, ComplexNumber) { return a * b; }

template <class T> MX_FN T strong_zero_multiply(T a, T b, Real) { return a != T(0) && b != T(0) ? a * b : T(0); }
/// A factor that is real or imaginary multiplies as such: its zero part makes no NaN of an infinite partner.
template <class R> MX_FN Complex<R> strong_zero_multiply(Complex<R> a, Complex<R> b, ComplexNumber) {
  R rr = strong_zero_multiply(a.re, b.re, Real()), ii = strong_zero_multiply(a.im, b.im, Real());
  R ri = strong_zero_multiply(a.re, b.im, Real()), ir = strong_zero_multiply(a.im, b.re, Real());
  return make_complex(rr - ii, ri + ir);
}

template <class T> MX_FN T divide(T a, T b, Real) { return a / b; }
template <class R> MX_FN Complex<R> divide(Complex<R> a, Complex<R> b, ComplexNumber) {
  return complex_cast<R>(complex_detail::divide(widen(a), widen(b)));
}

template <class T> MX_FN T floor_divide(T a, T b, Integer) {
  bool negates = T(-1) < T(0) && b == T(-1);
#ifndef __METAL_VERSION__
  if constexpr (sizeof(T) <= 4) {
    // A double quotient of 32-bit integers never rounds up to a whole number; and vector units divide doubles.
    double q = std::floor(static_cast<double>(a) / static_cast<double>(b == T(0) || negates ? T(1) : b));
    return negates ? T(Wrap<T>(0) - Wrap<T>(a)) : b == T(0) ? T(0) : static_cast<T>(q);
  }
#endif
  if (b == T(0)) return T(0);
  if (negates) return T(Wrap<T>(0) - Wrap<T>(a));
  T q = T(a / b), r = T(a % b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? T(q - T(1)) : q;
}
template <class T> MX_FN T remainder(T a, T b, Integer) {
  if (sizeof(T) <= 4) return b == T(0) ? T(0) : T(Wrap<T>(a) - Wrap<T>(floor_divide(a, b, Integer())) * Wrap<T>(b));
  if (b == T(0) || (T(-1) < T(0) && b == T(-1))) return T(0);
  T r = T(a % b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? T(r + b) : r;
}

/// The remainder with the sign of b; a zero has b's sign. x mod ±inf is x, or ±inf if the signs differ; x mod 0 NaN.
template <class T> MX_FN T remainder(T a, T b, Real) {
  T r = fmod(a, b);
  if (r == T(0)) return m::copysign(r, b);
  return (r < T(0)) != (b < T(0)) ? r + b : r;
}
/// floor(a / b) without the rounding of a / b: whole numbers of b are found first. a / 0 and ±inf / b as in divide.
template <class T> MX_FN T floor_divide(T a, T b, Real) {
  if (b == T(0) || m::fabs(a) == infinity<T>()) return a / b;
  T r = fmod(a, b), q = (a - r) / b;
  if (r != T(0) && (r < T(0)) != (b < T(0))) q -= T(1);
  if (q == T(0)) return m::copysign(T(0), a / b);
  return m::rint(q);
}

/// By squaring, modulo 2^width. A negative exponent gives the inverse rounded towards 0: 0 unless |a| is 1.
template <class T> MX_FN T power(T a, T b, Integer) {
  if (b < T(0)) {
    if (a == T(1)) return a;
    return T(-1) < T(0) && a == T(-1) ? (b & T(1) ? a : T(1)) : T(0);
  }
  Wrap<T> y = 1, square = Wrap<T>(a), n = Wrap<T>(b);
  for (; n; n >>= 1) {
    if (n & 1) y *= square;
    square *= square;
  }
  return T(y);
}
template <class T> MX_FN T power(T a, T b, Real) { return m::pow(a, b); }
template <class R> MX_FN Complex<R> power(Complex<R> a, Complex<R> b, ComplexNumber) {
  return complex_cast<R>(complex_detail::power(widen(a), widen(b)));
}

/// max + log(1 + exp(-|a - b|)); equal infinities by themselves. 2 ulp of the larger of |a|, |b| and the result.
template <class T> MX_FN T logaddexp(T a, T b, Real) {
  T d = a - b;
  if (a == b) return a + T(0.69314718055994530942);
  if (d > T(0)) return a + m::log1p(m::exp(-d));
  if (d <= T(0)) return b + m::log1p(m::exp(d));
  return d;
}
template <class R> MX_FN Complex<R> logaddexp(Complex<R> a, Complex<R> b, ComplexNumber) {
  return complex_cast<R>(complex_detail::logaddexp(widen(a), widen(b)));
}

/// Scaled by the larger one, so that the squares neither overflow nor vanish; infinite if either is. 2 ulp.
template <class T> MX_FN T hypot(T a, T b) {
  a = m::fabs(a);
  b = m::fabs(b);
  T large = a > b ? a : b, small = a > b ? b : a;
  if (a == infinity<T>() || b == infinity<T>()) return infinity<T>();
  if (large == T(0)) return large + small;  // 0, or NaN
  T ratio = small / large;
  return large * m::sqrt(T(1) + ratio * ratio);
}

template <class T> MX_FN T maximum(T a, T b, Integer) { return a > b ? a : b; }
template <class T> MX_FN T maximum(T a, T b, Real) { return a > b || a != a ? a : b; }
template <class T> MX_FN T maximum(T a, T b, ComplexNumber) { return a > b || has_nan(a) ? a : b; }
template <class T> MX_FN T minimum(T a, T b, Integer) { return a < b ? a : b; }
template <class T> MX_FN T minimum(T a, T b, Real) { return a < b || a != a ? a : b; }
template <class T> MX_FN T minimum(T a, T b, ComplexNumber) { return a < b || has_nan(a) ? a : b; }

template <class T> MX_FN bool shift_in_range(T b) { return b >= T(0) && b < T(8 * sizeof(T)); }

}  // namespace binary_detail

template <class T> MX_FN T add(T a, T b) { return binary_detail::add(a, b, category<T>()); }
template <class T> MX_FN T subtract(T a, T b) { return binary_detail::subtract(a, b, category<T>()); }
template <class T> MX_FN T multiply(T a, T b) { return binary_detail::multiply(a, b, category<T>()); }
template <class T> MX_FN T strong_zero_multiply(T a, T b) { return binary_detail::strong_zero_multiply(a, b, category<T>()); }
template <class T> MX_FN T divide(T a, T b) { return binary_detail::divide(a, b, category<T>()); }
template <class T> MX_FN T floor_divide(T a, T b) { return binary_detail::floor_divide(a, b, category<T>()); }
template <class T> MX_FN T remainder(T a, T b) { return binary_detail::remainder(a, b, category<T>()); }
template <class T> MX_FN T power(T a, T b) { return binary_detail::power(a, b, category<T>()); }
template <class T> MX_FN T arctan2(T a, T b) { return m::atan2(a, b); }
template <class T> MX_FN T hypot(T a, T b) { return binary_detail::hypot(a, b); }
template <class T> MX_FN T copysign(T a, T b) { return m::copysign(a, b); }
template <class T> MX_FN T logaddexp(T a, T b) { return binary_detail::logaddexp(a, b, category<T>()); }
template <class T> MX_FN T maximum(T a, T b) { return binary_detail::maximum(a, b, category<T>()); }
template <class T> MX_FN T minimum(T a, T b) { return binary_detail::minimum(a, b, category<T>()); }

// bool: + is or, - is exclusive or, * is and.
MX_FN bool add(bool a, bool b) { return a || b; }
MX_FN bool subtract(bool a, bool b) { return a != b; }
MX_FN bool multiply(bool a, bool b) { return a && b; }
MX_FN bool floor_divide(bool a, bool b) { return a && b; }
MX_FN bool remainder(bool, bool) { return false; }
MX_FN bool power(bool a, bool b) { return a || !b; }
MX_FN bool maximum(bool a, bool b) { return a || b; }
MX_FN bool minimum(bool a, bool b) { return a && b; }

template <class T> MX_FN bool equal(T a, T b) { return a == b; }
template <class T> MX_FN bool not_equal(T a, T b) { return a != b; }
template <class T> MX_FN bool less(T a, T b) { return a < b; }
template <class T> MX_FN bool less_equal(T a, T b) { return a <= b; }
template <class T> MX_FN bool greater(T a, T b) { return a > b; }
template <class T> MX_FN bool greater_equal(T a, T b) { return a >= b; }
MX_FN bool logical_and(bool a, bool b) { return a && b; }
MX_FN bool logical_or(bool a, bool b) { return a || b; }
MX_FN bool logical_xor(bool a, bool b) { return a != b; }

template <class T> MX_FN T bitwise_and(T a, T b) { return T(a & b); }
template <class T> MX_FN T bitwise_or(T a, T b) { return T(a | b); }
template <class T> MX_FN T bitwise_xor(T a, T b) { return T(a ^ b); }
template <class T> MX_FN T left_shift(T a, T b) {
  return binary_detail::shift_in_range(b) ? T(Wrap<T>(a) << Wrap<T>(b)) : T(0);
}
template <class T> MX_FN T right_shift(T a, T b) {
  return binary_detail::shift_in_range(b) ? T(a >> b) : a < T(0) ? T(-1) : T(0);
}

}  // namespace mx::scalar

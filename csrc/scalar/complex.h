// complex.h — complex numbers for C++ and Metal: arithmetic first, then functions.
//
// Complex<float> has the memory layout of complex64. Functions of a Complex<float> are computed in Complex<Wide<float>>
// (double on the host) by the formulas below, which keeps them within an ulp or two and away from overflow. Values at
// infinities and on branch cuts follow C99 Annex G where the formulas allow: cuts are continuous from the side of
// the sign of zero.
#pragma once

#include "scalar/math.h"

namespace mx::scalar {

template <class R>
struct Complex {
  R re, im;
};

template <class R> MX_FN Complex<R> make_complex(R re, R im) { Complex<R> z = {re, im}; return z; }
template <class S, class R> MX_FN Complex<S> complex_cast(Complex<R> z) { return make_complex<S>(S(z.re), S(z.im)); }
template <class R> MX_FN Complex<Wide<R>> widen(Complex<R> z) { return complex_cast<Wide<R>>(z); }

template <class R> MX_FN Complex<R> operator-(Complex<R> z) { return make_complex(-z.re, -z.im); }
template <class R> MX_FN Complex<R> operator+(Complex<R> a, Complex<R> b) { return make_complex(a.re + b.re, a.im + b.im); }
template <class R> MX_FN Complex<R> operator-(Complex<R> a, Complex<R> b) { return make_complex(a.re - b.re, a.im - b.im); }
template <class R> MX_FN Complex<R> operator*(Complex<R> a, Complex<R> b) {
  return make_complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}
template <class R> MX_FN Complex<R> operator*(Complex<R> z, R s) { return make_complex(z.re * s, z.im * s); }
template <class R> MX_FN bool operator==(Complex<R> a, Complex<R> b) { return a.re == b.re && a.im == b.im; }
template <class R> MX_FN bool operator!=(Complex<R> a, Complex<R> b) { return !(a == b); }
// In order of real, then imaginary part. NaN anywhere makes every comparison false.
template <class R> MX_FN bool has_nan(Complex<R> z) { return is_nan(z.re) || is_nan(z.im); }
template <class R> MX_FN bool operator<(Complex<R> a, Complex<R> b) {
  return !has_nan(a) && !has_nan(b) && (a.re < b.re || (a.re == b.re && a.im < b.im));
}
template <class R> MX_FN bool operator>(Complex<R> a, Complex<R> b) { return b < a; }
template <class R> MX_FN bool operator<=(Complex<R> a, Complex<R> b) { return a < b || a == b; }
template <class R> MX_FN bool operator>=(Complex<R> a, Complex<R> b) { return b <= a; }

namespace complex_detail {

template <class R>
MX_FN bool infinite(Complex<R> z) {
  return m::fabs(z.re) == infinity<R>() || m::fabs(z.im) == infinity<R>();
}

/// Magnitude without overflow in between; infinite if either part is.
template <class R>
MX_FN R modulus(Complex<R> z) {
  R a = m::fabs(z.re), b = m::fabs(z.im);
  if (infinite(z)) return infinity<R>();
  R big = a > b ? a : b, small = a > b ? b : a;
  if (is_nan(a) || is_nan(b)) return not_a_number<R>();
  if (big == R(0)) return R(0);
  R q = small / big;
  return big * m::sqrt(R(1) + q * q);
}

/// Smith's division (Communications of the ACM 5, 1962, algorithm 116), with the limits of Annex G.5.1.
template <class R>
MX_FN Complex<R> divide(Complex<R> a, Complex<R> b) {
  if (b.re == R(0) && b.im == R(0)) return make_complex(a.re / m::fabs(b.re), a.im / m::fabs(b.re));
  if (infinite(b) && is_finite(a.re) && is_finite(a.im)) return make_complex(R(0), R(0));
  if (m::fabs(b.re) >= m::fabs(b.im)) {
    R r = b.im / b.re, d = b.re + b.im * r;
    return make_complex((a.re + a.im * r) / d, (a.im - a.re * r) / d);
  }
  R r = b.re / b.im, d = b.re * r + b.im;
  return make_complex((a.re * r + a.im) / d, (a.im * r - a.re) / d);
}

/// 1 / z, its zeros signed as those of the conjugate.
template <class R>
MX_FN Complex<R> reciprocal(Complex<R> z) {
  if (z.re == R(0) && z.im == R(0)) return make_complex(R(1) / m::fabs(z.re), not_a_number<R>());
  if (infinite(z)) return make_complex(m::copysign(R(0), z.re), m::copysign(R(0), -z.im));
  if (m::fabs(z.re) >= m::fabs(z.im)) {
    R r = z.im / z.re, d = z.re + z.im * r;
    return make_complex(R(1) / d, -r / d);
  }
  R r = z.re / z.im, d = z.re * r + z.im;
  return make_complex(r / d, R(-1) / d);
}

/// r e^{i t}, where an infinite or zero r times an exact 0 stays 0.
template <class R>
MX_FN Complex<R> polar(R r, R t) {
  if (t == R(0)) return make_complex(r, t);
  if (r == R(0) && !is_finite(t)) return make_complex(R(0), R(0));
  if (r == infinity<R>() && !is_finite(t)) return make_complex(r, not_a_number<R>());
  return make_complex(r * m::cos(t), r * m::sin(t));
}

// A finite number has no direction at an angle that is not finite: exp, sinh, ... of it are NaN.
template <class R> MX_FN bool no_direction(Complex<R> z) { return is_finite(z.re) && !is_finite(z.im); }
template <class R> MX_FN Complex<R> both_nan() { return make_complex(not_a_number<R>(), not_a_number<R>()); }

template <class R>
MX_FN Complex<R> exp(Complex<R> z) {
  if (no_direction(z)) return both_nan<R>();
  return polar(m::exp(z.re), z.im);
}

template <class R>
MX_FN Complex<R> expm1(Complex<R> z) {
  if (z.im == R(0)) return make_complex(m::expm1(z.re), z.im);
  if (no_direction(z)) return both_nan<R>();
  if (!is_finite(z.im)) {
    return z.re == -infinity<R>() ? make_complex(R(-1), R(0)) : make_complex(z.re, not_a_number<R>());
  }
  R s = m::sin(z.im / R(2));
  R re = m::expm1(z.re) * m::cos(z.im) - R(2) * s * s;
  return make_complex(re, m::exp(z.re) * m::sin(z.im));
}

template <class R>
MX_FN Complex<R> log(Complex<R> z) {
  R a = m::fabs(z.re), b = m::fabs(z.im), big = a > b ? a : b, small = a > b ? b : a;
  R re;
  if (R(0.5) < big && big < R(2)) {
    re = R(0.5) * m::log1p((big - R(1)) * (big + R(1)) + small * small);  // near |z| = 1
  } else {
    re = m::log(modulus(z));
  }
  return make_complex(re, m::atan2(z.im, z.re));
}

template <class R>
MX_FN Complex<R> log1p(Complex<R> z) {
  R a = m::fabs(z.re), b = m::fabs(z.im);
  if (a < R(0.5) && b < R(0.5)) {
    return make_complex(R(0.5) * m::log1p(z.re * (R(2) + z.re) + z.im * z.im), m::atan2(z.im, R(1) + z.re));
  }
  return complex_detail::log(make_complex(R(1) + z.re, z.im));
}

/// W. Kahan, "Branch cuts for complex elementary functions" (1987): the real part is never negative.
template <class R>
MX_FN Complex<R> sqrt(Complex<R> z) {
  if (z.re == R(0) && z.im == R(0)) return make_complex(R(0), z.im);
  if (m::fabs(z.im) == infinity<R>()) return make_complex(infinity<R>(), z.im);
  if (is_nan(z.re)) return make_complex(z.re, z.re);
  if (m::fabs(z.re) == infinity<R>()) {
    R other = is_nan(z.im) ? z.im : R(0);
    if (z.re > R(0)) return make_complex(z.re, is_nan(z.im) ? z.im : m::copysign(R(0), z.im));
    return make_complex(other, is_nan(z.im) ? z.re : m::copysign(infinity<R>(), z.im));
  }
  R t = m::sqrt((m::fabs(z.re) + modulus(z)) / R(2));
  if (z.re >= R(0)) return make_complex(t, z.im / (R(2) * t));
  return make_complex(m::fabs(z.im) / (R(2) * t), m::copysign(t, z.im));
}

// An infinite real part stays infinite at any angle; a zero one gives a zero, with the sign of the product.
template <class R>
MX_FN Complex<R> sinh(Complex<R> z) {
  if (z.im == R(0)) return make_complex(m::sinh(z.re), z.im);
  if (!is_finite(z.im) && !is_finite(z.re)) return make_complex(z.re, not_a_number<R>());
  if (z.re == R(0)) return make_complex(is_finite(z.im) ? z.re * m::cos(z.im) : z.re, m::sin(z.im));
  return make_complex(m::sinh(z.re) * m::cos(z.im), m::cosh(z.re) * m::sin(z.im));
}
template <class R>
MX_FN Complex<R> cosh(Complex<R> z) {
  if (z.im == R(0)) return make_complex(m::cosh(z.re), m::copysign(R(1), z.re) * z.im);
  if (!is_finite(z.im) && !is_finite(z.re)) return make_complex(m::fabs(z.re), not_a_number<R>());
  if (z.re == R(0)) return make_complex(m::cos(z.im), is_finite(z.im) ? z.re * m::sin(z.im) : R(0));
  return make_complex(m::cosh(z.re) * m::cos(z.im), m::sinh(z.re) * m::sin(z.im));
}
/// As Kahan: with t = tan(im), s = sinh(re): (s sqrt(1+s²)(1+t²) + i t) / (1 + s²(1+t²)).
template <class R>
MX_FN Complex<R> tanh(Complex<R> z) {
  if (z.im == R(0)) return make_complex(m::tanh(z.re), z.im);
  if (no_direction(z)) return make_complex(z.re == R(0) ? z.re : not_a_number<R>(), not_a_number<R>());
  if (m::fabs(z.re) > R(40)) {
    R s = is_finite(z.im) ? m::sin(R(2) * z.im) : R(0);
    return make_complex(m::copysign(R(1), z.re), R(2) * m::exp(R(-2) * m::fabs(z.re)) * s);
  }
  R t = m::tan(z.im), s = m::sinh(z.re), b = R(1) + t * t, r = m::sqrt(R(1) + s * s);
  R d = R(1) + b * s * s;
  return make_complex(b * r * s / d, t / d);
}

// With i z = (-im, re): sin z = -i sinh(i z), cos z = cosh(i z), tan z = -i tanh(i z), and so on.
template <class R> MX_FN Complex<R> times_i(Complex<R> z) { return make_complex(-z.im, z.re); }
template <class R> MX_FN Complex<R> over_i(Complex<R> z) { return make_complex(z.im, -z.re); }
template <class R> MX_FN Complex<R> sin(Complex<R> z) { return over_i(complex_detail::sinh(times_i(z))); }
template <class R> MX_FN Complex<R> cos(Complex<R> z) { return complex_detail::cosh(times_i(z)); }
template <class R> MX_FN Complex<R> tan(Complex<R> z) { return over_i(complex_detail::tanh(times_i(z))); }

// Kahan's formulas for the inverses: products of square roots keep the cuts right and lose no digits.
template <class R>
MX_FN Complex<R> arcsin(Complex<R> z) {
  if (infinite(z)) return make_complex(m::atan2(z.re, m::fabs(z.im)), m::copysign(infinity<R>(), z.im));
  if (z.re == R(0) && is_nan(z.im)) return z;
  Complex<R> p = complex_detail::sqrt(make_complex(R(1) - z.re, -z.im)), q = complex_detail::sqrt(make_complex(R(1) + z.re, z.im));
  R im = m::asinh(p.re * q.im - p.im * q.re);
  return make_complex(m::atan2(z.re, p.re * q.re - p.im * q.im), is_nan(im) ? im : m::copysign(im, z.im));
}
template <class R>
MX_FN Complex<R> arccos(Complex<R> z) {
  if (infinite(z)) return make_complex(m::atan2(m::fabs(z.im), z.re), m::copysign(infinity<R>(), -z.im));
  if (z.re == R(0) && is_nan(z.im)) return make_complex(R(1.57079632679489661923), z.im);
  Complex<R> p = complex_detail::sqrt(make_complex(R(1) - z.re, -z.im)), q = complex_detail::sqrt(make_complex(R(1) + z.re, z.im));
  return make_complex(R(2) * m::atan2(p.re, q.re), m::asinh(q.re * p.im - q.im * p.re));
}
template <class R>
MX_FN Complex<R> arccosh(Complex<R> z) {
  if (infinite(z)) return make_complex(infinity<R>(), m::atan2(z.im, z.re));
  if (z.re == R(0) && is_nan(z.im)) return make_complex(z.im, R(1.57079632679489661923));
  Complex<R> p = complex_detail::sqrt(make_complex(z.re - R(1), z.im)), q = complex_detail::sqrt(make_complex(z.re + R(1), z.im));
  return make_complex(m::asinh(p.re * q.re + p.im * q.im), R(2) * m::atan2(p.im, q.re));
}
/// atanh z = ¼ log(((1+x)² + y²) / ((1-x)² + y²)) + i/2 atan2(2y, (1-x)(1+x) - y²).
template <class R>
MX_FN Complex<R> arctanh(Complex<R> z) {
  R x = z.re, y = z.im, half_pi = R(1.57079632679489661923);
  R big = m::fabs(x) > m::fabs(y) ? m::fabs(x) : m::fabs(y);
  if (is_nan(y)) return x == R(0) || m::fabs(x) == infinity<R>() ? make_complex(m::copysign(R(0), x), y) : make_complex(y, y);
  if (is_nan(x)) return m::fabs(y) == infinity<R>() ? make_complex(R(0), m::copysign(half_pi, y)) : make_complex(x, x);
  if (big > R(1e18)) {
    // Far out: Re(1/z) and a right angle.
    Complex<R> w = complex_detail::divide(make_complex(R(1), R(0)), z);
    R re = is_nan(w.re) ? R(0) : w.re;
    return make_complex(m::copysign(m::fabs(re), x), m::copysign(half_pi, y));
  }
  R d = (R(1) - x) * (R(1) - x) + y * y;
  R below = (R(1) - m::fabs(x)) * (R(1) - m::fabs(x)) + y * y, re;
  if (below > R(1e-30)) {
    re = R(0.25) * m::log1p(R(4) * m::fabs(x) / below);
  } else {
    // So near to a pole that squares vanish in float.
    re = R(0.5) * (R(0.693147180559945309417) - m::log(modulus(make_complex(R(1) - m::fabs(x), y))));
  }
  R im = R(0.5) * m::atan2(R(2) * y, (R(1) - x) * (R(1) + x) - y * y);
  return make_complex(d == R(0) && y == R(0) ? m::copysign(infinity<R>(), x) : m::copysign(re, x), im);
}
template <class R> MX_FN Complex<R> arcsinh(Complex<R> z) { return over_i(complex_detail::arcsin(times_i(z))); }
template <class R> MX_FN Complex<R> arctan(Complex<R> z) { return over_i(complex_detail::arctanh(times_i(z))); }

/// 1 / (1 + e^-z), written so that the exponential never overflows.
template <class R>
MX_FN Complex<R> sigmoid(Complex<R> z) {
  Complex<R> one = make_complex(R(1), R(0));
  if (z.re >= R(0)) return complex_detail::divide(one, one + complex_detail::exp(-z));
  Complex<R> e = complex_detail::exp(z);
  return complex_detail::divide(e, one + e);
}

/// a^b = exp(b log a); 0^0 = 1, 0^b = 0 for Re b > 0, else NaN. Small whole exponents by multiplication.
template <class R>
MX_FN Complex<R> power(Complex<R> a, Complex<R> b) {
  if (b.re == R(0) && b.im == R(0)) return make_complex(R(1), R(0));
  if (a.re == R(0) && a.im == R(0)) {
    if (b.re > R(0)) return make_complex(R(0), R(0));
    return make_complex(not_a_number<R>(), not_a_number<R>());
  }
  if (b.im == R(0) && m::trunc(b.re) == b.re && m::fabs(b.re) <= R(64)) {
    Complex<R> y = make_complex(R(1), R(0)), square = a;
    for (int n = int(m::fabs(b.re)); n > 0; n >>= 1) {
      if (n & 1) y = y * square;
      square = square * square;
    }
    return b.re < R(0) ? complex_detail::divide(make_complex(R(1), R(0)), y) : y;
  }
  return complex_detail::exp(b * complex_detail::log(a));
}

/// log(e^a + e^b), the larger taken out.
template <class R>
MX_FN Complex<R> logaddexp(Complex<R> a, Complex<R> b) {
  bool swap = b.re > a.re;
  Complex<R> big = swap ? b : a, small = swap ? a : b;
  if (small.re == -infinity<R>()) return big;
  return big + complex_detail::log1p(complex_detail::exp(small - big));
}

}  // namespace complex_detail

}  // namespace mx::scalar

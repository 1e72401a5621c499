// unary.h — one function per row of ops/unary.def: the value for one element.
//
// Each takes a T (bool, an integer, float, double, Complex<float>) that the row accepts and returns the row's
// result type. Real functions not documented otherwise have the accuracy of the platform's library (1 ulp with
// glibc) over the whole range; complex ones 2 ulp in each part, or relative to the modulus where a part cancels.
#pragma once

#include "scalar/complex.h"

namespace mx::scalar {

namespace unary_detail {

template <class T> MX_FN T abs(T x, Integer) { return x < T(0) ? T(Wrap<T>(0) - Wrap<T>(x)) : x; }
template <class T> MX_FN T abs(T x, Real) { return m::fabs(x); }
template <class R> MX_FN R abs(Complex<R> x, ComplexNumber) { return R(complex_detail::modulus(widen(x))); }

template <class T> MX_FN T negative(T x, Integer) { return T(Wrap<T>(0) - Wrap<T>(x)); }
template <class T> MX_FN T negative(T x, Real) { return -x; }
template <class T> MX_FN T negative(T x, ComplexNumber) { return -x; }

template <class T> MX_FN T square(T x, Integer) { return T(Wrap<T>(x) * Wrap<T>(x)); }
template <class T> MX_FN T square(T x, Real) { return x * x; }
template <class T> MX_FN T square(T x, ComplexNumber) { return x * x; }

template <class T> MX_FN T sign(T x, Integer) { return T(int(x > T(0)) - int(x < T(0))); }
template <class T> MX_FN T sign(T x, Real) { return x != x ? x : T(int(x > T(0)) - int(x < T(0))); }
template <class R> MX_FN Complex<R> sign(Complex<R> x, ComplexNumber) {
  Wide<R> r = complex_detail::modulus(widen(x));
  if (r == Wide<R>(0)) return make_complex(R(0), R(0));
  return make_complex(R(Wide<R>(x.re) / r), R(Wide<R>(x.im) / r));
}

/// Both ends by exponentials that cannot overflow. 2 ulp.
template <class T> MX_FN T sigmoid(T x) {
  T e = m::exp(-m::fabs(x));
  return (x >= T(0) ? T(1) : e) / (T(1) + e);
}

/// P(r) / Q(r) of degree 7.
template <class T>
MX_FN T ratio7(T r, T a0, T a1, T a2, T a3, T a4, T a5, T a6, T a7, T b1, T b2, T b3, T b4, T b5, T b6, T b7) {
  return (((((((a7 * r + a6) * r + a5) * r + a4) * r + a3) * r + a2) * r + a1) * r + a0) /
         (((((((b7 * r + b6) * r + b5) * r + b4) * r + b3) * r + b2) * r + b1) * r + T(1));
}

/// From the quantile of the normal distribution, M. J. Wichura, algorithm AS 241 (PPND16), Applied Statistics 37
/// (1988): erfinv(x) = quantile((1 + x) / 2) / sqrt(2), where q = x / 2 is exact. 5 ulp in double, 1 in float by way of it.
template <class T>
MX_FN T erfinv(T x) {
  T q = x * T(0.5), z;
  if (m::fabs(q) <= T(0.425)) {
    z = q * ratio7(T(0.180625) - q * q, T(3.3871328727963666080e0), T(1.3314166789178437745e2), T(1.9715909503065514427e3),
                   T(1.3731693765509461125e4), T(4.5921953931549871457e4), T(6.7265770927008700853e4), T(3.3430575583588128105e4),
                   T(2.5090809287301226727e3), T(4.2313330701600911252e1), T(6.8718700749205790830e2), T(5.3941960214247511077e3),
                   T(2.1213794301586595867e4), T(3.9307895800092710610e4), T(2.8729085735721942674e4), T(5.2264952788528545610e3));
    return z * T(0.70710678118654752440);
  }
  T tail = (T(1) - m::fabs(x)) * T(0.5);
  if (!(tail > T(0))) return tail == T(0) ? m::copysign(infinity<T>(), x) : not_a_number<T>();
  T r = m::sqrt(-m::log(tail));
  if (r <= T(5)) {
    z = ratio7(r - T(1.6), T(1.42343711074968357734e0), T(4.63033784615654529590e0), T(5.76949722146069140550e0),
               T(3.64784832476320460504e0), T(1.27045825245236838258e0), T(2.41780725177450611770e-1), T(2.27238449892691845833e-2),
               T(7.74545014278341407640e-4), T(2.05319162663775882187e0), T(1.67638483018380384940e0), T(6.89767334985100004550e-1),
               T(1.48103976427480074590e-1), T(1.51986665636164571966e-2), T(5.47593808499534494600e-4), T(1.05075007164441684324e-9));
  } else {
    z = ratio7(r - T(5), T(6.65790464350110377720e0), T(5.46378491116411436990e0), T(1.78482653991729133580e0),
               T(2.96560571828504891230e-1), T(2.65321895265761230930e-2), T(1.24266094738807843860e-3), T(2.71155556874348757815e-5),
               T(2.01033439929228813265e-7), T(5.99832206555887937690e-1), T(1.36929880922735805310e-1), T(1.48753612908506148525e-2),
               T(7.86869131145613259100e-4), T(1.84631831751005468180e-5), T(1.42151175831644588870e-7), T(2.04426310338993978564e-15));
  }
  return m::copysign(z * T(0.70710678118654752440), x);
}

template <class T> MX_FN bool isnan(T, Integer) { return false; }
template <class T> MX_FN bool isnan(T x, Real) { return x != x; }
template <class T> MX_FN bool isnan(T x, ComplexNumber) { return has_nan(x); }
template <class T> MX_FN bool isinf(T, Integer) { return false; }
template <class T> MX_FN bool isinf(T x, Real) { return m::fabs(x) == infinity<T>(); }
template <class T> MX_FN bool isinf(T x, ComplexNumber) { return isinf(x.re, Real()) || isinf(x.im, Real()); }
template <class T> MX_FN bool isfinite(T, Integer) { return true; }
template <class T> MX_FN bool isfinite(T x, Real) { return is_finite(x); }
template <class T> MX_FN bool isfinite(T x, ComplexNumber) { return is_finite(x.re) && is_finite(x.im); }

template <class T> MX_FN bool signbit(T x, Integer) { return x < T(0); }
template <class T> MX_FN bool signbit(T x, Real) { return m::copysign(T(1), x) < T(0); }

MX_FN bool bitwise_invert(bool x) { return !x; }
template <class T> MX_FN T bitwise_invert(T x) { return T(~x); }

}  // namespace unary_detail

// Rows that differ between integers, real and complex numbers.
template <class T> MX_FN auto abs(T x) { return unary_detail::abs(x, category<T>()); }
template <class T> MX_FN T negative(T x) { return unary_detail::negative(x, category<T>()); }
template <class T> MX_FN T square(T x) { return unary_detail::square(x, category<T>()); }
template <class T> MX_FN T sign(T x) { return unary_detail::sign(x, category<T>()); }
template <class T> MX_FN bool isnan(T x) { return unary_detail::isnan(x, category<T>()); }
template <class T> MX_FN bool isinf(T x) { return unary_detail::isinf(x, category<T>()); }
template <class T> MX_FN bool isfinite(T x) { return unary_detail::isfinite(x, category<T>()); }
template <class T> MX_FN bool signbit(T x) { return unary_detail::signbit(x, category<T>()); }
MX_FN bool signbit(bool) { return false; }
template <class T> MX_FN T bitwise_invert(T x) { return unary_detail::bitwise_invert(x); }
MX_FN bool logical_not(bool x) { return !x; }
MX_FN bool abs(bool x) { return x; }
MX_FN bool square(bool x) { return x; }
MX_FN bool sign(bool x) { return x; }

// Real functions; the overloads for Complex below are preferred where they fit.
template <class T> MX_FN T sqrt(T x) { return m::sqrt(x); }
template <class T> MX_FN T rsqrt(T x) { return T(1) / m::sqrt(x); }
template <class T> MX_FN T reciprocal(T x) { return T(1) / x; }
template <class T> MX_FN T exp(T x) { return m::exp(x); }
template <class T> MX_FN T expm1(T x) { return m::expm1(x); }
template <class T> MX_FN T log(T x) { return m::log(x); }
template <class T> MX_FN T log2(T x) { return m::log2(x); }
template <class T> MX_FN T log10(T x) { return m::log10(x); }
template <class T> MX_FN T log1p(T x) { return m::log1p(x); }
template <class T> MX_FN T sigmoid(T x) { return unary_detail::sigmoid(x); }
template <class T> MX_FN T erf(T x) { return m::erf(x); }
template <class T> MX_FN T erfinv(T x) { return T(unary_detail::erfinv(Wide<T>(x))); }
#ifdef __METAL_VERSION__
// Without a wider type the approximation in float32 is the better one.
MX_FN float erfinv(float x) { return metal_functions::erfinv(x); }
#endif
template <class T> MX_FN T sin(T x) { return m::sin(x); }
template <class T> MX_FN T cos(T x) { return m::cos(x); }
template <class T> MX_FN T tan(T x) { return m::tan(x); }
template <class T> MX_FN T arcsin(T x) { return m::asin(x); }
template <class T> MX_FN T arccos(T x) { return m::acos(x); }
template <class T> MX_FN T arctan(T x) { return m::atan(x); }
template <class T> MX_FN T sinh(T x) { return m::sinh(x); }
template <class T> MX_FN T cosh(T x) { return m::cosh(x); }
template <class T> MX_FN T tanh(T x) { return m::tanh(x); }
template <class T> MX_FN T arcsinh(T x) { return m::asinh(x); }
template <class T> MX_FN T arccosh(T x) { return m::acosh(x); }
template <class T> MX_FN T arctanh(T x) { return m::atanh(x); }
template <class T> MX_FN T floor(T x) { return m::floor(x); }
template <class T> MX_FN T ceil(T x) { return m::ceil(x); }
template <class T> MX_FN T trunc(T x) { return m::trunc(x); }
template <class T> MX_FN T rint(T x) { return m::rint(x); }

// Complex functions, computed in the wider type.
template <class R> MX_FN Complex<R> sqrt(Complex<R> x) { return complex_cast<R>(complex_detail::sqrt(widen(x))); }
template <class R> MX_FN Complex<R> rsqrt(Complex<R> x) {
  Complex<Wide<R>> one = {1, 0};
  return complex_cast<R>(complex_detail::divide(one, complex_detail::sqrt(widen(x))));
}
template <class R> MX_FN Complex<R> reciprocal(Complex<R> x) {
  return complex_cast<R>(complex_detail::reciprocal(widen(x)));
}
template <class R> MX_FN Complex<R> exp(Complex<R> x) { return complex_cast<R>(complex_detail::exp(widen(x))); }
template <class R> MX_FN Complex<R> expm1(Complex<R> x) { return complex_cast<R>(complex_detail::expm1(widen(x))); }
template <class R> MX_FN Complex<R> log(Complex<R> x) { return complex_cast<R>(complex_detail::log(widen(x))); }
template <class R> MX_FN Complex<R> log2(Complex<R> x) {
  return complex_cast<R>(complex_detail::log(widen(x)) * Wide<R>(1.44269504088896340736));
}
template <class R> MX_FN Complex<R> log10(Complex<R> x) {
  return complex_cast<R>(complex_detail::log(widen(x)) * Wide<R>(0.434294481903251827651));
}
template <class R> MX_FN Complex<R> log1p(Complex<R> x) { return complex_cast<R>(complex_detail::log1p(widen(x))); }
template <class R> MX_FN Complex<R> sigmoid(Complex<R> x) { return complex_cast<R>(complex_detail::sigmoid(widen(x))); }
template <class R> MX_FN Complex<R> sin(Complex<R> x) { return complex_cast<R>(complex_detail::sin(widen(x))); }
template <class R> MX_FN Complex<R> cos(Complex<R> x) { return complex_cast<R>(complex_detail::cos(widen(x))); }
template <class R> MX_FN Complex<R> tan(Complex<R> x) { return complex_cast<R>(complex_detail::tan(widen(x))); }
template <class R> MX_FN Complex<R> arcsin(Complex<R> x) { return complex_cast<R>(complex_detail::arcsin(widen(x))); }
template <class R> MX_FN Complex<R> arccos(Complex<R> x) { return complex_cast<R>(complex_detail::arccos(widen(x))); }
template <class R> MX_FN Complex<R> arctan(Complex<R> x) { return complex_cast<R>(complex_detail::arctan(widen(x))); }
template <class R> MX_FN Complex<R> sinh(Complex<R> x) { return complex_cast<R>(complex_detail::sinh(widen(x))); }
template <class R> MX_FN Complex<R> cosh(Complex<R> x) { return complex_cast<R>(complex_detail::cosh(widen(x))); }
template <class R> MX_FN Complex<R> tanh(Complex<R> x) { return complex_cast<R>(complex_detail::tanh(widen(x))); }
template <class R> MX_FN Complex<R> arcsinh(Complex<R> x) { return complex_cast<R>(complex_detail::arcsinh(widen(x))); }
template <class R> MX_FN Complex<R> arccosh(Complex<R> x) { return complex_cast<R>(complex_detail::arccosh(widen(x))); }
template <class R> MX_FN Complex<R> arctanh(Complex<R> x) { return complex_cast<R>(complex_detail::arctanh(widen(x))); }
template <class R> MX_FN Complex<R> rint(Complex<R> x) { return make_complex(m::rint(x.re), m::rint(x.im)); }
template <class R> MX_FN Complex<R> conjugate(Complex<R> x) { return make_complex(x.re, -x.im); }
template <class R> MX_FN R real(Complex<R> x) { return x.re; }
template <class R> MX_FN R imag(Complex<R> x) { return x.im; }

}  // namespace mx::scalar

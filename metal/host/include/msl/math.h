// math.h — metal::, metal::precise:: and metal::fast:: functions of float, half, bfloat and vectors of them. The 16-bit types compute
// in float and round once. The host's library is the precise one; fast:: gives the same values.
#pragma once

#include "msl/vector.h"

namespace mx_msl {

template <class T>
using Real = std::enable_if_t<is_real<T>>;
template <class T>
using Vector = std::enable_if_t<is_vector<T>>;
template <class V>
using VecOf = metal::vec<typename Traits<V>::Scalar, Traits<V>::size>;

template <class V, class F>
inline VecOf<V> each(const V& v, F f) {
  VecOf<V> r;
  for (int i = 0; i < Traits<V>::size; ++i) r[i] = f(typename Traits<V>::Scalar(v[i]));
  return r;
}

inline float exp10(float x) { return float(std::pow(10.0, double(x))); }
inline float sinpi(float x) {
  double r = std::remainder(double(x), 2.0);
  return r == std::trunc(r) ? std::copysign(0.0f, x) : float(std::sin(r * 3.14159265358979323846));
}
inline float cospi(float x) {
  double r = std::remainder(double(x), 2.0);
  return std::fabs(r) == 0.5 ? 0.0f : float(std::cos(r * 3.14159265358979323846));
}
inline float tanpi(float x) { return sinpi(x) / cospi(x); }
inline float fract(float x) { return std::isinf(x) ? std::copysign(0.0f, x) : std::fmin(x - std::floor(x), 0x1.fffffep-1f); }
inline float sign(float x) { return x != x ? 0.0f : x > 0 ? 1.0f : x < 0 ? -1.0f : x; }
inline float saturate(float x) { return std::fmin(std::fmax(x, 0.0f), 1.0f); }

}  // namespace mx_msl

#define MX_UNARY(name, expression)                        \
  template <class T, class = mx_msl::Real<T>>             \
  inline T name(T v) {                                    \
    float x = float(v);                                   \
    return T(expression);                                 \
  }                                                       \
  template <class V, class = mx_msl::Vector<V>, int = 0>  \
  inline mx_msl::VecOf<V> name(const V& v) {              \
    return mx_msl::each(v, [](auto s) { return name(s); }); \
  }
#define MX_BINARY(name, expression)                                                                       \
  template <class T, class = mx_msl::Real<T>>                                                             \
  inline T name(T v, T w) {                                                                               \
    float x = float(v), y = float(w);                                                                     \
    return T(expression);                                                                                 \
  }                                                                                                       \
  template <class T, class U, class = std::enable_if_t<!std::is_same_v<T, U> && mx_msl::is_scalar<T> && mx_msl::is_scalar<U>>>  \
  inline float name(T v, U w) { return name(float(v), float(w)); }                                        \
  template <class T, int N>                                                                               \
  inline metal::vec<T, N> name(const metal::vec<T, N>& v, const metal::vec<T, N>& w) {                    \
    metal::vec<T, N> r;                                                                                   \
    for (int i = 0; i < N; ++i) r[i] = name(v[i], w[i]);                                                  \
    return r;                                                                                             \
  }
#define MX_FUNCTIONS                                                                                            \
  MX_UNARY(exp, std::exp(x)) MX_UNARY(exp2, std::exp2(x)) MX_UNARY(exp10, mx_msl::exp10(x))                     \
  MX_UNARY(log, std::log(x)) MX_UNARY(log2, std::log2(x)) MX_UNARY(log10, std::log10(x))                        \
  MX_UNARY(sqrt, std::sqrt(x)) MX_UNARY(rsqrt, float(1.0 / std::sqrt(double(x))))                               \
  MX_UNARY(sin, std::sin(x)) MX_UNARY(cos, std::cos(x)) MX_UNARY(tan, std::tan(x))                              \
  MX_UNARY(sinpi, mx_msl::sinpi(x)) MX_UNARY(cospi, mx_msl::cospi(x)) MX_UNARY(tanpi, mx_msl::tanpi(x))         \
  MX_UNARY(asin, std::asin(x)) MX_UNARY(acos, std::acos(x)) MX_UNARY(atan, std::atan(x))                        \
  MX_UNARY(sinh, std::sinh(x)) MX_UNARY(cosh, std::cosh(x)) MX_UNARY(tanh, std::tanh(x))                        \
  MX_UNARY(asinh, std::asinh(x)) MX_UNARY(acosh, std::acosh(x)) MX_UNARY(atanh, std::atanh(x))                  \
  MX_UNARY(floor, std::floor(x)) MX_UNARY(ceil, std::ceil(x)) MX_UNARY(trunc, std::trunc(x))                    \
  MX_UNARY(rint, std::nearbyint(x)) MX_UNARY(round, std::round(x)) MX_UNARY(fract, mx_msl::fract(x))            \
  MX_UNARY(fabs, std::fabs(x))                                                                                  \
  MX_BINARY(pow, std::pow(x, y)) MX_BINARY(powr, std::pow(x, y)) MX_BINARY(fmod, std::fmod(x, y))               \
  MX_BINARY(atan2, std::atan2(x, y)) MX_BINARY(copysign, std::copysign(x, y))                                   \
  MX_BINARY(fmin, std::fmin(x, y)) MX_BINARY(fmax, std::fmax(x, y)) MX_BINARY(fdim, std::fdim(x, y))            \
  MX_BINARY(divide, x / y)                                                                                      \
  template <class T, class = mx_msl::Real<T>>                                                                   \
  inline T fma(T a, T b, T c) { return T(std::fma(float(a), float(b), float(c))); }                             \
  template <class T, int N>                                                                                     \
  inline vec<T, N> fma(const vec<T, N>& a, const vec<T, N>& b, const vec<T, N>& c) {                            \
    vec<T, N> r;                                                                                                \
    for (int i = 0; i < N; ++i) r[i] = fma(a[i], b[i], c[i]);                                                   \
    return r;                                                                                                   \
  }

namespace metal {

MX_FUNCTIONS
namespace precise {
MX_FUNCTIONS
}
namespace fast {
MX_FUNCTIONS
}
MX_UNARY(sign, mx_msl::sign(x))
MX_UNARY(saturate, mx_msl::saturate(x))

template <class T, class = mx_msl::Real<T>>
inline bool isnan(T v) {
  float x = float(v);
  return x != x;
}
template <class T, class = mx_msl::Real<T>>
inline bool isinf(T v) { return std::fabs(float(v)) == __builtin_inff(); }
template <class T, class = mx_msl::Real<T>>
inline bool isfinite(T v) { return std::fabs(float(v)) < __builtin_inff(); }
template <class T, class = mx_msl::Real<T>>
inline bool signbit(T v) { return std::signbit(float(v)); }
template <class T, class = mx_msl::Real<T>>
inline bool isnormal(T v) { return std::fabs(float(v)) >= float(numeric_limits<T>::min()) && isfinite(v); }
template <class T, int N>
inline vec<bool, N> isnan(const vec<T, N>& v) {
  vec<bool, N> r;
  for (int i = 0; i < N; ++i) r[i] = isnan(v[i]);
  return r;
}

template <class T, class E, class = mx_msl::Real<T>>
inline T ldexp(T v, E e) { return T(std::ldexp(float(v), int(e))); }
template <class T, class = mx_msl::Real<T>>
inline T frexp(T v, int& e) { return T(std::frexp(float(v), &e)); }
template <class T, class = mx_msl::Real<T>>
inline int ilogb(T v) { return std::ilogb(float(v)); }
template <class T, class = mx_msl::Real<T>>
inline T modf(T v, T& whole) {
  float w, f = std::modf(float(v), &w);
  whole = T(w);
  return T(f);
}
template <class T, class = mx_msl::Real<T>>
inline T sincos(T v, T& c) {
  c = cos(v);
  return sin(v);
}
inline float nextafter(float x, float y) { return std::nextafter(x, y); }
template <class T, class S>
inline T mix(T a, T b, S s) { return a + (b - a) * s; }
template <class T, class = mx_msl::Real<T>>
inline T step(T edge, T x) { return x < edge ? T(0) : T(1); }

template <class T, int N>
inline T length_squared(const vec<T, N>& v) { return dot(v, v); }
template <class T, int N>
inline T length(const vec<T, N>& v) { return sqrt(dot(v, v)); }

}  // namespace metal
#undef MX_FUNCTIONS
#undef MX_BINARY
#undef MX_UNARY

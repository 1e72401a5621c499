// math.h — what the arithmetic in this folder stands on, for a C++ compiler and for Metal's.
//
// The functions here are templates in the common subset of C++ and MSL: no double by name, no `if constexpr`.
// `m::exp` is std::exp or metal::exp. Overloads are chosen by category<T>: Integer, Real or ComplexNumber.
// Wide<T> is a type with room to spare for intermediate results: double for float on the host, T on Metal.
#pragma once

#ifdef __METAL_VERSION__
#include <metal_stdlib>
#include "scalar/metal_functions.h"
#define MX_FN inline
#else
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
// Inlined always: a caller compiled for a newer instruction set must not call the baseline version.
#define MX_FN inline __attribute__((always_inline))
#endif

namespace mx::scalar {

#ifdef __METAL_VERSION__
namespace m {
using metal::acos, metal::acosh, metal::asin, metal::asinh, metal::atan, metal::atan2, metal::atanh, metal::ceil, metal::copysign, metal::cos,
    metal::cosh, metal::exp, metal::fabs, metal::floor, metal::fmod, metal::log, metal::log10, metal::log2, metal::numeric_limits, metal::pow,
    metal::rint, metal::sin, metal::sinh, metal::sqrt, metal::tan, metal::tanh, metal::trunc;
using metal_functions::erf, metal_functions::expm1, metal_functions::log1p;
}
template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<half> {
  using type = float;
};
#else
namespace m {
using std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::ceil, std::copysign, std::cos,
    std::cosh, std::erf, std::erfc, std::exp, std::expm1, std::fabs, std::floor, std::fmod, std::log, std::log10, std::log1p,
    std::log2, std::numeric_limits, std::pow, std::rint, std::sin, std::sinh, std::sqrt, std::tan, std::tanh, std::trunc;
}
template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<float> {
  using type = double;
};
#endif

template <class T>
using Wide = typename WideOf<T>::type;

template <class R>
struct Complex;

struct Integer {};
struct Real {};
struct ComplexNumber {};

template <class T>
struct CategoryOf {
  using type = Integer;
};
template <>
struct CategoryOf<float> {
  using type = Real;
};
#ifndef __METAL_VERSION__
template <>
struct CategoryOf<double> {
  using type = Real;
};
#endif
template <class R>
struct CategoryOf<Complex<R>> {
  using type = ComplexNumber;
};

/// A value that says which overload to take.
template <class T>
MX_FN typename CategoryOf<T>::type category() {
  return typename CategoryOf<T>::type();
}

/// The unsigned type in which T's arithmetic is done: it wraps, and is not promoted to a signed int.
template <int size>
struct WrapOf {
  using type = uint32_t;
};
template <>
struct WrapOf<8> {
  using type = uint64_t;
};
template <class T>
using Wrap = typename WrapOf<sizeof(T)>::type;

template <class T>
MX_FN T infinity() {
  return m::numeric_limits<T>::infinity();
}
template <class T>
MX_FN T not_a_number() {
  return m::numeric_limits<T>::quiet_NaN();
}
/// a - b trunc(a / b), exactly.
template <class T>
MX_FN T fmod(T a, T b) {
  return m::fmod(a, b);
}
#ifndef __METAL_VERSION__
/// In double, as long as the quotient times b is exact there. It may be one too large.
MX_FN float fmod(float a, float b) {
  double x = std::fabs(a), y = std::fabs(b), q = std::trunc(x / y);
  if (!(q < 0x1p29 && y < infinity<double>())) return std::fmod(a, b);
  double r = x - q * y;
  return std::copysign(static_cast<float>(r < 0 ? r + y : r), a);
}
#endif
template <class T>
MX_FN bool is_nan(T x) {
  return x != x;
}
template <class T>
MX_FN bool is_finite(T x) {
  return m::fabs(x) < infinity<T>();
}

}  // namespace mx::scalar

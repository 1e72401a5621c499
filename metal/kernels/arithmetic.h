// arithmetic.h — combining elements as running and scattered reductions need it: integers wrap, bool is or/and, NaN wins extremes.
#pragma once

#include "elements.h"

namespace arithmetic_detail {

// Where integers are added and multiplied: unsigned, so that overflow is defined, and never promoted to int.
template <class T>
struct WrapOf {
  using type = uint;
};
template <>
struct WrapOf<long> {
  using type = ulong;
};
template <>
struct WrapOf<ulong> {
  using type = ulong;
};

}  // namespace arithmetic_detail

template <class T>
inline T sum_of(T a, T b) {
  using W = typename arithmetic_detail::WrapOf<T>::type;
  return T(W(a) + W(b));
}
inline bool sum_of(bool a, bool b) { return a || b; }
inline float sum_of(float a, float b) { return a + b; }
inline complex64 sum_of(complex64 a, complex64 b) { return a + b; }

template <class T>
inline T product_of(T a, T b) {
  using W = typename arithmetic_detail::WrapOf<T>::type;
  return T(W(a) * W(b));
}
inline bool product_of(bool a, bool b) { return a && b; }
inline float product_of(float a, float b) { return a * b; }
inline complex64 product_of(complex64 a, complex64 b) { return a * b; }

template <class T>
inline bool is_nan_of(T) { return false; }
inline bool is_nan_of(float x) { return x != x; }
inline bool is_nan_of(complex64 x) { return mx::scalar::has_nan(x); }

/// Whether x takes the place of `old` as the largest (or smallest): if it is strictly better, or the first NaN.
template <class T>
inline bool better_than(T x, T old, bool largest) {
  return ((largest ? old < x : x < old) || is_nan_of(x)) && !is_nan_of(old);
}

/// What every value is at least as good as.
template <class T>
struct Extremes {
  static T highest() { return metal::numeric_limits<T>::max(); }
  static T lowest() { return metal::numeric_limits<T>::lowest(); }
};
template <>
struct Extremes<bool> {
  static bool highest() { return true; }
  static bool lowest() { return false; }
};
template <>
struct Extremes<float> {
  static float highest() { return INFINITY; }
  static float lowest() { return -INFINITY; }
};
template <>
struct Extremes<half> {
  static float highest() { return INFINITY; }
  static float lowest() { return -INFINITY; }
};
template <>
struct Extremes<bfloat> {
  static float highest() { return INFINITY; }
  static float lowest() { return -INFINITY; }
};
template <>
struct Extremes<complex64> {
  static complex64 highest() { return mx::scalar::make_complex(INFINITY, INFINITY); }
  static complex64 lowest() { return mx::scalar::make_complex(-INFINITY, -INFINITY); }
};

// operators.h — arithmetic operators on arrays: + - * / and unary -. Comparisons have names only (`less`, `equal`), so
// that == on arrays cannot be taken for identity.
//
// C++ numbers are weak: `1.0 - y` keeps the dtype of y, unless y cannot hold such a number (a fraction with an
// integer array gives float32, an integer with a bool array int32).
#pragma once

#include "ops/elementwise.h"

namespace mx {

template <class V>
concept Number = std::is_arithmetic_v<V>;

/// The dtype a number takes beside an array of dtype `t`.
template <Number V>
Dtype weak_dtype(Dtype t) {
  if (std::is_floating_point_v<V>) return at_least_float(t);
  return std::is_same_v<V, bool> || t != Dtype::bool_ ? t : Dtype::int32;
}
/// A number as an array to go with `other`.
template <Number V>
array weak(V value, const array& other) {
  return array(value, weak_dtype<V>(other.dtype()));
}

inline array operator-(const array& a) { return negative(a); }
inline array operator+(const array& a, const array& b) { return add(a, b); }
inline array operator-(const array& a, const array& b) { return subtract(a, b); }
inline array operator*(const array& a, const array& b) { return multiply(a, b); }
inline array operator/(const array& a, const array& b) { return divide(a, b); }

template <Number V> array operator+(const array& a, V b) { return add(a, weak(b, a)); }
template <Number V> array operator-(const array& a, V b) { return subtract(a, weak(b, a)); }
template <Number V> array operator*(const array& a, V b) { return multiply(a, weak(b, a)); }
template <Number V> array operator/(const array& a, V b) { return divide(a, weak(b, a)); }
template <Number V> array operator+(V a, const array& b) { return add(weak(a, b), b); }
template <Number V> array operator-(V a, const array& b) { return subtract(weak(a, b), b); }
template <Number V> array operator*(V a, const array& b) { return multiply(weak(a, b), b); }
template <Number V> array operator/(V a, const array& b) { return divide(weak(a, b), b); }

}  // namespace mx

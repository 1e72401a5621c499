// integer.h — minimum, maximum and their like for all scalars and vectors, and functions of integers.
#pragma once

#include "msl/math.h"

namespace metal {

namespace host_detail {
template <class T>
inline T least(T a, T b) {
  // As fmin: a NaN gives way.
  if constexpr (mx_msl::is_real<T>)
    return fmin(a, b);
  else
    return b < a ? b : a;
}
template <class T>
inline T most(T a, T b) {
  if constexpr (mx_msl::is_real<T>)
    return fmax(a, b);
  else
    return a < b ? b : a;
}
template <class T>
using Integral = std::enable_if_t<std::is_integral_v<T>>;
template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
constexpr int width = 8 * sizeof(T);
}  // namespace host_detail

#define MX_PAIR(name, how)                                                                                            \
  template <class T, class = std::enable_if_t<mx_msl::is_scalar<T>>>                                                  \
  inline T name(T a, T b) { return host_detail::how(a, b); }                                                          \
  template <class A, class B, class = std::enable_if_t<mx_msl::joinable<A, B>>, class J = mx_msl::Joined<A, B>>       \
  inline vec<typename J::Scalar, J::size> name(const A& a, const B& b) {                                              \
    using T = typename J::Scalar;                                                                                     \
    vec<T, J::size> r;                                                                                                \
    for (int i = 0; i < J::size; ++i) r[i] = host_detail::how(mx_msl::component<T>(a, i), mx_msl::component<T>(b, i)); \
    return r;                                                                                                         \
  }
MX_PAIR(min, least)
MX_PAIR(max, most)
#undef MX_PAIR
template <class T>
inline T min3(T a, T b, T c) { return min(min(a, b), c); }
template <class T>
inline T max3(T a, T b, T c) { return max(max(a, b), c); }
template <class T>
inline T median3(T a, T b, T c) { return max(min(a, b), min(max(a, b), c)); }
template <class T>
inline T clamp(T x, T low, T high) { return min(max(x, low), high); }
template <class T, int N>
inline vec<T, N> clamp(vec<T, N> x, T low, T high) { return min(max(x, low), high); }

template <class T, class = std::enable_if_t<mx_msl::is_scalar<T>>>
inline T abs(T a) {
  if constexpr (mx_msl::is_real<T>)
    return fabs(a);
  else if constexpr (std::is_unsigned_v<T>)
    return a;
  else
    return a < T(0) ? T(host_detail::Unsigned<T>(0) - host_detail::Unsigned<T>(a)) : a;
}
template <class V, class = mx_msl::Vector<V>, int = 0>
inline mx_msl::VecOf<V> abs(const V& v) {
  return mx_msl::each(v, [](auto s) { return abs(s); });
}
template <class T, class = std::enable_if_t<mx_msl::is_scalar<T>>>
inline T select(T a, T b, bool c) { return c ? b : a; }
template <class T, int N>
inline vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<bool, N> c) {
  for (int i = 0; i < N; ++i) a[i] = c[i] ? b[i] : a[i];
  return a;
}
template <class T, int N>
inline vec<T, N> select(vec<T, N> a, vec<T, N> b, bool c) { return c ? b : a; }

template <class T, class = host_detail::Integral<T>>
inline T popcount(T v) { return T(__builtin_popcountll(uint64_t(host_detail::Unsigned<T>(v)))); }
template <class T, class = host_detail::Integral<T>>
inline T clz(T v) {
  uint64_t u = uint64_t(host_detail::Unsigned<T>(v));
  return T(u ? __builtin_clzll(u) - (64 - host_detail::width<T>) : host_detail::width<T>);
}
template <class T, class = host_detail::Integral<T>>
inline T ctz(T v) {
  uint64_t u = uint64_t(host_detail::Unsigned<T>(v));
  return T(u ? __builtin_ctzll(u) : host_detail::width<T>);
}
template <class T, class = host_detail::Integral<T>>
inline T reverse_bits(T v) {
  uint64_t u = uint64_t(host_detail::Unsigned<T>(v)), r = 0;
  for (int i = 0; i < host_detail::width<T>; ++i) r = (r << 1) | ((u >> i) & 1);
  return T(r);
}
template <class T, class = host_detail::Integral<T>>
inline T rotate(T v, T by) {
  using U = host_detail::Unsigned<T>;
  int n = int(U(by) % unsigned(host_detail::width<T>));
  return n ? T(U(U(v) << n) | U(U(v) >> (host_detail::width<T> - n))) : v;
}
template <class T, class = host_detail::Integral<T>>
inline T extract_bits(T v, uint offset, uint bits) {
  if (bits == 0) return T(0);
  int left = host_detail::width<T> - int(offset + bits);
  return T(T(host_detail::Unsigned<T>(v) << left) >> (host_detail::width<T> - int(bits)));
}
template <class T, class = host_detail::Integral<T>>
inline T insert_bits(T base, T insert, uint offset, uint bits) {
  using U = host_detail::Unsigned<T>;
  U mask = U(bits >= uint(host_detail::width<T>) ? ~U(0) : U((U(1) << bits) - 1));
  return T((U(base) & U(~U(mask << offset))) | U((U(insert) & mask) << offset));
}
template <class T, class = host_detail::Integral<T>>
inline T mulhi(T a, T b) {
  if constexpr (std::is_signed_v<T>)
    return T((__int128(a) * __int128(b)) >> host_detail::width<T>);
  else
    return T(((unsigned __int128)(a) * (unsigned __int128)(b)) >> host_detail::width<T>);
}
template <int N, class T>
inline vec<T, N> mulhi(vec<T, N> a, vec<T, N> b) {
  for (int i = 0; i < N; ++i) a[i] = mulhi(a[i], b[i]);
  return a;
}
template <class T, class = host_detail::Integral<T>>
inline T mul24(T a, T b) { return T(a * b); }
template <class T, class = host_detail::Integral<T>>
inline T mad24(T a, T b, T c) { return T(a * b + c); }
template <class T, class = host_detail::Integral<T>>
inline T madhi(T a, T b, T c) { return T(mulhi(a, b) + c); }
template <class T, class = host_detail::Integral<T>>
inline T absdiff(T a, T b) { return a > b ? T(a - b) : T(b - a); }
template <class T, class = host_detail::Integral<T>>
inline T addsat(T a, T b) {
  T r;
  if (!__builtin_add_overflow(a, b, &r)) return r;
  return b < T(0) ? numeric_limits<T>::min() : numeric_limits<T>::max();
}
template <class T, class = host_detail::Integral<T>>
inline T subsat(T a, T b) {
  T r;
  if (!__builtin_sub_overflow(a, b, &r)) return r;
  return b > T(0) ? numeric_limits<T>::min() : numeric_limits<T>::max();
}
template <class T, class = host_detail::Integral<T>>
inline T hadd(T a, T b) { return T((__int128(a) + __int128(b)) >> 1); }
template <class T, class = host_detail::Integral<T>>
inline T rhadd(T a, T b) { return T((__int128(a) + __int128(b) + 1) >> 1); }

}  // namespace metal

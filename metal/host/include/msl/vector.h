// vector.h — vectors of 2, 3 and 4: components by x y z w or r g b a, swizzles of two and the usual ones of three and four, arithmetic by
// elements, comparisons to vectors of bool; packed vectors.
#pragma once

#include "msl/types.h"

namespace metal {
template <class T, int N>
struct vec;
template <class T, int N>
struct packed_vec;
}  // namespace metal

namespace mx_msl {

/// Some components of a vector under another name; reads as a vector, and may be assigned to.
template <class T, int N, int... I>
struct Swizzle {
  using Scalar = T;
  static constexpr int size = sizeof...(I);
  T c[N];
  operator metal::vec<T, sizeof...(I)>() const { return metal::vec<T, sizeof...(I)>(c[I]...); }
  Swizzle& operator=(metal::vec<T, sizeof...(I)> v) {
    int k = 0;
    ((c[I] = v[k++]), ...);
    return *this;
  }
  Swizzle& operator=(const Swizzle& o) { return *this = metal::vec<T, sizeof...(I)>(o); }
  T operator[](int k) const {
    constexpr int at[] = {I...};
    return c[at[k]];
  }
};

template <class V>
struct Traits {
  static constexpr bool vector = false;
};
template <class T, int N>
struct Traits<metal::vec<T, N>> {
  static constexpr bool vector = true;
  using Scalar = T;
  static constexpr int size = N;
};
template <class T, int N>
struct Traits<metal::packed_vec<T, N>> : Traits<metal::vec<T, N>> {};
template <class T, int N, int... I>
struct Traits<Swizzle<T, N, I...>> : Traits<metal::vec<T, sizeof...(I)>> {};

template <class V>
constexpr bool is_vector = Traits<V>::vector;

/// The vector type of an operation of A and B, of which at least one is a vector.
template <class A, class B, bool = is_vector<A>, bool = is_vector<B>>
struct Joined {};
template <class A, class B, bool Any>
struct Joined<A, B, true, Any> {
  using Scalar = typename Traits<A>::Scalar;
  static constexpr int size = Traits<A>::size;
};
template <class A, class B>
struct Joined<A, B, false, true> : Joined<B, A, true, false> {};

template <class A, class B>
constexpr bool joinable = (is_vector<A> && is_vector<B>) || (is_vector<A> && is_scalar<B>) || (is_scalar<A> && is_vector<B>);

template <class T, class A>
inline T component(const A& a, int i) {
  if constexpr (is_vector<A>)
    return a[i];
  else
    return T(a);
}

}  // namespace mx_msl

namespace metal {

#define MX_COMMON(N)                                                             \
  using Scalar = T;                                                              \
  static constexpr int size = N;                                                 \
  vec() = default;                                                               \
  vec(const vec&) = default;                                                     \
  template <class U, class = std::enable_if_t<mx_msl::is_scalar<U>>>             \
  vec(U s) {                                                                     \
    for (int i = 0; i < N; ++i) c[i] = T(s);                                     \
  }                                                                              \
  template <class U, class = std::enable_if_t<!std::is_same_v<U, T>>>            \
  explicit vec(const vec<U, N>& v) {                                             \
    for (int i = 0; i < N; ++i) c[i] = T(v[i]);                                  \
  }                                                                              \
  vec& operator=(const vec& v) {                                                 \
    for (int i = 0; i < N; ++i) c[i] = v.c[i];                                   \
    return *this;                                                                \
  }                                                                              \
  T& operator[](int i) { return c[i]; }                                          \
  const T& operator[](int i) const { return c[i]; }
#define MX_S2(a, b, n) mx_msl::Swizzle<T, n, a, b>
#define MX_S3(a, b, c, n) mx_msl::Swizzle<T, n, a, b, c>
#define MX_S4(a, b, c, d, n) mx_msl::Swizzle<T, n, a, b, c, d>

template <class T>
struct alignas(2 * sizeof(T)) vec<T, 2> {
  union {
    T c[2];
    struct { T x, y; };
    struct { T r, g; };
    MX_S2(0, 0, 2) xx;
    MX_S2(0, 1, 2) xy;
    MX_S2(1, 0, 2) yx;
    MX_S2(1, 1, 2) yy;
    MX_S4(0, 1, 0, 1, 2) xyxy;
  };
  MX_COMMON(2)
  template <class A, class B>
  vec(A a, B b) : c{T(a), T(b)} {}
};

template <class T>
struct alignas(4 * sizeof(T)) vec<T, 3> {
  union {
    T c[3];
    struct { T x, y, z; };
    struct { T r, g, b; };
    MX_S2(0, 0, 3) xx;
    MX_S2(0, 1, 3) xy;
    MX_S2(0, 2, 3) xz;
    MX_S2(1, 0, 3) yx;
    MX_S2(1, 1, 3) yy;
    MX_S2(1, 2, 3) yz;
    MX_S2(2, 0, 3) zx;
    MX_S2(2, 1, 3) zy;
    MX_S2(2, 2, 3) zz;
    MX_S3(0, 1, 2, 3) xyz;
    MX_S3(2, 1, 0, 3) zyx;
    MX_S3(1, 2, 0, 3) yzx;
    MX_S3(2, 0, 1, 3) zxy;
    MX_S3(0, 0, 0, 3) xxx;
  };
  MX_COMMON(3)
  template <class A, class B, class C, class = std::enable_if_t<mx_msl::is_scalar<A> && mx_msl::is_scalar<B> && mx_msl::is_scalar<C>>>
  vec(A a, B b, C d) : c{T(a), T(b), T(d)} {}
  vec(const vec<T, 2>& a, T b) : c{a[0], a[1], b} {}
  vec(T a, const vec<T, 2>& b) : c{a, b[0], b[1]} {}
};

template <class T>
struct alignas(4 * sizeof(T)) vec<T, 4> {
  union {
    T c[4];
    struct { T x, y, z, w; };
    struct { T r, g, b, a; };
    MX_S2(0, 0, 4) xx;
    MX_S2(0, 1, 4) xy;
    MX_S2(0, 1, 4) lo;
    MX_S2(0, 2, 4) xz;
    MX_S2(0, 2, 4) even;
    MX_S2(0, 3, 4) xw;
    MX_S2(1, 0, 4) yx;
    MX_S2(1, 1, 4) yy;
    MX_S2(1, 2, 4) yz;
    MX_S2(1, 3, 4) yw;
    MX_S2(1, 3, 4) odd;
    MX_S2(2, 0, 4) zx;
    MX_S2(2, 1, 4) zy;
    MX_S2(2, 2, 4) zz;
    MX_S2(2, 3, 4) zw;
    MX_S2(2, 3, 4) hi;
    MX_S2(3, 0, 4) wx;
    MX_S2(3, 1, 4) wy;
    MX_S2(3, 2, 4) wz;
    MX_S2(3, 3, 4) ww;
    MX_S3(0, 1, 2, 4) xyz;
    MX_S3(0, 1, 2, 4) rgb;
    MX_S3(1, 2, 3, 4) yzw;
    MX_S3(2, 1, 0, 4) zyx;
    MX_S4(0, 1, 2, 3, 4) xyzw;
    MX_S4(3, 2, 1, 0, 4) wzyx;
    MX_S4(1, 0, 3, 2, 4) yxwz;
    MX_S4(2, 3, 0, 1, 4) zwxy;
    MX_S4(0, 1, 0, 1, 4) xyxy;
    MX_S4(2, 3, 2, 3, 4) zwzw;
    MX_S4(0, 0, 0, 0, 4) xxxx;
    MX_S4(1, 1, 1, 1, 4) yyyy;
    MX_S4(2, 2, 2, 2, 4) zzzz;
    MX_S4(3, 3, 3, 3, 4) wwww;
  };
  MX_COMMON(4)
  template <class A, class B, class C, class D,
            class = std::enable_if_t<mx_msl::is_scalar<A> && mx_msl::is_scalar<B> && mx_msl::is_scalar<C> && mx_msl::is_scalar<D>>>
  vec(A a, B b, C d, D e) : c{T(a), T(b), T(d), T(e)} {}
  vec(const vec<T, 2>& a, const vec<T, 2>& b) : c{a[0], a[1], b[0], b[1]} {}
  vec(const vec<T, 2>& a, T b, T d) : c{a[0], a[1], b, d} {}
  vec(T a, T b, const vec<T, 2>& d) : c{a, b, d[0], d[1]} {}
  vec(T a, const vec<T, 2>& b, T d) : c{a, b[0], b[1], d} {}
  vec(const vec<T, 3>& a, T b) : c{a[0], a[1], a[2], b} {}
  vec(T a, const vec<T, 3>& b) : c{a, b[0], b[1], b[2]} {}
};
#undef MX_COMMON
#undef MX_S2
#undef MX_S3
#undef MX_S4

/// Of the alignment of its elements, and of no more bytes.
template <class T, int N>
struct packed_vec {
  using Scalar = T;
  static constexpr int size = N;
  T c[N];
  packed_vec() = default;
  packed_vec(const vec<T, N>& v) {
    for (int i = 0; i < N; ++i) c[i] = v[i];
  }
  operator vec<T, N>() const {
    vec<T, N> v;
    for (int i = 0; i < N; ++i) v[i] = c[i];
    return v;
  }
  T& operator[](int i) { return c[i]; }
  const T& operator[](int i) const { return c[i]; }
};

}  // namespace metal

// Operators are found by the namespaces of vec, packed_vec (metal) and Swizzle (mx_msl).
#define MX_BINARY(o, Result)                                                                                       \
  template <class A, class B, class = std::enable_if_t<mx_msl::joinable<A, B>>, class J = mx_msl::Joined<A, B>,     \
            class T = typename J::Scalar>                                                                          \
  inline metal::vec<Result, J::size> operator o(const A& a, const B& b) {                                          \
    metal::vec<Result, J::size> r;                                                                                 \
    for (int i = 0; i < J::size; ++i) r[i] = Result(mx_msl::component<T>(a, i) o mx_msl::component<T>(b, i));      \
    return r;                                                                                                      \
  }
#define MX_ASSIGN(o)                                                                                               \
  template <class A, class B, class = std::enable_if_t<mx_msl::is_vector<A> && mx_msl::joinable<A, B>>>            \
  inline A& operator o##=(A& a, const B& b) { return a = a o b; }
#define MX_OPERATORS                                                                                               \
  MX_BINARY(+, T) MX_BINARY(-, T) MX_BINARY(*, T) MX_BINARY(/, T) MX_BINARY(%, T)                                  \
  MX_BINARY(&, T) MX_BINARY(|, T) MX_BINARY(^, T) MX_BINARY(<<, T) MX_BINARY(>>, T)                                \
  MX_BINARY(==, bool) MX_BINARY(!=, bool) MX_BINARY(<, bool) MX_BINARY(>, bool) MX_BINARY(<=, bool)                \
  MX_BINARY(>=, bool) MX_BINARY(&&, bool) MX_BINARY(||, bool)                                                      \
  MX_ASSIGN(+) MX_ASSIGN(-) MX_ASSIGN(*) MX_ASSIGN(/) MX_ASSIGN(%)                                                 \
  MX_ASSIGN(&) MX_ASSIGN(|) MX_ASSIGN(^) MX_ASSIGN(<<) MX_ASSIGN(>>)                                               \
  template <class A, class = std::enable_if_t<mx_msl::is_vector<A>>, class V = mx_msl::Traits<A>>                  \
  inline metal::vec<typename V::Scalar, V::size> operator-(const A& a) {                                           \
    metal::vec<typename V::Scalar, V::size> r;                                                                     \
    for (int i = 0; i < V::size; ++i) r[i] = -a[i];                                                                \
    return r;                                                                                                      \
  }                                                                                                                \
  template <class A, class = std::enable_if_t<mx_msl::is_vector<A>>, class V = mx_msl::Traits<A>>                  \
  inline metal::vec<typename V::Scalar, V::size> operator~(const A& a) {                                           \
    metal::vec<typename V::Scalar, V::size> r;                                                                     \
    for (int i = 0; i < V::size; ++i) r[i] = typename V::Scalar(~a[i]);                                            \
    return r;                                                                                                      \
  }                                                                                                                \
  template <class A, class = std::enable_if_t<mx_msl::is_vector<A>>, class V = mx_msl::Traits<A>>                  \
  inline metal::vec<bool, V::size> operator!(const A& a) {                                                         \
    metal::vec<bool, V::size> r;                                                                                   \
    for (int i = 0; i < V::size; ++i) r[i] = !a[i];                                                                \
    return r;                                                                                                      \
  }
// One set, visible in both namespaces.
namespace metal {
MX_OPERATORS
}
namespace mx_msl {
using metal::operator+, metal::operator-, metal::operator*, metal::operator/, metal::operator%, metal::operator&, metal::operator|,
    metal::operator^, metal::operator<<, metal::operator>>, metal::operator==, metal::operator!=, metal::operator<, metal::operator>,
    metal::operator<=, metal::operator>=, metal::operator&&, metal::operator||, metal::operator+=, metal::operator-=,
    metal::operator*=, metal::operator/=, metal::operator%=, metal::operator&=, metal::operator|=, metal::operator^=,
    metal::operator<<=, metal::operator>>=, metal::operator~, metal::operator!;
}
#undef MX_OPERATORS
#undef MX_ASSIGN
#undef MX_BINARY

#define MX_VECTORS(t)             \
  using t##2 = metal::vec<t, 2>;  \
  using t##3 = metal::vec<t, 3>;  \
  using t##4 = metal::vec<t, 4>;  \
  using packed_##t##2 = metal::packed_vec<t, 2>; \
  using packed_##t##3 = metal::packed_vec<t, 3>; \
  using packed_##t##4 = metal::packed_vec<t, 4>;
MX_VECTORS(bool)
MX_VECTORS(char)
MX_VECTORS(uchar)
MX_VECTORS(short)
MX_VECTORS(ushort)
MX_VECTORS(int)
MX_VECTORS(uint)
MX_VECTORS(long)
MX_VECTORS(ulong)
MX_VECTORS(half)
MX_VECTORS(bfloat)
MX_VECTORS(float)
#undef MX_VECTORS

namespace metal {
template <class A, class = std::enable_if_t<mx_msl::is_vector<A>>>
inline bool all(const A& a) {
  bool r = true;
  for (int i = 0; i < mx_msl::Traits<A>::size; ++i) r = r && bool(a[i]);
  return r;
}
template <class A, class = std::enable_if_t<mx_msl::is_vector<A>>>
inline bool any(const A& a) {
  bool r = false;
  for (int i = 0; i < mx_msl::Traits<A>::size; ++i) r = r || bool(a[i]);
  return r;
}
inline bool all(bool a) { return a; }
inline bool any(bool a) { return a; }
template <class A, class B, class = std::enable_if_t<mx_msl::is_vector<A> && mx_msl::is_vector<B>>>
inline typename mx_msl::Traits<A>::Scalar dot(const A& a, const B& b) {
  typename mx_msl::Traits<A>::Scalar sum = a[0] * b[0];
  for (int i = 1; i < mx_msl::Traits<A>::size; ++i) sum += a[i] * b[i];
  return sum;
}
}  // namespace metal

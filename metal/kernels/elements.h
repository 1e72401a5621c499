// elements.h — element types as kernels compute with them: Compute<T>, the type in which T's arithmetic is done; convert<To>(x),
// the value in another type, as astype means it (csrc/scalar/cast.h; half and bfloat rounded once); and lists of all types.
#pragma once

#include "common.h"
#include "scalar/cast.h"

using complex64 = mx::scalar::Complex<float>;

template <class T>
struct ComputeOf {
  using type = T;
};
template <>
struct ComputeOf<half> {
  using type = float;
};
template <>
struct ComputeOf<bfloat> {
  using type = float;
};
/// float for half and bfloat, else T.
template <class T>
using Compute = typename ComputeOf<T>::type;

template <class A, class B>
struct SameType {
  enum { value = 0 };
};
template <class A>
struct SameType<A, A> {
  enum { value = 1 };
};

namespace elements_detail {

/// x as a float whose last bit is odd where bits were lost: rounding it again gives what rounding x would.
inline float to_odd(ulong x) {
  int excess = x >> 32 ? 40 - int(metal::clz(uint(x >> 32))) : 8 - int(metal::clz(uint(x)));
  if (excess <= 0) return float(uint(x));
  ulong kept = x >> excess;
  if (kept << excess != x) kept |= 1ul;
  return float(uint(kept)) * as_type<float>((excess + 127) << 23);
}
inline float to_odd(long x) { return x < 0 ? -to_odd(ulong(0) - ulong(x)) : to_odd(ulong(x)); }

template <class From>
struct Narrow {
  static float of(From x) { return float(x); }
};
template <>
struct Narrow<int> {
  static float of(int x) { return to_odd(long(x)); }
};
template <>
struct Narrow<uint> {
  static float of(uint x) { return to_odd(ulong(x)); }
};
template <>
struct Narrow<long> {
  static float of(long x) { return to_odd(x); }
};
template <>
struct Narrow<ulong> {
  static float of(ulong x) { return to_odd(x); }
};
template <>
struct Narrow<bool> {
  static float of(bool x) { return x ? 1.0f : 0.0f; }
};
template <>
struct Narrow<complex64> {
  static float of(complex64 x) { return x.re; }
};

template <class To>
struct Convert {
  template <class From>
  static To of(From x) { return mx::scalar::Cast<To>::of(x); }
  static To of(half x) { return mx::scalar::Cast<To>::of(float(x)); }
  static To of(bfloat x) { return mx::scalar::Cast<To>::of(float(x)); }
};
template <>
struct Convert<half> {
  template <class From>
  static half of(From x) { return half(Narrow<From>::of(x)); }
};
template <>
struct Convert<bfloat> {
  template <class From>
  static bfloat of(From x) { return bfloat(Narrow<From>::of(x)); }
};

}  // namespace elements_detail

template <class To, class From>
inline To convert(From x) {
  return elements_detail::Convert<To>::of(x);
}

/// x as arithmetic takes it: half and bfloat widened.
template <class T>
inline T widen(T x) { return x; }
inline float widen(half x) { return float(x); }
inline float widen(bfloat x) { return float(x); }

/// out[i] = x in the dtype with this number in csrc/base/dtype.h (a function constant, so that one case is left).
template <class T>
inline void store_as(int dtype, device uchar* out, ulong i, T x) {
  switch (dtype) {
#define STORE_AS(CODE, R) \
  case CODE: reinterpret_cast<device R*>(out)[i] = convert<R>(x); break;
    STORE_AS(0, bool)
    STORE_AS(1, uchar)
    STORE_AS(2, ushort)
    STORE_AS(3, uint)
    STORE_AS(4, ulong)
    STORE_AS(5, char)
    STORE_AS(6, short)
    STORE_AS(7, int)
    STORE_AS(8, long)
    STORE_AS(9, half)
    STORE_AS(10, bfloat)
    STORE_AS(11, float)
    STORE_AS(13, complex64)
#undef STORE_AS
  }
}

// X(type, its name in names of kernels), for all dtypes of a GPU.
#define FOR_INTEGERS(X) \
  X(uchar, "uint8") X(ushort, "uint16") X(uint, "uint32") X(ulong, "uint64") X(char, "int8") X(short, "int16") X(int, "int32") X(long, "int64")
#define FOR_REALS(X) X(half, "float16") X(bfloat, "bfloat16") X(float, "float32")
#define FOR_ALL_TYPES(X) X(bool, "bool") FOR_INTEGERS(X) FOR_REALS(X) X(complex64, "complex64")

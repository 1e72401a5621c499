// types.h — Metal's scalar types on the host: half and bfloat as classes (no compiler support needed), limits, traits, as_type.
#pragma once

#include <cfloat>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "machine.h"

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
static_assert(sizeof(long) == 8, "long and ulong have 64 bits in Metal");

namespace mx_msl {

inline uint32_t bits_of(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  return u;
}
inline float float_of(uint32_t u) {
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}

/// IEEE binary16.
struct HalfFormat {
  static float to_float(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
    if (exponent == 31) return float_of(sign | 0x7F800000 | (mantissa << 13));
    if (exponent) return float_of(sign | ((exponent + 112) << 23) | (mantissa << 13));
    return float_of(sign | bits_of(float(mantissa) * 0x1p-24f));
  }
  static uint16_t from_float(float f) {
    uint32_t x = bits_of(f), sign = (x >> 16) & 0x8000, a = x & 0x7FFFFFFF;
    if (a > 0x7F800000) return uint16_t(sign | 0x7E00);
    if (a >= 0x477FF000) return uint16_t(sign | 0x7C00);
    // Below the normal numbers the adder of float does the rounding; above, the last 13 bits are rounded to even.
    if (a < 0x38800000) return uint16_t(sign | (bits_of(float_of(a) + 0.5f) - 0x3F000000));
    return uint16_t(sign | ((a - 0x38000000 + 0xFFF + ((a >> 13) & 1)) >> 13));
  }
};

/// The upper half of a float.
struct BrainFormat {
  static float to_float(uint16_t b) { return float_of(uint32_t(b) << 16); }
  static uint16_t from_float(float f) {
    uint32_t x = bits_of(f);
    if ((x & 0x7FFFFFFF) > 0x7F800000) return uint16_t((x >> 16) | 64);
    return uint16_t((x + 0x7FFF + ((x >> 16) & 1)) >> 16);
  }
};

/// A 16-bit floating type: arithmetic is done in float and rounded. With an integer it stays what it is; with float it is float.
template <class Format>
struct Float16 {
  uint16_t bits;

  Float16() = default;
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Float16(T v) : bits(Format::from_float(float(v))) {}
  template <class Other, class = std::enable_if_t<!std::is_same_v<Other, Format>>>
  explicit Float16(Float16<Other> v) : bits(Format::from_float(float(v))) {}
  operator float() const { return Format::to_float(bits); }

#define MX_OPERATOR(o)                                                                                  \
  friend Float16 operator o(Float16 a, Float16 b) { return Float16(float(a) o float(b)); }              \
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>                                   \
  friend Float16 operator o(Float16 a, T b) { return a o Float16(b); }                                  \
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>                                   \
  friend Float16 operator o(T a, Float16 b) { return Float16(a) o b; }                                  \
  friend float operator o(Float16 a, float b) { return float(a) o b; }                                  \
  friend float operator o(float a, Float16 b) { return a o float(b); }                                  \
  template <class T, class = std::enable_if_t<std::is_convertible_v<T, float>>>                         \
  friend Float16& operator o##=(Float16& a, T b) { return a = Float16(float(a) o float(b)); }
  MX_OPERATOR(+)
  MX_OPERATOR(-)
  MX_OPERATOR(*)
  MX_OPERATOR(/)
#undef MX_OPERATOR
  friend Float16 operator-(Float16 a) {
    a.bits ^= 0x8000;
    return a;
  }
  friend Float16 operator+(Float16 a) { return a; }
  friend Float16& operator++(Float16& a) { return a += 1; }
};

template <class T>
constexpr bool is_float16 = false;
template <class F>
constexpr bool is_float16<Float16<F>> = true;
template <class T>
constexpr bool is_real = is_float16<T> || std::is_same_v<T, float>;
template <class T>
constexpr bool is_scalar = is_float16<T> || std::is_arithmetic_v<T>;

template <class T>
inline T from_bits(uint16_t bits) {
  T v;
  v.bits = bits;
  return v;
}

}  // namespace mx_msl

using half = mx_msl::Float16<mx_msl::HalfFormat>;
using bfloat = mx_msl::Float16<mx_msl::BrainFormat>;

template <class To, class From>
inline To as_type(From v) {
  static_assert(sizeof(To) == sizeof(From), "as_type needs types of one size");
  To to;
  std::memcpy(static_cast<void*>(&to), static_cast<const void*>(&v), sizeof to);
  return to;
}

namespace metal {

using ::bfloat;
using ::half;
using std::conditional;
using std::conditional_t;
using std::declval;
using std::enable_if;
using std::enable_if_t;
using std::false_type;
using std::integral_constant;
using std::is_convertible;
using std::is_convertible_v;
using std::is_integral;
using std::is_integral_v;
using std::is_same;
using std::is_same_v;
using std::is_signed;
using std::is_signed_v;
using std::is_unsigned;
using std::is_unsigned_v;
using std::make_signed_t;
using std::make_unsigned;
using std::make_unsigned_t;
using std::remove_const_t;
using std::remove_cv_t;
using std::remove_reference_t;
using std::true_type;

template <class T>
struct is_floating_point : std::bool_constant<mx_msl::is_real<T>> {};
template <class T>
constexpr bool is_floating_point_v = mx_msl::is_real<T>;
template <class T>
struct is_arithmetic : std::bool_constant<mx_msl::is_scalar<T>> {};
template <class T>
constexpr bool is_arithmetic_v = mx_msl::is_scalar<T>;

template <class T>
struct numeric_limits : std::numeric_limits<T> {};
template <>
struct numeric_limits<half> {
  static constexpr bool is_integer = false, is_signed = true, has_infinity = true;
  static constexpr int digits = 11, radix = 2, min_exponent = -13, max_exponent = 16;
  static half max() { return mx_msl::from_bits<half>(0x7BFF); }
  static half lowest() { return mx_msl::from_bits<half>(0xFBFF); }
  static half min() { return mx_msl::from_bits<half>(0x0400); }
  static half denorm_min() { return mx_msl::from_bits<half>(0x0001); }
  static half epsilon() { return mx_msl::from_bits<half>(0x1400); }
  static half infinity() { return mx_msl::from_bits<half>(0x7C00); }
  static half quiet_NaN() { return mx_msl::from_bits<half>(0x7E00); }
};
template <>
struct numeric_limits<bfloat> {
  static constexpr bool is_integer = false, is_signed = true, has_infinity = true;
  static constexpr int digits = 8, radix = 2, min_exponent = -125, max_exponent = 128;
  static bfloat max() { return mx_msl::from_bits<bfloat>(0x7F7F); }
  static bfloat lowest() { return mx_msl::from_bits<bfloat>(0xFF7F); }
  static bfloat min() { return mx_msl::from_bits<bfloat>(0x0080); }
  static bfloat denorm_min() { return mx_msl::from_bits<bfloat>(0x0001); }
  static bfloat epsilon() { return mx_msl::from_bits<bfloat>(0x3C00); }
  static bfloat infinity() { return mx_msl::from_bits<bfloat>(0x7F80); }
  static bfloat quiet_NaN() { return mx_msl::from_bits<bfloat>(0x7FC0); }
};

}  // namespace metal

#define METAL_FUNC inline
#define METAL_CONST const
#undef MAXFLOAT
#define MAXFLOAT FLT_MAX
#ifndef HUGE_VALF
#define HUGE_VALF __builtin_huge_valf()
#endif
#define HALF_MAX (::metal::numeric_limits<half>::max())
#define HALF_MIN (::metal::numeric_limits<half>::min())
#define HALF_EPSILON (::metal::numeric_limits<half>::epsilon())
#define BFLOAT_MAX (::metal::numeric_limits<bfloat>::max())
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LOG10E_F 0.43429448190325182765f
#define M_LN2_F 0.69314718055994530942f
#define M_LN10_F 2.30258509299404568402f
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_PI_4_F 0.78539816339744830962f
#define M_1_PI_F 0.31830988618379067154f
#define M_2_PI_F 0.63661977236758134308f
#define M_2_SQRTPI_F 1.12837916709551257390f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.70710678118654752440f

/// Where a function of the library was called: the default of its last parameters.
#define MX_HERE const char *mx_file = __builtin_FILE(), int mx_line = __builtin_LINE()
#define MX_PLACE(what) (::mx::metal::host::Place{mx_file, mx_line, what})

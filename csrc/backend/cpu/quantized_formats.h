// quantized_formats.h — small floating formats, one number at a time: e2m1 and e4m3 (the elements of fp4 and fp8), and e8m0
// (a power of two, the scale of the mx formats). OCP Microscaling Formats specification 1.0, sections 5.3 and 5.4.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace mx::cpu {

constexpr double kLargestE2m1 = 6, kLargestE4m3 = 448;
constexpr uint8_t kNanE8m0 = 255;

/// 0.5 steps to 2, whole ones to 4, and 6. Halfway cases go towards zero; so does NaN. A zero has no sign.
template <class T>
inline uint32_t to_e2m1(T x) {
  T a = std::abs(x);
  uint32_t code = uint32_t(a > T(0.25)) + (a > T(0.75)) + (a > T(1.25)) + (a > T(1.75)) + (a > T(2.5)) + (a > T(3.5)) + (a > T(5));
  return code | (x < T(0) && code ? 8u : 0u);
}

/// To nearest even; 448 for what is larger and for NaN. T is float or double.
template <class T>
inline uint32_t to_e4m3(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  constexpr int mantissa = std::numeric_limits<T>::digits - 1, drop = mantissa - 3;
  constexpr Bits bias = Bits(std::numeric_limits<T>::max_exponent - 1 - 7) << 3;
  T a = std::abs(x);
  a = a <= T(kLargestE4m3) ? a : T(kLargestE4m3);
  // Below 2^-6 in steps of 2^-9: adding a number with that unit in the last place rounds.
  constexpr T magic = T(uint64_t(1) << (mantissa - 9));
  Bits small = std::bit_cast<Bits>(a + magic) - std::bit_cast<Bits>(magic);
  Bits bits = std::bit_cast<Bits>(a);
  Bits large = ((bits + ((Bits(1) << (drop - 1)) - 1) + ((bits >> drop) & 1)) >> drop) - bias;
  return static_cast<uint32_t>(a < T(0.015625) ? small : large) | (std::signbit(x) ? 0x80u : 0u);
}

inline float from_e4m3(uint32_t code) {
  // Exponent and mantissa in a float's place are too small by 2^120; so are subnormals.
  float magnitude = std::bit_cast<float>((code & 0x7fu) << 20) * 0x1p120f;
  if ((code & 0x7fu) == 0x7fu) magnitude = std::numeric_limits<float>::quiet_NaN();
  return code & 0x80u ? -magnitude : magnitude;
}

inline float from_e8m0(uint32_t code) {
  if (code == kNanE8m0) return std::numeric_limits<float>::quiet_NaN();
  return std::bit_cast<float>(code ? code << 23 : 0x00400000u);
}

/// The smallest power of two not below `x`, limited to the range; that of 0 is 1. NaN and infinity give NaN.
template <class T>
inline uint32_t to_e8m0(T x) {
  if (x == T(0)) return 127;
  if (!std::isfinite(x)) return kNanE8m0;
  int exponent;
  T fraction = std::frexp(x, &exponent);
  return static_cast<uint32_t>(std::clamp(fraction == T(0.5) ? exponent - 1 : exponent, -127, 127) + 127);
}

}  // namespace mx::cpu

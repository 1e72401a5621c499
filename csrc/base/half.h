// half.h — float16 and bfloat16 as storage types. Arithmetic is done in float; these only convert,
// rounding to nearest even. NaN stays NaN, overflow gives infinity.
#pragma once

#include <bit>
#include <complex>
#include <cstdint>

namespace mx {

struct float16_t {
  uint16_t bits = 0;
  float16_t() = default;
  explicit float16_t(float x) : bits(from_float(x)) {}
  operator float() const { return to_float(bits); }

  static float to_float(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    // Shift exponent and mantissa into place, then rescale: 2^112 moves the bias from 15 to 127 and
    // makes subnormals come out right.
    float scaled = std::bit_cast<float>(magnitude << 13) * std::bit_cast<float>(0x77800000u);
    uint32_t bits = magnitude >= 0x7c00u ? 0x7f800000u | (magnitude << 13) : std::bit_cast<uint32_t>(scaled);
    return std::bit_cast<float>(sign | bits);
  }
  static uint16_t from_float(float x) {
    uint32_t f = std::bit_cast<uint32_t>(x);
    uint16_t sign = uint16_t((f >> 16) & 0x8000u);
    f &= 0x7fffffffu;
    if (f > 0x7f800000u) return sign | 0x7e00u;
    if (f >= 0x477ff000u) return sign | 0x7c00u;
    if (f < 0x38800000u) {
      // Subnormal: adding 0.5 aligns the mantissa so that the hardware rounds it for us.
      float shifted = std::bit_cast<float>(f) + 0.5f;
      return sign | uint16_t(std::bit_cast<uint32_t>(shifted) - 0x3f000000u);
    }
    uint32_t rounded = f + 0xc8000fffu + ((f >> 13) & 1u);
    return sign | uint16_t(rounded >> 13);
  }
};

struct bfloat16_t {
  uint16_t bits = 0;
  bfloat16_t() = default;
  explicit bfloat16_t(float x) : bits(from_float(x)) {}
  operator float() const { return to_float(bits); }

  static float to_float(uint16_t h) { return std::bit_cast<float>(uint32_t(h) << 16); }
  static uint16_t from_float(float x) {
    uint32_t f = std::bit_cast<uint32_t>(x);
    if ((f & 0x7fffffffu) > 0x7f800000u) return uint16_t((f >> 16) | 0x40u);
    return uint16_t((f + 0x7fffu + ((f >> 16) & 1u)) >> 16);
  }
};

using complex64_t = std::complex<float>;

}  // namespace mx

// small_floats.h — floats of 4 and 8 bits, one number at a time: e2m1 and e4m3 (elements of fp4 and fp8), and e8m0 (a power of two, the
// scale of the mx formats). OCP Microscaling Formats specification 1.0, 5.3 and 5.4; roundings as in
// csrc/backend/cpu/quantized_formats.h.
#pragma once

#include "common.h"

constexpr constant float kLargestE2m1 = 6.0f;
constexpr constant float kLargestE4m3 = 448.0f;
constexpr constant uint kNanE8m0 = 255;

/// 0.5 steps to 2, whole ones to 4, and 6. Halfway cases go towards zero; so does NaN. A zero has no sign.
inline uint to_e2m1(float x) {
  float a = metal::fabs(x);
  uint code = uint(a > 0.25f) + uint(a > 0.75f) + uint(a > 1.25f) + uint(a > 1.75f) + uint(a > 2.5f) + uint(a > 3.5f) + uint(a > 5.0f);
  return code | (x < 0.0f && code ? 8u : 0u);
}
inline float from_e2m1(uint code) {
  uint exponent = code >> 1 & 3u, mantissa = code & 1u;
  float magnitude = exponent == 0 ? float(mantissa) * 0.5f : as_type<float>((exponent + 126u) << 23 | mantissa << 22);
  return code & 8u ? -magnitude : magnitude;
}

/// To nearest even; 448 for what is larger and for NaN.
inline uchar to_e4m3(float x) {
  float a = metal::fabs(x);
  a = a <= kLargestE4m3 ? a : kLargestE4m3;
  uint bits = as_type<uint>(a);
  // Below 2^-6 in steps of 2^-9: adding a number with that unit in the last place rounds.
  uint small = as_type<uint>(a + 16384.0f) - as_type<uint>(16384.0f);
  uint large = ((bits + 0x7ffffu + (bits >> 20 & 1u)) >> 20) - (120u << 3);
  return uchar((a < 0.015625f ? small : large) | (as_type<uint>(x) >> 31 << 7));
}
inline float from_e4m3(uint code) {
  uint exponent = code >> 3 & 15u, mantissa = code & 7u;
  float magnitude = exponent == 0 ? float(mantissa) * 0.001953125f : as_type<float>((exponent + 120u) << 23 | mantissa << 20);
  if ((code & 0x7fu) == 0x7fu) magnitude = NAN;
  return code & 0x80u ? -magnitude : magnitude;
}

/// The smallest power of two not below x >= 0, limited to the range; that of 0 is 1. NaN and infinity give NaN.
inline uint to_e8m0(float x) {
  uint bits = as_type<uint>(x), exponent = bits >> 23, fraction = bits & 0x7fffffu;
  if (bits == 0) return 127;
  if (exponent >= 255) return kNanE8m0;
  if (exponent == 0) return fraction > 0x400000u ? 1 : 0;
  return min(254u, exponent + uint(fraction != 0));
}
inline float from_e8m0(uint code) {
  if (code == kNanE8m0) return NAN;
  return as_type<float>(code ? code << 23 : 0x00400000u);
}

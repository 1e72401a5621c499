// roots.h — roots of unity in float.
#pragma once

#include "common.h"

/// exp(-2 pi i k / n) for k < n < 2^59: the angle is brought to an eighth of the circle first, so it has no large error and symmetries are exact.
inline float2 root_of_unity(ulong k, ulong n) {
  ulong eighth = 8 * k / n, rest = 8 * k % n;
  if (eighth & 1) rest = n - rest;
  float angle = 0.785398163397448310f * (float(rest) / float(n)), c = cos(angle), s = sin(angle);
  switch (eighth) {
    case 0: return float2(c, -s);
    case 1: return float2(s, -c);
    case 2: return float2(-s, -c);
    case 3: return float2(-c, -s);
    case 4: return float2(-c, s);
    case 5: return float2(-s, c);
    case 6: return float2(s, c);
    default: return float2(c, s);
  }
}

inline float2 times(float2 a, float2 b) { return float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
inline float2 conjugate(float2 a) { return float2(a.x, -a.y); }

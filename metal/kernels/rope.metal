// rope.metal — rotary position embedding. A thread turns one pair of features of one position, for several of the leading rows,
// which share sine and cosine unless their positions differ. Angles grow to large multiples of a turn: they are kept in
// turns, as two floats, and only the fraction counts. Planned by backend/metal/plan/rope.cpp.

#include "elements.h"
#include "strided.h"

constant bool kTraditional [[function_constant(0)]];  // Neighbours are pairs, else the halves are.
constant bool kInverse [[function_constant(1)]];
constant bool kFreqs [[function_constant(2)]];        // Frequencies are given,
constant bool kRates [[function_constant(3)]];        // or rates, in turns.

struct RopeParams {
  long row, col;         // Strides of x,
  long freqs_col;        // and of the frequencies.
  long leading;          // Rows of positions.
  int positions, features, half_dims, each;
  float scale, scale_low;  // In turns: divided by 2 pi. The sum of both.
};

// The sum of two floats, the second much smaller.
struct TwoFloats {
  float high, low;
};
inline TwoFloats sum_of(float a, float b) {
  float s = a + b, t = s - a;
  TwoFloats r = {s, (a - (s - t)) + (b - t)};
  return r;
}
inline TwoFloats product_of(float a, float b) {
  float p = a * b;
  TwoFloats r = {p, fma(a, b, -p)};
  return r;
}

// What is left of `position` times `rate` turns without whole ones.
inline float turns(long position, TwoFloats rate) {
  // Parts of 23 bits are exact.
  float fraction = 0.0f;
  float unit = 1.0f;
  ulong left = ulong(position < 0 ? -position : position);
  for (int i = 0; i < 3 && left != 0; ++i) {
    TwoFloats p = product_of(float(uint(left & 0x7ffffful)), rate.high * unit);
    float more = fma(float(uint(left & 0x7ffffful)), rate.low * unit, p.low);
    fraction += (p.high - rint(p.high)) + (more - rint(more));
    left >>= 23;
    unit *= 8388608.0f;
  }
  fraction -= rint(fraction);
  return position < 0 ? -fraction : fraction;
}

// x: features, pairs first; y: positions; z: groups of `each` leading rows.
template <typename T>
[[kernel]] void rope(
    device const T* x [[buffer(0)]],
    device const long* offset [[buffer(1)]],
    device const float* freqs [[buffer(2), function_constant(kFreqs)]],
    device T* out [[buffer(3)]],
    constant RopeParams& p [[buffer(4)]],
    constant long* leading [[buffer(5)]],
    constant TwoFloats* rates [[buffer(6), function_constant(kRates)]],
    uint3 t [[thread_position_in_grid]]) {
  int i = int(t.x), position = int(t.y);
  bool turned = i < p.half_dims;
  int one = turned ? (kTraditional ? 2 * i : i) : i + p.half_dims, two = kTraditional ? one + 1 : i + p.half_dims;
  long known = 0;
  bool has_known = false;
  float s = 0.0f, c = 1.0f;
  for (long l = long(t.z) * p.each; l < min(p.leading, long(t.z + 1) * p.each); ++l) {
    Offsets<3> at = element_offsets<3>(leading, ulong(l));
    device const T* from = x + at.at[0] + position * p.row;
    device T* to = out + (l * p.positions + position) * p.features;
    if (!turned) {
      to[one] = from[one * p.col];
      continue;
    }
    long place = offset[at.at[1]] + position;
    if (kFreqs || !has_known || place != known) {
      TwoFloats rate = {0.0f, 0.0f};
      if (kFreqs) {
        float f = freqs[at.at[2] + i * p.freqs_col];
        float q = p.scale / f, rest = (fma(-q, f, p.scale) + p.scale_low) / f;
        rate = sum_of(q, isfinite(rest) ? rest : 0.0f);
      }
      if (kRates) {
        rate = rates[i];
      }
      float angle = turns(place, rate) * 6.28318530717958647692f;
      s = kInverse ? -sin(angle) : sin(angle);
      c = cos(angle);
      known = place;
      has_known = true;
    }
    float u = float(from[one * p.col]), v = float(from[two * p.col]);
    to[one] = T(u * c - v * s);
    to[two] = T(u * s + v * c);
  }
}

INSTANTIATE("rope_float32", rope, float)
INSTANTIATE("rope_float16", rope, half)
INSTANTIATE("rope_bfloat16", rope, bfloat)

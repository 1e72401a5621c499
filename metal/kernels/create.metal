// create.metal — arange_<dtype>: every element from its index. plan/create.cpp launches it.

#include "elements.h"
#include "strided.h"

constant bool exact [[function_constant(0)]];

// Element i is int_start + i * int_step if `exact`, else start + i * step, in pairs of floats (high, low); the last one is `last`.
struct Range {
  ulong n;
  long int_start, int_step;
  float start_hi, start_lo, step_hi, step_lo, last;
  uint unused;
};

struct Pair {
  float hi, lo;
};
inline Pair exact_sum(float a, float b) {
  float s = a + b, t = s - a;
  Pair p = {s, (a - (s - t)) + (b - t)};
  return p;
}
/// x (hi + lo) for a whole number x.
inline Pair times(float x, float hi, float lo) {
  float p = x * hi;
  Pair out = {p, metal::fma(x, hi, -p) + x * lo};
  return out;
}
inline Pair sum(Pair a, Pair b) {
  Pair s = exact_sum(a.hi, b.hi);
  return exact_sum(s.hi, s.lo + (a.lo + b.lo));
}

inline float element(constant Range& r, ulong i) {
  if (i == r.n - 1) return r.last;
  Pair start = {r.start_hi, r.start_lo};
  // The index in two halves that floats hold exactly.
  Pair steps = sum(times(float(uint(i & 0xffffff)), r.step_hi, r.step_lo), times(float(uint(i >> 24)) * 16777216.0f, r.step_hi, r.step_lo));
  return sum(start, steps).hi;
}

template <class T>
[[kernel]] void arange(
    device T* out [[buffer(0)]],
    constant Range& r [[buffer(1)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong i = linear_index(at, grid);
  if (i >= r.n) return;
  // In unsigned arithmetic, which wraps.
  if (exact) out[i] = T(convert<Compute<T>>(long(ulong(r.int_start) + i * ulong(r.int_step))));
  else out[i] = T(convert<Compute<T>>(element(r, i)));
}

#define ARANGE_KERNEL(T, NAME) INSTANTIATE("arange_" NAME, arange, T)
FOR_INTEGERS(ARANGE_KERNEL)
FOR_REALS(ARANGE_KERNEL)
ARANGE_KERNEL(complex64, "complex64")

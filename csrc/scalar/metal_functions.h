// metal_functions.h — functions of float that Metal's library lacks: expm1, log1p, erf, erfinv.
// The formulas and polynomials are those of backend/cpu/vector_math*.h in float32, with the same roundings.
//
// Included by math.h for Metal only. 2 ulp.
#pragma once

#include <metal_stdlib>

namespace mx::scalar {

namespace metal_functions {

using metal::fma;

// ln 2 in two pieces, the first so short that its product with an exponent is exact.
constant constexpr float kLn2 = 0.693359375f;
constant constexpr float kLn2Low = -2.12194440054690583e-4f;

inline float power_of_2(int n) { return as_type<float>((n + 127) << 23); }

/// e^x - 1 = 2^n (r + (r^2 tail - lo) + (1 - 2^-n)), with x = n ln 2 + r: whatever cancels is exact.
inline float expm1(float x) {
  if (x != x || metal::fabs(x) < 1e-9f) return x;
  if (x > 88.8f) return INFINITY;
  float c = x < -18.0f ? -18.0f : x, n = metal::rint(c * 1.44269504088896340736f);
  float hi = fma(-n, kLn2, c), lo = n * kLn2Low, r = hi - lo;
  float p = fma(0.000198456881f, r, 0.00139408873f);
  p = fma(p, r, 0.00833339058f);
  p = fma(p, r, 0.0416663587f);
  p = fma(p, r, 0.166666657f);
  p = fma(p, r, 0.5f);
  float tail = fma(r * r, p, -lo), less = 1.0f - (n > 100.0f ? 0.0f : power_of_2(int(-n)));
  float y = (less + hi) + tail;
  // 2^128 is no number.
  return n > 127.0f ? y * 2.0f * power_of_2(127) : y * power_of_2(int(n));
}

/// x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), for x > 0, normal and finite.
struct LogArgument {
  int e;
  float f;
};
inline LogArgument log_argument(float x) {
  int above = as_type<int>(x) - 0x3f3504f3, fraction = above & 0x7fffff;
  LogArgument a = {above >> 23, as_type<float>(fraction + 0x3f3504f3) - 1.0f};
  return a;
}
/// log(1 + f) - f.
inline float log_tail(float f) {
  float p = fma(-0.0764365867f, f, 0.127695546f);
  p = fma(p, f, -0.1316057f);
  p = fma(p, f, 0.142007053f);
  p = fma(p, f, -0.166232124f);
  p = fma(p, f, 0.200012654f);
  p = fma(p, f, -0.250008255f);
  p = fma(p, f, 0.333333313f);
  p = fma(p, f, -0.5f);
  return p * (f * f);
}
inline float log_sum(int e, float f, float more) { return fma(float(e), kLn2, f + fma(float(e), kLn2Low, more)); }

/// 1 + x = 2^e (1 + f) without the rounding of 1 + x: f = 2^-e x + (2^-e - 1).
inline float log1p(float x) {
  float u = 1.0f + x;
  if (!(u > 0.0f)) return u == 0.0f ? -INFINITY : NAN;
  if (!(u < INFINITY)) return x;
  LogArgument a = log_argument(u);
  // For the largest numbers x is 1 + x, and 2^-e no normal number.
  if (a.e > 120) return metal::log(x);
  float down = power_of_2(-a.e), f = fma(down, x, down - 1.0f);
  return metal::copysign(log_sum(a.e, f, log_tail(f)), x);
}

/// 1 - erf(x) for x > 0.925, by -log of it.
inline float erf_rest(float a) {
  float g = fma(-0.000195347835f, a, 0.00303744944f);
  g = fma(g, a, -0.0222039651f);
  g = fma(g, a, 0.103884026f);
  g = fma(g, a, 0.637236416f);
  g = fma(g, a, 1.12764347f);
  g = fma(g, a, 0.000203459946f);
  return metal::exp(-g);
}
/// Near 0 an odd polynomial, else 1 - e^-g(|x|).
inline float erf(float x) {
  float a = metal::fabs(x);
  if (!(a >= 0.925f)) {
    float z = x * x, p = fma(7.99801273e-5f, z, -0.000804999436f);
    p = fma(p, z, 0.00519241672f);
    p = fma(p, z, -0.0268557332f);
    p = fma(p, z, 0.112836257f);
    p = fma(p, z, -0.376126289f);
    p = fma(p, z, 0.128379166f);
    return fma(x, p, x);
  }
  return metal::copysign(1.0f - erf_rest(a > 4.0f ? 4.0f : a), x);
}

/// x times a function of w = -log(1 - x^2), after M. Giles, "Approximating the erfinv function" (GPU Computing Gems 2, 2011).
inline float erfinv(float x) {
  float a = metal::fabs(x), rest = (1.0f - a) * (1.0f + a);
  if (!(rest > 0.0f)) return a == 1.0f ? metal::copysign(float(INFINITY), x) : float(NAN);
  LogArgument log = log_argument(rest);
  float w = -log_sum(log.e, log.f, log_tail(log.f)), of, middle, first, p;
  if (w < 5.0f) {
    of = w;
    middle = 2.5703125f;
    first = 1.51873016f;
    float v = w - middle;
    p = fma(5.74324754e-10f, v, -8.20528356e-9f);
    p = fma(p, v, 8.82123263e-9f);
    p = fma(p, v, 4.69655561e-7f);
    p = fma(p, v, -3.18285811e-6f);
    p = fma(p, v, -6.33864101e-6f);
    p = fma(p, v, 0.000216245855f);
    p = fma(p, v, -0.00119166402f);
    p = fma(p, v, -0.00443510339f);
    p = fma(p, v, 0.246034592f);
  } else {
    of = metal::sqrt(w);
    middle = 3.0f;
    first = 2.83297682f;
    float u = of - middle;
    p = fma(-2.89964701e-5f, u, 0.000159607371f);
    p = fma(p, u, -0.000277793035f);
    p = fma(p, u, -0.000118855263f);
    p = fma(p, u, 0.00147500972f);
    p = fma(p, u, -0.00356759969f);
    p = fma(p, u, 0.00568777695f);
    p = fma(p, u, -0.00764268171f);
    p = fma(p, u, 0.00944529288f);
    p = fma(p, u, 1.00167525f);
  }
  // first + v p as a pair, for its rounding would meet that of the product.
  float v = of - middle, product = v * p, low = fma(v, p, -product);
  float sum = first + product, t = sum - first;
  low += (first - (sum - t)) + (product - t) + (of - (v + middle)) * p;
  return metal::copysign(fma(a, sum, a * low), x);
}

}  // namespace metal_functions

}  // namespace mx::scalar

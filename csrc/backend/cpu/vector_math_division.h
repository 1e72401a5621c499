// vector_math_division.h — remainder and floor_divide: exact, as long as the quotient is a whole number that F can hold; the
// few others one by one.
#pragma once

#include "backend/cpu/vector_math_base.h"
#include "backend/cpu/vector_math_rare.h"

namespace mx::cpu::vector_math {

/// The quotient of magnitudes, cut off, and what is left of a: exact where not `rare`.
template <class F>
struct Division {
  F quotient, rest;
  typename F::M rare;
};
template <class F>
MX_INLINE Division<F> divided(F a, F b) {
  F zero = num<F>(0), one = num<F>(1);
  F exact = a / b, q = trunc(exact), r = residue(a, q, b);
  // The rounded quotient may be too large by one, or with it the multiple of b too small.
  auto above = r < zero;
  r = select(above, r + b, r);
  q = select(above, q - one, q);
  auto below = r >= b;
  r = select(below, r - b, r);
  q = select(below, q + one, q);
  // Infinite b: nothing is taken away. Products with tiny b lose bits where there is no fused multiply-add.
  auto infinite = b == infinity<F>();
  r = select(infinite, a, r);
  q = select(infinite, a * zero, q);
  auto rare = exact >= num<F>(is_float32<F> ? 0x1p22 : 0x1p51);
  if constexpr (!is_fused<F>) rare = rare | (b < num<F>(is_float32<F> ? 0x1p-90 : 0x1p-900)) | (a > num<F>(is_float32<F> ? 0x1p110 : 0x1p1000));
  return {q, r, rare & (b != zero) & (a < infinity<F>())};
}

/// With the sign of b, also that of a zero. x mod +-inf is x, or +-inf where the signs differ; x mod 0 is NaN.
template <class F>
MX_INLINE F remainder(F a, F b) {
  F zero = num<F>(0), size = abs(b);
  auto [q, r, rare] = divided(abs(a), size);
  F signed_rest = flip(r, sign_of(a));
  auto other_side = (sign_of(a) ^ sign_of(b)) == sign_mask<F>();
  F y = select(r == zero, as_float(sign_of(b)), select(other_side, signed_rest + b, signed_rest));
  y = select((b == zero) | (abs(a) == infinity<F>()) | (a != a) | (b != b), not_a_number<F>(), y);
  return repair(rare, a, b, y, rare::remainder);
}

/// floor(a / b), without the rounding of a / b; a / 0 and +-inf / b as in divide.
template <class F>
MX_INLINE F floor_divide(F a, F b) {
  F zero = num<F>(0), exact = a / b;
  auto [q, r, rare] = divided(abs(a), abs(b));
  auto other_side = (sign_of(a) ^ sign_of(b)) == sign_mask<F>();
  F y = flip(select(other_side & (r != zero), q + num<F>(1), q), sign_of(a) ^ sign_of(b));
  y = select((b == zero) | (abs(a) == infinity<F>()) | (exact != exact), exact, y);
  return repair(rare, a, b, y, rare::floor_divide);
}

}  // namespace mx::cpu::vector_math

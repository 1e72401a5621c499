// vector_rows.h — the rows of ops/unary.def, binary.def and ternary.def that compute in floats, as types over lanes: like unary_exp
// of loops_impl.h, but `of` takes and gives lane types (lanes.h). Include it where vector_math.h may stand.
//
//   vector_rows::unary_exp::of(x)       the same values as scalar::exp, within the errors of docs/accuracy.md
//   vector_rows::binary_less::of(a, b)  F::M where the row gives bool
//
// Rows of integers and bool have no such type: logical_*, bitwise_*, *_shift, bitwise_invert.
#pragma once

#include "backend/cpu/vector_math.h"

namespace mx::cpu::vector_rows {

namespace vm = vector_math;

#define ROW1(NAME, ...)                                  \
  struct unary_##NAME {                                  \
    template <class F>                                   \
    static MX_INLINE auto of(F x) {                      \
      return __VA_ARGS__;                                \
    }                                                    \
  };
#define ROW2(NAME, ...)                                  \
  struct binary_##NAME {                                 \
    template <class F>                                   \
    static MX_INLINE auto of(F a, F b) {                 \
      return __VA_ARGS__;                                \
    }                                                    \
  };

ROW1(abs, abs(x))
ROW1(negative, -x)
ROW1(square, x * x)
ROW1(sign, select(x == x, select(x > vm::num<F>(0), vm::num<F>(1), select(x < vm::num<F>(0), vm::num<F>(-1), vm::num<F>(0))), x))
ROW1(sqrt, sqrt(x))
ROW1(rsqrt, vm::num<F>(1) / sqrt(x))
ROW1(reciprocal, vm::num<F>(1) / x)
ROW1(exp, vm::exp(x))
ROW1(expm1, vm::expm1(x))
ROW1(log, vm::log(x))
ROW1(log2, vm::log2(x))
ROW1(log10, vm::log10(x))
ROW1(log1p, vm::log1p(x))
ROW1(sigmoid, vm::sigmoid(x))
ROW1(erf, vm::erf(x))
ROW1(erfinv, vm::erfinv(x))
ROW1(sin, vm::sin(x))
ROW1(cos, vm::cos(x))
ROW1(tan, vm::tan(x))
ROW1(arcsin, vm::arcsin(x))
ROW1(arccos, vm::arccos(x))
ROW1(arctan, vm::arctan(x))
ROW1(sinh, vm::sinh(x))
ROW1(cosh, vm::cosh(x))
ROW1(tanh, vm::tanh(x))
ROW1(arcsinh, vm::arcsinh(x))
ROW1(arccosh, vm::arccosh(x))
ROW1(arctanh, vm::arctanh(x))
ROW1(floor, floor(x))
ROW1(ceil, ceil(x))
ROW1(trunc, trunc(x))
ROW1(rint, round(x))
ROW1(isnan, x != x)
ROW1(isinf, abs(x) == vm::infinity<F>())
ROW1(isfinite, abs(x) < vm::infinity<F>())
ROW1(signbit, vm::sign_of(x) == vm::sign_mask<F>())

ROW2(add, a + b)
ROW2(subtract, a - b)
ROW2(multiply, a * b)
ROW2(strong_zero_multiply, select((a == vm::num<F>(0)) | (b == vm::num<F>(0)), vm::num<F>(0), a * b))
ROW2(divide, a / b)
ROW2(floor_divide, vm::floor_divide(a, b))
ROW2(remainder, vm::remainder(a, b))
ROW2(power, vm::power(a, b))
ROW2(arctan2, vm::arctan2(a, b))
ROW2(hypot, vm::hypot(a, b))
ROW2(copysign, vm::with_sign_of(abs(a), b))
ROW2(logaddexp, vm::logaddexp(a, b))
// b where they are equal; NaN where either is.
ROW2(maximum, select(a == a, max(a, b), a))
ROW2(minimum, select(a == a, min(a, b), a))
ROW2(equal, a == b)
ROW2(not_equal, a != b)
ROW2(less, a < b)
ROW2(less_equal, a <= b)
ROW2(greater, a > b)
ROW2(greater_equal, a >= b)

#undef ROW1
#undef ROW2

struct ternary_select {
  template <class M, class F>
  static MX_INLINE F of(M condition, F x, F y) {
    return select(condition, x, y);
  }
};

}  // namespace mx::cpu::vector_rows

// cast.h — the value of one element in another type. What this folder's types cannot say (float16, bfloat16) is
// converted by way of float by the callers.
#pragma once

#include "scalar/complex.h"

namespace mx::scalar {

namespace cast_detail {

/// Truncates; what is out of range becomes the nearest representable number, NaN becomes 0.
template <class To, class From>
MX_FN To cast(From x, Integer, Real) {
  // 2^(width - sign bit): exact in every From, one more than To can hold.
  From end = From(To(1) << (8 * sizeof(To) - (To(-1) < To(0) ? 2 : 1))) * From(2);
  From low = To(-1) < To(0) ? -end : From(0);
  To top = m::numeric_limits<To>::max(), bottom = m::numeric_limits<To>::min();
  return x >= end ? top : x <= low ? bottom : x == x ? To(x) : To(0);
}
template <class To, class From> MX_FN To cast(From x, Integer, Integer) { return To(x); }
template <class To, class From> MX_FN To cast(From x, Real, Integer) { return To(x); }
template <class To, class From> MX_FN To cast(From x, Real, Real) { return To(x); }

}  // namespace cast_detail

template <class To>
struct Cast {
  template <class From>
  MX_FN static To of(From x) { return cast_detail::cast<To>(x, category<To>(), category<From>()); }
  MX_FN static To of(bool x) { return x ? To(1) : To(0); }
  template <class R>
  MX_FN static To of(Complex<R> x) { return of(x.re); }
};
template <class S>
struct Cast<Complex<S>> {
  template <class From>
  MX_FN static Complex<S> of(From x) { return make_complex(Cast<S>::of(x), S(0)); }
  template <class R>
  MX_FN static Complex<S> of(Complex<R> x) { return complex_cast<S>(x); }
};
template <>
struct Cast<bool> {
  template <class From>
  MX_FN static bool of(From x) { return x != From(0); }
  template <class R>
  MX_FN static bool of(Complex<R> x) { return x.re != R(0) || x.im != R(0); }
};

}  // namespace mx::scalar

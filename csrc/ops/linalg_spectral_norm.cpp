// linalg_spectral_norm.cpp — norms and the cross product, made of reductions and singular values.
//
// Roots and powers are taken of 1 wherever the true argument would have an infinite slope, and the value is put in
// afterwards: derivatives of every order are finite, and 0 at a zero vector.

#include <cmath>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/linalg_spectral.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::linalg {

namespace {

/// Half precision is widened, integers become float32.
Dtype working_type(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16 || !is_inexact(t) ? Dtype::float32 : t; }

/// `f` of `a` in the working type, in the dtype of the result.
template <class F>
array widened(const array& a, F&& f) {
  return astype(f(astype(a, working_type(a.dtype()))), real_type(at_least_float(a.dtype())));
}

array squared_magnitude(const array& x) {
  return is_complex(x.dtype()) ? square(real(x)) + square(imag(x)) : square(x);
}

array two_norm(const array& x, const Axes& axes, bool keepdims) {
  array s = sum(squared_magnitude(x), axes, keepdims);
  array none = equal(s, weak(0, s));
  return where(none, weak(0, s), sqrt(where(none, weak(1, s), s)));
}

/// abs(x)^p and its inverse, with a zero derivative where the slope has no finite value.
array safe_power(const array& x, double p) {
  array odd = logical_or(equal(x, weak(0, x)), isinf(x));
  array one = weak(1, x), exponent = weak(p, x);
  return where(odd, power(stop_gradient(where(odd, x, one)), exponent), power(where(odd, one, x), exponent));
}

array p_norm(const array& x, double p, const Axes& axes, bool keepdims) {
  return safe_power(sum(safe_power(abs(x), p), axes, keepdims), 1 / p);
}

array vector_norm(const array& x, double ord, const Axes& axes, bool keepdims) {
  if (ord == 0) return astype(sum(astype(not_equal(x, weak(0, x)), real_type(x.dtype())), axes, keepdims), real_type(x.dtype()));
  if (ord == 1) return sum(abs(x), axes, keepdims);
  if (ord == 2) return two_norm(x, axes, keepdims);
  if (std::isinf(ord)) return ord > 0 ? max(abs(x), axes, keepdims) : min(abs(x), axes, keepdims);
  return p_norm(x, ord, axes, keepdims);
}

/// Singular values of the matrices that lie along two axes, in a last axis.
array values_along(const array& x, const Axes& axes) { return singular_values(moveaxis(x, axes, {-2, -1})); }

array with_axes_again(const array& y, const Axes& axes, int ndim, bool keepdims) {
  return keepdims ? expand_dims(y, normalize_axes(axes, ndim, "linalg.norm")) : y;
}

array matrix_norm(const array& x, double ord, const Axes& axes, bool keepdims) {
  if (std::abs(ord) == 2) {
    array s = values_along(x, axes);
    return with_axes_again(ord > 0 ? max(s, -1) : min(s, -1), axes, x.ndim(), keepdims);
  }
  if (std::abs(ord) != 1 && !std::isinf(ord)) {
    throw ValueError(cat("[linalg.norm] ord is wrong for matrices: it is ", ord, "; need 1, -1, 2, -2, inf, -inf, 'fro' or 'nuc'."));
  }
  bool columns = std::abs(ord) == 1;
  array sums = sum(abs(x), Axes{columns ? axes[0] : axes[1]}, true);
  Axes other{columns ? axes[1] : axes[0]};
  array y = ord > 0 ? max(sums, other, true) : min(sums, other, true);
  return keepdims ? y : squeeze(y, axes);
}

/// The axes as they were given, but none of them twice or out of range; all axes if none were given.
Axes checked_axes(const array& a, const std::optional<Axes>& axes) {
  if (!axes) return all_axes(a.ndim());
  normalize_axes(*axes, a.ndim(), "linalg.norm");
  Axes fixed;
  for (int axis : *axes) fixed.push_back(normalize_axis(axis, a.ndim(), "linalg.norm"));
  return fixed;
}

[[noreturn]] void wrong_axes(const Axes& axes) {
  throw ValueError(cat("[linalg.norm] the number of axes is ", axes.size(), "; need 1 (vectors) or 2 (matrices). Give `axis`."));
}

void check_cross(const array& a, int axis, const char* which) {
  int64_t n = a.shape(normalize_axis(axis, a.ndim(), "linalg.cross"));
  if (n != 2 && n != 3) {
    throw ValueError(cat("[linalg.cross] the size of the axis is wrong: ", which, " has shape ", a.shape(), ", axis ", axis,
                         "; need size 2 or 3."));
  }
}

}  // namespace

array norm(const array& a, const std::optional<Axes>& axes, bool keepdims) {
  Axes fixed = checked_axes(a, axes);
  if (axes && fixed.size() > 2) wrong_axes(fixed);
  return widened(a, [&](const array& x) { return two_norm(x, fixed, keepdims); });
}

array norm(const array& a, double ord, const std::optional<Axes>& axes, bool keepdims) {
  Axes fixed = checked_axes(a, axes);
  if (fixed.size() != 1 && fixed.size() != 2) wrong_axes(fixed);
  return widened(a, [&](const array& x) {
    return fixed.size() == 1 ? vector_norm(x, ord, fixed, keepdims) : matrix_norm(x, ord, fixed, keepdims);
  });
}

array norm(const array& a, const std::string& ord, const std::optional<Axes>& axes, bool keepdims) {
  Axes fixed = checked_axes(a, axes);
  if (fixed.size() != 2) {
    throw ValueError(cat("[linalg.norm] ord is '", ord, "', a norm of matrices, but the number of axes is ", fixed.size(), "; need 2."));
  }
  return widened(a, [&](const array& x) {
    if (ord == "fro" || ord == "f") return two_norm(x, fixed, keepdims);
    if (ord == "nuc") return with_axes_again(sum(values_along(x, fixed), -1), fixed, x.ndim(), keepdims);
    throw ValueError(cat("[linalg.norm] ord is wrong for matrices: it is '", ord, "'; need 'fro' or 'nuc', or a number."));
  });
}

array cross(const array& a, const array& b, int axis) {
  check_cross(a, axis, "a");
  check_cross(b, axis, "b");
  Dtype t = promote(a.dtype(), b.dtype());
  auto three = [&](const array& x) {
    array y = astype(x, t);
    return y.shape(axis) == 3 ? y : pad(y, {axis}, {0}, {1});
  };
  Arrays both = broadcast_arrays({three(a), three(b)});
  auto part = [&](const array& x, int i) { return slice_along(x, axis, i, i + 1); };
  const array &x = both[0], &y = both[1];
  auto component = [&](int i, int j) { return part(x, i) * part(y, j) - part(x, j) * part(y, i); };
  return concatenate({component(1, 2), component(2, 0), component(0, 1)}, axis);
}

}  // namespace mx::linalg

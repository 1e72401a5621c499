// linalg_standard.cpp — functions of the array API standard made of other operations: no primitives, so no rules.

#include "ops/linalg_standard.h"

#include <algorithm>

#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::linalg {

namespace {

double eps_of(Dtype t) { return t == Dtype::float64 ? 0x1p-52 : 0x1p-23; }

void check_matrices_of(const array& a, std::string_view op) {
  if (a.ndim() < 2) throw ValueError(cat("[linalg.", op, "] a has shape ", a.shape(), "; need at least two dimensions."));
}

// The singular values s (..., k) up to which they count as zero: shape (..., 1).
array cutoff(const array& s, const array& rtol) {
  if (s.shape(-1) == 0) return expand_dims(sum(s, -1), {-1});
  array largest = max(s, -1, true);
  return stop_gradient(largest) * (rtol.ndim() == 0 ? astype(rtol, s.dtype()) : expand_dims(astype(rtol, s.dtype()), {-1}));
}

}  // namespace

array vector_norm(const array& a, const Axes& axes, double ord, bool keepdims) {
  Axes fixed = normalize_axes(axes, a.ndim(), "linalg.vector_norm");
  Shape kept, ones(a.shape());
  Axes order;
  int64_t length = 1;
  for (int i = 0; i < a.ndim(); ++i) {
    if (std::find(fixed.begin(), fixed.end(), i) == fixed.end()) {
      kept.push_back(a.shape(i));
      order.push_back(i);
    } else {
      length *= a.shape(i);
      ones[static_cast<size_t>(i)] = 1;
    }
  }
  for (int i : fixed) order.push_back(i);
  Shape together(kept);
  together.push_back(length);
  array vectors = reshape(transpose(a, order), together);
  return reshape(norm(vectors, ord, Axes{-1}), keepdims ? ones : kept);
}

array matrix_power(const array& a, int64_t n) {
  check_matrices_of(a, "matrix_power");
  if (a.shape(-1) != a.shape(-2)) {
    throw ValueError(cat("[linalg.matrix_power] the matrices are not square: a has shape ", a.shape(), "."));
  }
  if (n < 0) return matrix_power(inv(a), -n);
  if (n == 0) return broadcast_to(eye(a.shape(-1), a.shape(-1), 0, a.dtype()), a.shape());
  // The binary digits of n, lowest first.
  array power, square = a;
  for (;; n >>= 1) {
    if (n & 1) power = power.defined() ? matmul(power, square) : square;
    if (n == 1) return power;
    square = matmul(square, square);
  }
}

array matrix_rank(const array& a, const array& rtol) {
  check_matrices_of(a, "matrix_rank");
  array s = singular_values(is_inexact(a.dtype()) ? a : astype(a, Dtype::float32));
  double n = static_cast<double>(std::max(a.shape(-1), a.shape(-2)));
  array limit = cutoff(s, rtol.defined() ? rtol : array(n * eps_of(s.dtype()), s.dtype()));
  return count_nonzero(greater(s, limit), Axes{-1});
}

array pinv(const array& a, const array& rtol) {
  check_matrices_of(a, "pinv");
  auto [u, s, vh] = svd(a, false);
  array keep = greater(s, cutoff(s, rtol)), one = ones_like(s);
  array inverse = where(keep, reciprocal(where(keep, s, one)), zeros_like(s));
  auto adjoint = [](const array& x) { return conjugate(matrix_transpose(x)); };
  return matmul(adjoint(vh) * astype(expand_dims(inverse, {-2}), a.dtype()), adjoint(u));
}

std::pair<array, array> qr_complete(const array& a) {
  check_matrices_of(a, "qr");
  int64_t m = a.shape(-2), n = a.shape(-1);
  if (m <= n) return qr(a);
  // Further columns of the identity complete the basis.
  Shape shape(a.shape());
  shape.back() = m;
  auto [q, r] = qr(concatenate({a, broadcast_to(eye(m, m, 0, a.dtype()), shape)}, -1));
  return {q, slice_along(r, r.ndim() - 1, 0, n)};
}

}  // namespace mx::linalg

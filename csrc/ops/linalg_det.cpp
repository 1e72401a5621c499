// linalg_det.cpp — determinants, by the LU factors of a frozen copy of the matrix.
//
// The derivative of det(a) is tr(adj(a)·da) (Jacobi), with the adjugate, which exists for every matrix; that of the
// adjugate needs the products of all singular values but two, which exist as well. So first and second derivatives
// are right for singular matrices; from the third on the formula divides by the determinant.

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/linalg.h"
#include "ops/linalg_detail.h"
#include "ops/linalg_spectral.h"
#include "ops/matmul.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

using linalg::detail::adjoint;
using linalg::detail::frozen_lu;
using linalg::detail::lu_inverse;

namespace {

Type one_per_matrix(const array& a, Dtype t) { return {t, Shape(a.shape().begin(), a.shape().end() - 2)}; }

array det_of(const array& a, const array& lu, const array& pivots) {
  return make_node(det_p, {}, {a, lu, pivots}, one_per_matrix(a, a.dtype()));
}
Arrays slogdet_of(const array& a, const array& lu, const array& pivots) { return make_nodes(slogdet_p, {}, {a, lu, pivots}); }
array adjugate(const array& a, const array& lu, const array& pivots) { return make_node(adjugate_p, {}, {a, lu, pivots}, a.type()); }
array adjugate_slope(const array& a, const array& t) { return make_node(adjugate_slope_p, {}, {a, t}, a.type()); }

array pivots_of(const array& lu) { return diagonal(lu, 0, -2, -1); }

// tr(x·y)
array trace_of_product(const array& x, const array& y) { return sum(matrix_transpose(x) * y, Axes{-2, -1}); }
array as_matrix(const array& scalars) { return expand_dims(scalars, Axes{-2, -1}); }

// 1 or -1: the parity of the swaps.
array parity(const array& pivots, Dtype t) {
  array swaps = sum(astype(not_equal(pivots, arange(pivots.shape(-1), Dtype::uint32)), Dtype::int32), -1);
  return astype(1 - 2 * remainder(swaps, array(2)), t);
}

array imaginary_unit() { return array(complex64_t(0, 1)); }

array identity_like(const array& a) { return eye(a.shape(-1), a.shape(-1), 0, Dtype::bool_); }

// a's factors with pivots below rounding moved away from zero. That changes a by as little as factoring it did.
array away_from_singular(const array& lu) {
  if (lu.size() == 0) return lu;
  array size = abs(lu), largest = max(size, Axes{-2, -1}, true);
  double eps = lu.dtype() == Dtype::float64 ? 0x1p-52 : 0x1p-23;
  // For a matrix of zeros, whose adjugate is zero from 2 x 2 on, a number so small that its square is zero.
  array least = where(equal(largest, zeros_like(largest)), array(lu.dtype() == Dtype::float64 ? 1e-200 : 1e-25, largest.dtype()), eps * largest);
  array replace = logical_and(identity_like(lu), less(size, least));
  return where(replace, astype(broadcast_to(least, lu.shape()), lu.dtype()), lu);
}

// (..., n, n): the product of all s but s_i and s_j, and 0 on the diagonal. Exact zeros among s are left out of the
// logarithms and counted instead.
array products_but_two(const array& s) {
  array zero = equal(s, zeros_like(s));
  array logs = log(where(zero, array(1, s.dtype()), s));
  array zeros_in = astype(zero, Dtype::int32);
  auto but_two = [](const array& x) {
    return expand_dims(sum(x, -1, true), -1) - expand_dims(x, -1) - expand_dims(x, -2);
  };
  array none_left = logical_and(equal(but_two(zeros_in), array(0)), logical_not(eye(s.shape(-1), s.shape(-1), 0, Dtype::bool_)));
  array product = exp(but_two(logs));
  return where(none_left, product, zeros_like(product));
}

// The derivative of adjugate_slope(a, x) with respect to a (i = 0) or x (i = 1), in direction t; symmetric in x and t.
array next_slope(const array& a, const array& x, int i, const array& t) {
  if (i == 1) return adjugate_slope(a, t);
  // The product rule on det · (tr(y·x) y - y·x·y), y the inverse, with d det = det · tr(y·t), dy = -y·t·y.
  Arrays f = frozen_lu(a);
  array y = lu_inverse(a, f[0], f[1]), yx = matmul(y, x), yt = matmul(y, t);
  array tr_x = as_matrix(trace(yx, 0, -2, -1, a.dtype())), tr_t = as_matrix(trace(yt, 0, -2, -1, a.dtype()));
  array tr_xt = as_matrix(trace_of_product(yx, yt));
  array terms = (tr_x * tr_t - tr_xt) * y - matmul(tr_t * yx + tr_x * yt - matmul(yx, yt) - matmul(yt, yx), y);
  return as_matrix(det_of(a, f[0], f[1])) * terms;
}

}  // namespace

// Records with .expand need both modes: the expansion stands on frozen factors, through which nothing passes.

const Primitive det_p = define<NoParams>({
    .name = "det",
    .infer = [](auto&, const Call& c) { return one_per_matrix(c.in(0), c.in(0).dtype()); },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      return trace_of_product(adjugate(c.in(0), c.in(1), c.in(2)), t);
    },
    .vjp = [](auto&, const Call& c, int, const Outs& ct) {
      return as_matrix(ct[0]) * adjoint(adjugate(c.in(0), c.in(1), c.in(2)));
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return det_of(b.in(0), b.in(1), b.in(2)); },
    .expand = [](auto&, const Call& c) -> Outs { return prod(pivots_of(c.in(1)), -1) * parity(c.in(2), c.in(1).dtype()); },
    .first_index_input = 1,
});

// tr(x · d adj(a)[t]) is the second derivative of det(a) in directions x and t, so symmetric: that gives the transpose.
const Primitive adjugate_p = define<NoParams>({
    .name = "adjugate",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs { return adjugate_slope(c.in(0), t); },
    .vjp = [](auto&, const Call& c, int, const Outs& ct) { return adjoint(adjugate_slope(c.in(0), adjoint(ct[0]))); },
    .vmap = [](auto&, const Batch& b) -> Outs { return adjugate(b.in(0), b.in(1), b.in(2)); },
    .expand = [](auto&, const Call& c) -> Outs {
      array lu = away_from_singular(c.in(1));
      return as_matrix(det_of(c.in(0), lu, c.in(2))) * lu_inverse(c.in(0), lu, c.in(2));
    },
    .first_index_input = 1,
});

const Primitive adjugate_slope_p = define<NoParams>({
    .name = "adjugate_slope",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto&, const Call& c, int i, const array& t) -> Outs { return next_slope(c.in(0), c.in(1), i, t); },
    .vjp = [](auto&, const Call& c, int i, const Outs& ct) { return adjoint(next_slope(c.in(0), c.in(1), i, adjoint(ct[0]))); },
    .vmap = [](auto&, const Batch& b) -> Outs { return adjugate_slope(b.in(0), b.in(1)); },
    // a = u·s·v: adj(a + t) = det(u) det(v) · vᴴ · adj(s + f) · uᴴ with f = uᴴ·t·vᴴ, to first order in f.
    .expand = [](auto&, const Call& c) -> Outs {
      auto [u, s, v] = linalg::svd(c.in(0), false);
      array f = matmul(matmul(adjoint(u), c.in(1)), adjoint(v)), w = products_but_two(s);
      array on = expand_dims(diagonal(f, 0, -2, -1), -1);
      array slope = where(identity_like(f), matmul(astype(w, f.dtype()), on), negative(w * f));
      array phase = as_matrix(linalg::det(u) * linalg::det(v));
      return phase * matmul(matmul(adjoint(v), slope), adjoint(u));
    },
});

// d log|det| = Re tr(y·t), d sign = i · Im tr(y·t) · sign, y the inverse.
const Primitive slogdet_p = define<NoParams>({
    .name = "slogdet",
    .infer = [](auto&, const Call& c) -> Inferred {
      Dtype t = c.in(0).dtype();
      return Types{one_per_matrix(c.in(0), t), one_per_matrix(c.in(0), real_type(t))};
    },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      // Where a cotangent is zero, an infinite inverse must not make it NaN.
      array y = lu_inverse(c.in(0), c.in(1), c.in(2));
      array slope = sum(strong_zero_multiply(matrix_transpose(y), t), Axes{-2, -1});
      if (!is_complex(t.dtype())) return {array(), slope};
      return {imaginary_unit() * imag(slope) * c.out(0), real(slope)};
    },
    // Both outputs' cotangents meet as one factor of yᴴ.
    .vjp = [](auto&, const Call& c, int, const Outs& ct) {
      array y = adjoint(lu_inverse(c.in(0), c.in(1), c.in(2)));
      array factor = is_complex(y.dtype()) ? ct[1] + imaginary_unit() * imag(conjugate(c.out(0)) * ct[0]) : ct[1];
      return strong_zero_multiply(broadcast_to(as_matrix(factor), y.shape()), y);
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return slogdet_of(b.in(0), b.in(1), b.in(2)); },
    .expand = [](auto&, const Call& c) -> Outs {
      array pivots = pivots_of(c.in(1));
      return {prod(sign(pivots), -1) * parity(c.in(2), pivots.dtype()), sum(log(abs(pivots)), -1)};
    },
    .first_index_input = 1,
});

namespace linalg {

namespace {

// Halves are computed in float32, integers become that.
array widened(const array& a, const char* op) {
  Dtype t = a.dtype() == Dtype::float64 || is_complex(a.dtype()) ? a.dtype() : Dtype::float32;
  array x = astype(a, t);
  detail::check_square(x, op);
  return x;
}

}  // namespace

array det(const array& a) {
  array x = widened(a, "det");
  Arrays f = frozen_lu(x);
  return astype(det_of(x, f[0], f[1]), at_least_float(a.dtype()));
}

std::pair<array, array> slogdet(const array& a) {
  array x = widened(a, "slogdet");
  Arrays f = frozen_lu(x);
  Arrays out = slogdet_of(x, f[0], f[1]);
  Dtype t = at_least_float(a.dtype());
  return {astype(out[0], t), astype(out[1], real_type(t))};
}

}  // namespace linalg

}  // namespace mx

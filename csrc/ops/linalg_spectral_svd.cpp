// linalg_spectral_svd.cpp — singular values and vectors, the pseudo-inverse, and the square root of a covariance matrix.
//
// With a = u·diag(s)·vᴴ and p = uᴴ·da·v, skew-Hermitian wu = uᴴ·du and wv = vᴴ·dv solve p = wu·s + ds - s·wv. Splitting
// p into its Hermitian part h and its skew part k,
//     wu = h ∘ 1/(sj - si) + k ∘ 1/(sj + si),    wv = h ∘ 1/(sj - si) - k ∘ 1/(sj + si),
// which, unlike the usual 1/(sj² - si²), loses nothing when only the first is singular. Townsend, Differentiating the
// singular value decomposition (2016); Wan and Zhang, Automatic differentiation for complex valued SVD (2019). Start at
// tangent_of_side().

#include <algorithm>
#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/linalg_spectral.h"
#include "ops/linalg_spectral_detail.h"
#include "ops/linalg_spectral_params.h"
#include "ops/matmul.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

using namespace linalg::detail;

namespace {

Shape with_tail(const array& a, std::initializer_list<int64_t> tail) {
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.insert(shape.end(), tail.begin(), tail.end());
  return shape;
}

int64_t rank_of(const array& a) { return std::min(a.shape(-2), a.shape(-1)); }

Type values_type(const array& a) { return {real_type(a.dtype()), with_tail(a, {rank_of(a)})}; }

Types svd_types(const array& a, bool full) {
  int64_t m = a.shape(-2), n = a.shape(-1), k = rank_of(a);
  return {{a.dtype(), with_tail(a, {m, full ? m : k})}, values_type(a), {a.dtype(), with_tail(a, {full ? n : k, n})}};
}

array inverse_type(const array& a, const Primitive& p) {
  return make_node(p, {}, {a}, {a.dtype(), with_tail(a, {a.shape(-1), a.shape(-2)})});
}

/// Tangent of the vectors q (rows, k or more) of one side, from w = qᴴ·dq of the first k and y (rows, k) = da · (other vectors) / s.
/// The part of dq outside of the first k vectors is y's. Of further vectors only the part within the first k is determined
/// (all stay orthogonal); the part among themselves is chosen to be zero.
array tangent_of_side(const array& q, const array& w, const array& y) {
  int64_t rows = q.shape(-2), n = q.shape(-1), k = w.shape(-1);
  if (n == k) {
    array dq = matmul(q, w);
    return rows == k ? dq : dq + (y - matmul(q, matmul(adjoint(q), y)));
  }
  array first = slice_along(q, -1, 0, k), rest = slice_along(q, -1, k, n);
  array across = matmul(adjoint(rest), y);
  return concatenate({matmul(first, w) + matmul(rest, across), negative(matmul(first, adjoint(across)))}, -1);
}

Outs svd_tangent(const Call& c, const array& t) {
  array u = c.out(0), s = c.out(1), v = adjoint(c.out(2));
  int64_t k = s.shape(-1);
  array size = largest(s);
  array u1 = slice_along(u, -1, 0, k), v1 = slice_along(v, -1, 0, k);
  array tv = matmul(t, v1), tu = matmul(adjoint(t), u1);
  array p = matmul(adjoint(u1), tv);
  array pt = adjoint(p), sums = expand_dims(s, -2) + expand_dims(s, -1);
  array by_gap = (p + pt) * 0.5 * gap_reciprocals(s);
  array by_sum = (p - pt) * 0.5 * safe_reciprocal(sums, expand_dims(size, -1));
  array over_s = safe_reciprocal(s, size);
  array du = tangent_of_side(u, by_gap + by_sum, scale_columns(tv, over_s));
  array dv = tangent_of_side(v, by_gap - by_sum, scale_columns(tu, over_s));
  return Outs{du, real(diagonal(p, 0, -2, -1)), adjoint(dv)};
}

// Golub and Pereyra, The differentiation of pseudo-inverses (1973): at constant rank
//     dx = -x·da·x + x·xᴴ·daᴴ·(1 - a·x) + (1 - x·a)·daᴴ·xᴴ·x.
array pinv_tangent(const array& a, const array& x, const array& t) {
  array th = adjoint(t), xh = adjoint(x);
  array left = matmul(x, matmul(xh, th)), right = matmul(matmul(th, xh), x);
  return left - matmul(matmul(left, a), x) + right - matmul(x, matmul(a, right)) - matmul(x, matmul(t, x));
}

}  // namespace

// ---- records

const Primitive svd_p = define<SvdParams>({
    .name = "svd",
    .infer = [](auto& p, const Call& c) { return svd_types(c.in(0), p.full); },
    .jvp = [](auto&, const Call& c, int, const array& t) { return svd_tangent(c, t); },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      auto [u, s, vh] = linalg::svd(b.in(0), p.full);
      return {u, s, vh};
    },
});

const Primitive singular_values_p = define<NoParams>({
    .name = "singular_values",
    .infer = [](auto&, const Call& c) { return values_type(c.in(0)); },
    .jvp = [](auto&, const Call& c, int, const array& t) {
      auto [u, s, vh] = linalg::svd(c.in(0), false);
      return real(column_products(u, matmul(t, adjoint(vh))));
    },
    .vmap = [](auto&, const Batch& b) { return linalg::singular_values(b.in(0)); },
});

const Primitive pinv_p = define<NoParams>({
    .name = "pinv",
    .infer = [](auto&, const Call& c) {
      const array& a = c.in(0);
      return Type{a.dtype(), with_tail(a, {a.shape(-1), a.shape(-2)})};
    },
    .jvp = [](auto&, const Call& c, int, const array& t) { return pinv_tangent(c.in(0), c.out(), t); },
    .vmap = [](auto&, const Batch& b) { return linalg::pinv(b.in(0)); },
    .expand = [](auto&, const Call& c) {
      const array& a = c.in(0);
      auto [u, s, vh] = linalg::svd(a, false);
      double eps = s.dtype() == Dtype::float64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
      double tolerance = 10.0 * static_cast<double>(std::max(a.shape(-2), a.shape(-1))) * eps;
      array kept = greater(s, largest(s) * tolerance);
      array over_s = where(kept, reciprocal(where(kept, s, weak(1, s))), weak(0, s));
      return matmul(scale_columns(adjoint(vh), over_s), adjoint(u));
    },
});

// b·b = a gives b·db + db·b = da.
const Primitive psd_sqrt_p = define<NoParams>({
    .name = "psd_sqrt",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto&, const Call& c, int, const array& t) { return linalg::lyapunov(c.out(), t); },
    .vmap = [](auto&, const Batch& b) { return linalg::psd_sqrt(b.in(0)); },
    .expand = [](auto&, const Call& c) {
      auto [u, s, vh] = linalg::svd(c.in(0));
      return matmul(scale_columns(u, sqrt(s)), vh);
    },
});

// Differentiating b·x + x·b = c gives an equation of the same kind for dx.
const Primitive lyapunov_p = define<NoParams>({
    .name = "lyapunov",
    .infer = [](auto&, const Call& c) { return c.in(1).type(); },
    .jvp = [](auto&, const Call& c, int i, const array& t) {
      array x = c.out();
      return linalg::lyapunov(c.in(0), i == 1 ? t : negative(matmul(t, x) + matmul(x, t)));
    },
    .vmap = [](auto&, const Batch& b) { return linalg::lyapunov(b.in(0), b.in(1)); },
    .expand = [](auto&, const Call& c) {
      auto [w, v] = linalg::eigh(c.in(0));
      array sums = expand_dims(w, -2) + expand_dims(w, -1);
      array m = matmul(adjoint(v), matmul(c.in(1), v)) * safe_reciprocal(sums, expand_dims(largest(w), -1));
      return matmul(v, matmul(m, adjoint(v)));
    },
});

// ---- public functions

namespace linalg {

Svd svd(const array& a, bool full) {
  check_matrices(a, "svd");
  Arrays out = make_nodes(svd_p, SvdParams{full}, {a}, svd_types(a, full));
  return {out[0], out[1], out[2]};
}

array singular_values(const array& a) {
  check_matrices(a, "svd");
  return make_node(singular_values_p, {}, {a}, values_type(a));
}

array pinv(const array& a) {
  check_matrices(a, "pinv");
  return inverse_type(a, pinv_p);
}

array psd_sqrt(const array& a) {
  check_square(a, "psd_sqrt");
  return make_node(psd_sqrt_p, {}, {a}, a.type());
}

array lyapunov(const array& b, const array& c) {
  check_square(b, "lyapunov");
  if (b.type() != c.type()) {
    throw ValueError(cat("[linalg.lyapunov] b and c differ: b is ", b.dtype(), " ", b.shape(), ", c is ", c.dtype(), " ",
                         c.shape(), "; need equal types."));
  }
  return make_node(lyapunov_p, {}, {b, c}, c.type());
}

}  // namespace linalg

}  // namespace mx

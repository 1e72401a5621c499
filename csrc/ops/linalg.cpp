// linalg.cpp — Cholesky factors, triangular matrices and inverses. Derivatives follow Giles, "Collected matrix
// derivative results for forward and reverse mode algorithmic differentiation" (2008), sections 2.2 and 2.3, and for
// Cholesky Murray, "Differentiation of the Cholesky decomposition" (2016), equation 8; with conjugate transposes they
// hold for complex matrices. LU is in linalg_lu.cpp. Kernels: backend/cpu/linalg.cpp.

#include "ops/linalg.h"

#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/linalg_detail.h"
#include "ops/matmul.h"
#include "ops/operators.h"

namespace mx {

using linalg::detail::adjoint;
using linalg::detail::triangular_solution;

namespace {

auto same_type = [](auto&, const Call& c) { return c.in(0).type(); };

// The part of a tangent or cotangent that the primitive's value depends on.
array triangle(const array& x, const TriangularParams& p) {
  int64_t k = p.unit ? 1 : 0;
  return p.upper ? triu(x, k) : tril(x, -k);
}

array inverse(const array& a) { return make_node(inverse_p, {}, {a}, a.type()); }
array lower_cholesky(const array& a) { return make_node(cholesky_p, {}, {a}, a.type()); }
array triangular_inverse(const array& a, const TriangularParams& p) {
  return make_node(triangular_inverse_p, p, {a}, a.type());
}

}  // namespace

const Primitive cholesky_p = define<NoParams>({
    .name = "cholesky",
    .infer = same_type,
    // dL = L · Φ(L⁻¹ dA L⁻ᴴ); Φ takes the lower triangle with half the diagonal.
    // Factors that do not exist are NaN; where nobody asks for them, their derivatives are zero all the same.
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      array none = isnan(c.out()), one = eye(t.shape(-1), t.shape(-1), 0, t.dtype());
      array L = where(none, one, c.out());
      array x = triangular_solution(L, 0.5 * (t + adjoint(t)), {});
      array y = adjoint(triangular_solution(L, adjoint(x), {}));
      int64_t n = t.shape(-1);
      array half = astype(tri(n, n, 0, Dtype::float32) - 0.5 * eye(n, n, 0, Dtype::float32), real_type(t.dtype()));
      array known = where(none, array(std::numeric_limits<double>::quiet_NaN(), t.dtype()), array(1, t.dtype()));
      return strong_zero_multiply(matmul(L, y * half), known);
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return lower_cholesky(b.in(0)); },
});

const Primitive inverse_p = define<NoParams>({
    .name = "inverse",
    .infer = same_type,
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      array y = c.out();
      return negative(matmul(matmul(y, t), y));
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return inverse(b.in(0)); },
});

const Primitive triangular_inverse_p = define<TriangularParams>({
    .name = "triangular_inverse",
    .infer = same_type,
    .jvp = [](auto& p, const Call& c, int, const array& t) -> Outs {
      array y = c.out();
      return negative(matmul(matmul(y, triangle(t, p)), y));
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return triangular_inverse(b.in(0), p); },
});

// a·x = b: dx = a⁻¹ (db - da·x); ct of b: a⁻ᴴ·ct; ct of a: -(ct of b)·xᴴ.
const Primitive solve_triangular_p = define<TriangularParams>({
    .name = "solve_triangular",
    .infer = [](auto&, const Call& c) { return c.in(1).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) -> Outs {
      array rhs = ts[1];
      if (ts[0].defined()) {
        array moved = matmul(triangle(ts[0], p), c.out());
        rhs = rhs.defined() ? rhs - moved : negative(moved);
      }
      return triangular_solution(c.in(0), rhs, {.upper = p.upper, .unit = p.unit});
    },
    .pull = [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) -> Arrays {
      array ct_b = triangular_solution(adjoint(c.in(0)), cts[0], {.upper = !p.upper, .unit = p.unit});
      array ct_a = need[0] ? negative(triangle(matmul(ct_b, adjoint(c.out())), p)) : array();
      return {ct_a, need[1] ? ct_b : array()};
    },
    // What is not mapped lacks the batch axis and broadcasts.
    .vmap = [](auto& p, const Batch& b) -> Outs { return triangular_solution(b.raw(0), b.raw(1), p); },
});

namespace linalg::detail {

array triangular_solution(const array& a, const array& b, const TriangularParams& p) {
  // One matrix for many right-hand sides: they become columns.
  if (a.ndim() == 2 && b.ndim() > 2) {
    array rows = moveaxis(b, -2, 0);
    array x = triangular_solution(a, flatten(rows, 1), p);
    return moveaxis(reshape(x, rows.shape()), 0, -2);
  }
  Shape batch = broadcast_shapes(Shape(a.shape().begin(), a.shape().end() - 2), Shape(b.shape().begin(), b.shape().end() - 2),
                                 "solve_triangular");
  batch.push_back(0);
  batch.push_back(0);
  array x = broadcast_to(a, matrix_shape(batch, a.shape(-2), a.shape(-1)));
  array y = broadcast_to(b, matrix_shape(batch, b.shape(-2), b.shape(-1)));
  return make_node(solve_triangular_p, p, {x, y}, y.type());
}

System checked_system(const char* op, const array& a, const array& b) {
  Dtype t = promote(a.dtype(), b.dtype());
  if (t != Dtype::float32 && t != Dtype::float64 && t != Dtype::complex64) {
    throw DtypeError(cat("[linalg.", op, "] no such equations in ", t, ": a is ", a.dtype(), ", b is ", b.dtype(),
                         "; need a common dtype float32, float64 or complex64. Convert with astype."));
  }
  check_square(astype(a, t), op);
  if (b.ndim() == 0) {
    throw ValueError(cat("[linalg.", op, "] b is a scalar; need shape (n,) or (..., n, k), with n = ", a.shape(-1), "."));
  }
  bool vector = b.ndim() == 1;
  if (b.shape(vector ? -1 : -2) != a.shape(-1)) {
    throw ValueError(cat("[linalg.", op, "] sizes differ: a is ", a.shape(), ", b is ", b.shape(), "; need a.shape[-1] == b.shape[",
                         vector ? "-1" : "-2", "]."));
  }
  System s{astype(a, t), astype(vector ? expand_dims(b, 1) : b, t), vector};
  broadcast_shapes(Shape(s.a.shape().begin(), s.a.shape().end() - 2), Shape(s.b.shape().begin(), s.b.shape().end() - 2), op);
  return s;
}

}  // namespace linalg::detail

namespace linalg {

array cholesky(const array& a, bool upper) {
  detail::check_square(a, "cholesky");
  array L = lower_cholesky(a);
  return upper ? adjoint(L) : L;
}

array cholesky_inv(const array& a, bool upper) {
  detail::check_square(a, "cholesky_inv");
  // (L·Lᴴ)⁻¹ = L⁻ᴴ·L⁻¹ and (Uᴴ·U)⁻¹ = U⁻¹·U⁻ᴴ
  array y = triangular_inverse(a, {.upper = upper, .strict = true});
  return upper ? matmul(y, adjoint(y)) : matmul(adjoint(y), y);
}

array inv(const array& a) {
  detail::check_square(a, "inv");
  return inverse(a);
}

array tri_inv(const array& a, bool upper) {
  detail::check_square(a, "tri_inv");
  return triangular_inverse(a, {.upper = upper, .strict = true});
}

array solve_triangular(const array& a, const array& b, bool upper) {
  detail::System s = detail::checked_system("solve_triangular", a, b);
  return s.result(triangular_solution(s.a, s.b, {.upper = upper, .strict = true}));
}

}  // namespace linalg

}  // namespace mx

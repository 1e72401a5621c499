// linalg_spectral.cpp — qr, eigenvalues and eigenvectors. Singular values and what is made of them are in
// linalg_spectral_svd.cpp, norms in linalg_spectral_norm.cpp. Kernels: backend/cpu/linalg_spectral.cpp.
//
// Rules differentiate the defining equations and solve for the tangents of the factors: Giles, An extended collection of
// matrix derivative results (2008), with conjugates where he transposes. Where an equation leaves a freedom (the sign or phase
// of a vector) or divides by a difference that is zero (repeated eigenvalues), the tangent has no part there.

#include "ops/linalg_spectral.h"

#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/linalg.h"
#include "ops/linalg_detail.h"
#include "ops/linalg_spectral_detail.h"
#include "ops/linalg_spectral_params.h"
#include "ops/matmul.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

namespace linalg::detail {

void check_matrices(const array& a, std::string_view op) {
  if (a.ndim() < 2) {
    throw ValueError(cat("[linalg.", op, "] need matrices: a has shape ", a.shape(), "; need at least 2 dimensions."));
  }
  if (a.dtype() != Dtype::float32 && a.dtype() != Dtype::float64 && a.dtype() != Dtype::complex64) {
    throw DtypeError(cat("[linalg.", op, "] dtype is not supported: a is ", a.dtype(),
                         "; need float32, float64 or complex64. Convert with astype."));
  }
}

void check_square(const array& a, std::string_view op) {
  check_matrices(a, op);
  if (a.shape(-1) != a.shape(-2)) {
    throw ValueError(cat("[linalg.", op, "] need square matrices: a has shape ", a.shape(), "."));
  }
}

array largest(const array& w) {
  if (w.shape(-1) == 0) {
    Shape none(w.shape());
    none.back() = 1;
    return zeros(none, real_type(w.dtype()));
  }
  return stop_gradient(max(abs(w), -1, true));
}

array safe_reciprocal(const array& x, const array& size) {
  bool wide = size.dtype() == Dtype::float64;
  double eps = wide ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  array none = less_equal(abs(stop_gradient(x)), size * (4 * eps));
  return where(none, weak(0, x), reciprocal(where(none, weak(1, x), x)));
}

array gap_reciprocals(const array& w) {
  array gaps = expand_dims(w, -2) - expand_dims(w, -1);
  return safe_reciprocal(gaps, expand_dims(largest(w), -1));
}

array scale_columns(const array& y, const array& w) { return y * expand_dims(w, -2); }

array column_products(const array& x, const array& y) {
  return sum(is_complex(x.dtype()) ? conjugate(x) * y : x * y, -2);
}

}  // namespace linalg::detail

using namespace linalg::detail;

namespace {

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }

/// The batch axes of `a` followed by `tail`.
Shape with_tail(const array& a, std::initializer_list<int64_t> tail) {
  Shape shape = batch_of(a);
  shape.insert(shape.end(), tail.begin(), tail.end());
  return shape;
}

/// What a tangent of a Hermitian matrix is, whatever came.
array hermitian(const array& t) { return (t + adjoint(t)) * 0.5; }

array columns(const array& a, int64_t start, int64_t stop) { return slice_along(a, -1, start, stop); }

// ---- qr

Types qr_types(const array& a) {
  int64_t m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  return {{a.dtype(), with_tail(a, {m, k})}, {a.dtype(), with_tail(a, {k, n})}};
}

array diagonals(const array& m) { return diagonal(m, 0, -2, -1); }

/// t · r⁻¹ for upper triangular r (k, k); 0 in the columns where its diagonal is.
array over(const array& t, const array& r) {
  array none = expand_dims(equal(diagonals(r), weak(0, r)), -2);
  array full = where(logical_and(none, eye(r.shape(-1), r.shape(-1), 0, Dtype::bool_)), weak(1, r), r);
  array x = matrix_transpose(linalg::solve_triangular(matrix_transpose(full), matrix_transpose(t), false));
  return where(none, weak(0, x), x);
}

/// The skew-Hermitian part w of c such that c - w is upper triangular with a real diagonal.
array skew_part(const array& c) {
  array below = tril(c, -1);
  array w = below - adjoint(below);
  if (!is_complex(c.dtype())) return w;
  array on = tril(triu(c));
  return w + (on - conjugate(on)) * 0.5;
}

// a1 = q·r1 gives dq = q·w + (1 - q·qᴴ)·da1·r1⁻¹ with w = qᴴ·dq skew-Hermitian and dr = qᴴ·da - w·r, for the first k
// columns a1 and r1 of a and r. Walter and Lehmann, Algorithmic differentiation of linear algebra functions (2010).
Outs qr_tangent(const Call& c, const array& t) {
  array q = c.out(0), r = c.out(1);
  int64_t k = q.shape(-1);
  array x = over(columns(t, 0, k), columns(r, 0, k));
  array inner = matmul(adjoint(q), x), w = skew_part(inner);
  array dq = x - matmul(q, inner - w);
  array dr = matmul(adjoint(q), t) - matmul(w, r);
  return Outs{dq, triu(dr)};
}

// ---- eigenvalues of Hermitian matrices

Type eigh_values(const array& a) { return {real_type(a.dtype()), without_axis(a.shape(), a.ndim() - 1)}; }
Types eigh_types(const array& a) { return {eigh_values(a), a.type()}; }

bool is_upper(const std::string& uplo, std::string_view op) {
  if (uplo == "U" || uplo == "u") return true;
  if (uplo == "L" || uplo == "l") return false;
  throw ValueError(cat("[linalg.", op, "] UPLO is '", uplo, "'; need 'L' or 'U'."));
}

std::pair<array, array> eigh_of(const array& a, bool upper) {
  Arrays out = make_nodes(eigh_p, EighParams{upper}, {a}, eigh_types(a));
  return {out[0], out[1]};
}

array eigvalsh_of(const array& a, bool upper) { return make_node(eigvalsh_p, EighParams{upper}, {a}, eigh_values(a)); }

// ---- eigenvalues of any square matrices

Type eig_values(const array& a) { return {Dtype::complex64, without_axis(a.shape(), a.ndim() - 1)}; }
Types eig_types(const array& a) { return {eig_values(a), {Dtype::complex64, a.shape()}}; }

/// v⁻¹·t·v, whose diagonal holds the tangents of the eigenvalues; 0 if the vectors are dependent.
array in_eigenbasis(const array& t, const array& v) {
  int64_t n = v.shape(-1);
  Arrays factors = frozen_lu(v);
  array none = any(equal(diagonals(factors[0]), weak(0, v)), -1, true), nones = expand_dims(none, -1);
  array lu = where(nones, eye(n, n, 0, v.dtype()), factors[0]);
  array pivots = where(none, arange(int64_t(0), n, int64_t(1), factors[1].dtype()), factors[1]);
  array m = lu_solution(v, matmul(astype(t, v.dtype()), v), lu, pivots);
  return where(nones, weak(0, m), m);
}

/// dv with those multiples of v added that keep its columns at 2-norm 1 and their largest components real, as LAPACK does.
array keep_normalised(const array& dv, const array& v) {
  array at = argmax(abs(v), -2, true);
  array turn = imag(take_along_axis(dv, at, -2) / take_along_axis(v, at, -2));
  array grow = expand_dims(real(column_products(v, dv)), -2);
  return dv - v * (astype(grow, v.dtype()) + astype(turn, v.dtype()) * array(complex64_t(0, 1)));
}

}  // namespace

// ---- records

const Primitive qr_p = define<NoParams>({
    .name = "qr",
    .infer = [](auto&, const Call& c) { return qr_types(c.in(0)); },
    .jvp = [](auto&, const Call& c, int, const array& t) { return qr_tangent(c, t); },
    .vmap = [](auto&, const Batch& b) -> Outs {
      auto [q, r] = linalg::qr(b.in(0));
      return {q, r};
    },
});

// dw = diag(vᴴ·da·v), dv = v·(vᴴ·da·v ∘ 1/(wj - wi)).
const Primitive eigh_p = define<EighParams>({
    .name = "eigh",
    .infer = [](auto&, const Call& c) { return eigh_types(c.in(0)); },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      array w = c.out(0), v = c.out(1);
      array m = matmul(adjoint(v), matmul(hermitian(t), v));
      return {real(diagonals(m)), matmul(v, m * gap_reciprocals(w))};
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      auto [w, v] = eigh_of(b.in(0), p.upper);
      return {w, v};
    },
});

const Primitive eigvalsh_p = define<EighParams>({
    .name = "eigvalsh",
    .infer = [](auto&, const Call& c) { return eigh_values(c.in(0)); },
    .jvp = [](auto& p, const Call& c, int, const array& t) {
      array v = eigh_of(c.in(0), p.upper).second;
      return real(column_products(v, matmul(hermitian(t), v)));
    },
    .vmap = [](auto& p, const Batch& b) { return eigvalsh_of(b.in(0), p.upper); },
});

// dw = diag(v⁻¹·da·v), dv = v·(v⁻¹·da·v ∘ 1/(wj - wi)) + multiples of v.
const Primitive eig_p = define<NoParams>({
    .name = "eig",
    .infer = [](auto&, const Call& c) { return eig_types(c.in(0)); },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs {
      array w = c.out(0), v = c.out(1);
      if (w.size() == 0) return {zeros_like(w), zeros_like(v)};
      array m = in_eigenbasis(t, v);
      return {diagonals(m), keep_normalised(matmul(v, m * gap_reciprocals(w)), v)};
    },
    .vmap = [](auto&, const Batch& b) -> Outs {
      auto [w, v] = linalg::eig(b.in(0));
      return {w, v};
    },
});

// The kernel finds the eigenvalues in eig's order.
const Primitive eigvals_p = define<NoParams>({
    .name = "eigvals",
    .infer = [](auto&, const Call& c) { return eig_values(c.in(0)); },
    .jvp = [](auto&, const Call& c, int, const array& t) {
      return diagonals(in_eigenbasis(t, linalg::eig(c.in(0)).second));
    },
    .vmap = [](auto&, const Batch& b) { return linalg::eigvals(b.in(0)); },
});

// ---- public functions

namespace linalg {

std::pair<array, array> qr(const array& a) {
  check_matrices(a, "qr");
  Arrays out = make_nodes(qr_p, {}, {a}, qr_types(a));
  return {out[0], out[1]};
}

std::pair<array, array> eigh(const array& a, const std::string& uplo) {
  check_square(a, "eigh");
  return eigh_of(a, is_upper(uplo, "eigh"));
}

array eigvalsh(const array& a, const std::string& uplo) {
  check_square(a, "eigvalsh");
  return eigvalsh_of(a, is_upper(uplo, "eigvalsh"));
}

std::pair<array, array> eig(const array& a) {
  check_square(a, "eig");
  Arrays out = make_nodes(eig_p, {}, {a}, eig_types(a));
  return {out[0], out[1]};
}

array eigvals(const array& a) {
  check_square(a, "eigvals");
  return make_node(eigvals_p, {}, {a}, eig_values(a));
}

}  // namespace linalg

}  // namespace mx

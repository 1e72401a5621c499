// linalg_lu.cpp — LU factors and the solution of general systems. A solution carries the factors along, so its
// derivatives of every order cost no further factorisation. Rules: Giles (2008), section 2.2.3, and for the factors
// the product rule on P·A = L·U, whose strictly lower and upper parts separate. Kernels: backend/cpu/linalg.cpp.

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/index.h"
#include "ops/linalg.h"
#include "ops/linalg_detail.h"
#include "ops/matmul.h"
#include "ops/operators.h"
#include "ops/sort.h"

namespace mx {

using linalg::detail::adjoint;
using linalg::detail::lu_solution;
using linalg::detail::matrix_shape;
using linalg::detail::triangular_solution;

namespace {

array block(const array& a, int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
  return slice_along(slice_along(a, -2, row, row_end), -1, column, column_end);
}

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }

// With B = L⁻¹·P·dA and S the strictly lower part of B·U⁻¹: dL = L·S, dU = the upper part of B - S·U.
// The last pivot of a square or wide matrix takes no part in S, so it may be zero.
array lu_tangent(const array& lu, const array& order, const array& t) {
  int64_t m = lu.shape(-2), n = lu.shape(-1), k = std::min(m, n);
  array moved = take_along_axis(t, expand_dims(order, -1), -2);
  array top = triangular_solution(block(lu, 0, k, 0, k), block(moved, 0, k, 0, n), {.unit = true});
  array b = top;
  if (m > k) b = concatenate({top, block(moved, k, m, 0, n) - matmul(block(lu, k, m, 0, k), top)}, -2);
  array u = triu(block(lu, 0, k, 0, k));
  if (m <= n && k > 0) {
    array last = equal(arange(k), array(k - 1));
    u = where(logical_and(expand_dims(last, 1), last), array(1, u.dtype()), u);
  }
  // B·U⁻¹ = (U⁻ᵀ·Bᵀ)ᵀ
  array s = tril(matrix_transpose(triangular_solution(matrix_transpose(u), matrix_transpose(slice_along(b, -1, 0, k)), {})), -1);
  array upper = triu(b - matmul(s, triu(slice_along(lu, -2, 0, k))));
  array lower = s + matmul(tril(slice_along(lu, -1, 0, k), -1), slice_along(s, -2, 0, k));
  if (n > k) lower = concatenate({lower, zeros(matrix_shape(lu.shape(), m, n - k), lu.dtype())}, -1);
  return lower + upper;
}

Arrays lu_nodes(const array& a) { return make_nodes(lu_factor_p, {}, {a}); }

}  // namespace

const Primitive lu_factor_p = define<NoParams>({
    .name = "lu_factor",
    .infer = [](auto&, const Call& c) -> Inferred {
      const array& a = c.in(0);
      Shape pivots = batch_of(a), order = pivots;
      pivots.push_back(std::min(a.shape(-2), a.shape(-1)));
      order.push_back(a.shape(-2));
      return Types{a.type(), {Dtype::uint32, pivots}, {Dtype::uint32, order}};
    },
    .jvp = [](auto&, const Call& c, int, const array& t) -> Outs { return {lu_tangent(c.out(0), c.out(2), t), array(), array()}; },
    .vmap = [](auto&, const Batch& b) -> Outs { return lu_nodes(b.in(0)); },
});

// a·x = b: dx = a⁻¹ (db - da·x); ct of b: a⁻ᴴ·ct; ct of a: -(ct of b)·xᴴ. With aᴴ in a's place da and ct are transposed.
const Primitive lu_solve_p = define<LuSolveParams>({
    .name = "lu_solve",
    .infer = [](auto&, const Call& c) { return c.in(1).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) -> Outs {
      array rhs = ts[1];
      if (ts[0].defined()) {
        array moved = matmul(p.adjoint ? adjoint(ts[0]) : ts[0], c.out());
        rhs = rhs.defined() ? rhs - moved : negative(moved);
      }
      return lu_solution(c.in(0), rhs, c.in(2), c.in(3), {.adjoint = p.adjoint});
    },
    .pull = [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) -> Arrays {
      array ct_b = lu_solution(c.in(0), cts[0], c.in(2), c.in(3), {.adjoint = !p.adjoint});
      array ct_a;
      if (need[0]) ct_a = negative(p.adjoint ? matmul(c.out(), adjoint(ct_b)) : matmul(ct_b, adjoint(c.out())));
      return {ct_a, need[1] ? ct_b : array(), array(), array()};
    },
    // What is not mapped lacks the batch axis and broadcasts; a and its factors only together.
    .vmap = [](auto& p, const Batch& b) -> Outs {
      bool together = b.mapped(0) == b.mapped(2) && b.mapped(0) == b.mapped(3);
      auto in = [&](int i) { return together ? b.raw(i) : b.in(i); };
      return lu_solution(in(0), in(1), in(2), in(3), p);
    },
    .first_index_input = 2,
});

namespace linalg::detail {

Arrays frozen_lu(const array& a) { return lu_nodes(stop_gradient(a)); }

array lu_solution(const array& a, const array& b, const array& lu, const array& pivots, const LuSolveParams& p) {
  if (a.ndim() == 2 && b.ndim() > 2) {
    array rows = moveaxis(b, -2, 0);
    array x = lu_solution(a, flatten(rows, 1), lu, pivots, p);
    return moveaxis(reshape(x, rows.shape()), 0, -2);
  }
  Shape batch = broadcast_shapes(batch_of(a), batch_of(b), "solve"), row(batch);
  batch.push_back(0);
  batch.push_back(0);
  row.push_back(a.shape(-1));
  Shape square = matrix_shape(batch, a.shape(-2), a.shape(-1));
  array y = broadcast_to(b, matrix_shape(batch, b.shape(-2), b.shape(-1)));
  return make_node(lu_solve_p, p, {broadcast_to(a, square), y, broadcast_to(lu, square), broadcast_to(pivots, row)}, y.type());
}

array lu_inverse(const array& a, const array& lu, const array& pivots) {
  array one = broadcast_to(eye(a.shape(-1), a.shape(-1), 0, a.dtype()), a.shape());
  return lu_solution(a, one, lu, pivots);
}

}  // namespace linalg::detail

namespace linalg {

array solve(const array& a, const array& b) {
  detail::System s = detail::checked_system("solve", a, b);
  Arrays factors = detail::frozen_lu(s.a);
  return s.result(lu_solution(s.a, s.b, factors[0], factors[1], {.strict = true}));
}

std::pair<array, array> lu_factor(const array& a) {
  detail::check_matrices(a, "lu_factor");
  Arrays factors = lu_nodes(a);
  return {factors[0], factors[1]};
}

Arrays lu(const array& a) {
  detail::check_matrices(a, "lu");
  Arrays factors = lu_nodes(a);
  int64_t m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  array lower = tril(slice_along(factors[0], -1, 0, k), -1) + eye(m, k, 0, a.dtype());
  return {argsort(factors[2], -1), lower, triu(slice_along(factors[0], -2, 0, k))};
}

}  // namespace linalg

}  // namespace mx

// matmul.cpp — products of matrices. The public functions bring every case to matmul_p or addmm_p: batches of
// matrices of equal dtype and batch shape. Products that flatten to two dimensions are flattened, so that a
// weight's gradient is one product and not a sum of many. einsum is in einsum.cpp.

#include "ops/matmul.h"

#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/matmul_params.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

namespace {

// a (..., m, k) and b (..., k, n) with equal batch shapes -> (..., m, n)
Type product_type(const array& a, const array& b) {
  Shape shape(a.shape());
  shape.back() = b.shape().back();
  return {a.dtype(), std::move(shape)};
}

// Conjugate transpose of the last two axes.
array adjoint(const array& x) {
  array t = swapaxes(x, -1, -2);
  return is_complex(x.dtype()) ? conjugate(t) : t;
}

array scaled(const array& x, double factor) { return factor == 1.0 ? x : x * factor; }

// W @ x for every x of a batch, which is one product: X · Wᵀ.
bool is_shared_matrix_times_vectors(const Batch& b) {
  return !b.mapped(0) && b.mapped(1) && b.shape(0).size() == 2 && b.shape(1)[1] == 1;
}

}  // namespace

const Primitive matmul_p = define<NoParams>({
    .name = "matmul",
    .infer = [](auto&, const Call& c) { return product_type(c.in(0), c.in(1)); },
    .jvp = [](auto&, const Call& c, int i, const array& t) -> Outs {
      return i == 0 ? matmul(t, c.in(1)) : matmul(c.in(0), t);
    },
    // ct (..., m, n) · bᴴ (..., n, k) -> (..., m, k); aᴴ (..., k, m) · ct -> (..., k, n)
    .vjp = [](auto&, const Call& c, int i, const Outs& ct) {
      return i == 0 ? matmul(ct[0], adjoint(c.in(1))) : matmul(adjoint(c.in(0)), ct[0]);
    },
    // An unmapped side lacks the batch axis and broadcasts; matmul flattens where it can.
    .vmap = [](auto&, const Batch& b) -> Outs {
      if (is_shared_matrix_times_vectors(b)) {
        return expand_dims(matmul(squeeze(b.raw(1), -1), swapaxes(b.raw(0), -1, -2)), -1);
      }
      return matmul(b.raw(0), b.raw(1));
    },
});

const Primitive addmm_p = define<AddmmParams>({
    .name = "addmm",
    .infer = [](auto&, const Call& c) { return product_type(c.in(0), c.in(1)); },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      if (i == 2) return scaled(t, p.beta);
      return scaled(i == 0 ? matmul(t, c.in(1)) : matmul(c.in(0), t), p.alpha);
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      if (i == 2) return scaled(ct[0], p.beta);
      return scaled(i == 0 ? matmul(ct[0], adjoint(c.in(1))) : matmul(adjoint(c.in(0)), ct[0]), p.alpha);
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      if (b.mapped(0) || b.mapped(1)) return addmm(b.raw(2), b.raw(0), b.raw(1), p.alpha, p.beta);
      return scaled(matmul(b.raw(0), b.raw(1)), p.alpha) + scaled(b.raw(2), p.beta);
    },
});

namespace {

void check_inexact(const char* op, const array& a, const array& b, Dtype t) {
  if (is_inexact(t)) return;
  throw DtypeError(cat("[", op, "] not for this dtype: a is ", a.dtype(), ", b is ", b.dtype(),
                       "; need a floating or complex dtype, or integers for matmul, tensordot and einsum. Convert with astype."));
}

struct Operands {
  array a, b;       // Matrices of equal dtype and batch shape.
  Shape shape;      // Of the result as the caller sees it.
};

// Checks, promotes, flattens and broadcasts.
Operands prepare(const char* op, array a, array b, Dtype t) {
  for (const array* x : {&a, &b}) {
    if (x->ndim() == 0) {
      throw ValueError(cat("[", op, "] ", x == &a ? "a" : "b", " is a scalar: a is ", a.shape(), ", b is ", b.shape(),
                           "; need at least one dimension. Use multiply."));
    }
  }
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  if (a.shape(-1) != b.shape(column ? -1 : -2)) {
    throw ValueError(cat("[", op, "] inner dimensions differ: a is ", a.shape(), ", b is ", b.shape(),
                         "; need a.shape[-1] == b.shape[", column ? "-1]." : "-2]."));
  }
  a = astype(row ? expand_dims(a, 0) : a, t);
  b = astype(column ? expand_dims(b, 1) : b, t);
  Shape batch_a(a.shape().begin(), a.shape().end() - 2), batch_b(b.shape().begin(), b.shape().end() - 2);
  Shape batch;
  try {
    batch = broadcast_shapes(batch_a, batch_b, op);
  } catch (const ValueError&) {
    throw ValueError(cat("[", op, "] the batches cannot be broadcast: a is ", a.shape(), ", b is ", b.shape(),
                         "; need equal sizes, or 1, in front of the last two dimensions."));
  }
  int64_t m = a.shape(-2), k = a.shape(-1), n = b.shape(-1);
  Shape shape(batch);
  if (!row) shape.push_back(m);
  if (!column) shape.push_back(n);
  if (b.ndim() == 2 && a.ndim() > 2) {
    a = reshape(a, {n_elems(batch_a) * m, k});
  } else {
    auto matrices = [&](int64_t rows, int64_t cols) {
      Shape s(batch);
      s.push_back(rows);
      s.push_back(cols);
      return s;
    };
    a = broadcast_to(a, matrices(m, k));
    b = broadcast_to(b, matrices(k, n));
  }
  return {std::move(a), std::move(b), std::move(shape)};
}

array product(const char* op, const array& a, const array& b, Dtype t) {
  Operands o = prepare(op, a, b, t);
  Type type = product_type(o.a, o.b);
  return reshape(make_node(matmul_p, {}, {std::move(o.a), std::move(o.b)}, std::move(type)), o.shape);
}

}  // namespace

array matmul(const array& a, const array& b) {
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_bool(t)) check_inexact("matmul", a, b, t);
  return product("matmul", a, b, t);
}

array addmm(const array& c, const array& a, const array& b, double alpha, double beta) {
  Dtype t = promote(promote(a.dtype(), b.dtype()), c.dtype());
  check_inexact("addmm", a, b, t);
  Operands o = prepare("addmm", a, b, t);
  if (broadcast_shapes(c.shape(), o.shape, "addmm") != o.shape) {
    throw ValueError(cat("[addmm] c does not fit the product: c is ", c.shape(), ", a @ b is ", o.shape,
                         "; need a shape that broadcasts to the product's."));
  }
  Type type = product_type(o.a, o.b);
  array addend = reshape(broadcast_to(astype(c, t), o.shape), type.shape);
  return reshape(make_node(addmm_p, AddmmParams{alpha, beta}, {std::move(o.a), std::move(o.b), std::move(addend)}, std::move(type)),
                 o.shape);
}

array inner(const array& a, const array& b) {
  if (a.ndim() == 0 || b.ndim() == 0) return multiply(a, b);
  if (a.shape(-1) != b.shape(-1)) {
    throw ValueError(cat("[inner] last dimensions differ: a is ", a.shape(), ", b is ", b.shape(),
                         "; need a.shape[-1] == b.shape[-1]."));
  }
  return tensordot(a, b, Axes{-1}, Axes{-1});
}

array outer(const array& a, const array& b) {
  return multiply(reshape(a, {a.size(), 1}), reshape(b, {1, b.size()}));
}

array vecdot(const array& a, const array& b, int axis) {
  int ndim = std::max(a.ndim(), b.ndim());
  int from_end = normalize_axis(axis, ndim, "vecdot") - ndim;
  if (a.ndim() < -from_end || b.ndim() < -from_end || a.shape(from_end) != b.shape(from_end)) {
    throw ValueError(cat("[vecdot] a and b differ along axis ", axis, ": a is ", a.shape(), ", b is ", b.shape(),
                         "; need vectors of one length along that axis."));
  }
  Dtype t = promote(a.dtype(), b.dtype());
  array x = moveaxis(astype(a, t), from_end, -1), y = moveaxis(astype(b, t), from_end, -1);
  if (!is_inexact(t)) return sum(multiply(x, y), -1);
  if (is_complex(t)) x = conjugate(x);
  return squeeze(product("vecdot", expand_dims(x, -2), expand_dims(y, -1), t), Axes{-2, -1});
}

array tensordot(const array& a, const array& b, int n_axes) {
  if (n_axes < 0 || n_axes > std::min(a.ndim(), b.ndim())) {
    throw ValueError(cat("[tensordot] cannot contract ", n_axes, " axes: a is ", a.shape(), ", b is ", b.shape(),
                         "; need 0 <= axes <= ", std::min(a.ndim(), b.ndim()), "."));
  }
  Axes last, first;
  for (int i = 0; i < n_axes; ++i) {
    last.push_back(a.ndim() - n_axes + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first);
}

array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b) {
  if (axes_a.size() != axes_b.size()) {
    throw ValueError(cat("[tensordot] the axes do not pair up: ", axes_a.size(), " for a, ", axes_b.size(), " for b."));
  }
  normalize_axes(axes_a, a.ndim(), "tensordot");  // Refuses repeats.
  normalize_axes(axes_b, b.ndim(), "tensordot");
  std::vector<bool> used_a(a.shape().size()), used_b(b.shape().size());
  Axes sum_a, sum_b;
  int64_t k = 1;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    auto x = static_cast<size_t>(normalize_axis(axes_a[i], a.ndim(), "tensordot"));
    auto y = static_cast<size_t>(normalize_axis(axes_b[i], b.ndim(), "tensordot"));
    if (a.shape()[x] != b.shape()[y]) {
      throw ValueError(cat("[tensordot] sizes differ: axis ", axes_a[i], " of a ", a.shape(), " has ", a.shape()[x], ", axis ", axes_b[i],
                           " of b ", b.shape(), " has ", b.shape()[y], "; need equal sizes."));
    }
    used_a[x] = used_b[y] = true;
    sum_a.push_back(static_cast<int>(x));
    sum_b.push_back(static_cast<int>(y));
    k *= a.shape()[x];
  }
  // a (free, summed), b (summed, free)
  Axes order_a, order_b(sum_b);
  Shape shape;
  int64_t m = 1, n = 1;
  for (size_t i = 0; i < used_a.size(); ++i) {
    if (used_a[i]) continue;
    order_a.push_back(static_cast<int>(i));
    shape.push_back(a.shape()[i]);
    m *= a.shape()[i];
  }
  for (size_t i = 0; i < used_b.size(); ++i) {
    if (used_b[i]) continue;
    order_b.push_back(static_cast<int>(i));
    shape.push_back(b.shape()[i]);
    n *= b.shape()[i];
  }
  order_a.insert(order_a.end(), sum_a.begin(), sum_a.end());
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_bool(t)) t = Dtype::int32;
  array x = reshape(transpose(a, order_a), {m, k}), y = reshape(transpose(b, order_b), {k, n});
  return reshape(product("tensordot", x, y, t), shape);
}

array kron(const array& a, const array& b) {
  size_t ndim = std::max(a.shape().size(), b.shape().size());
  Shape wide_a, wide_b, shape;
  for (size_t i = 0; i < ndim; ++i) {
    size_t skip_a = ndim - a.shape().size(), skip_b = ndim - b.shape().size();
    int64_t x = i < skip_a ? 1 : a.shape()[i - skip_a], y = i < skip_b ? 1 : b.shape()[i - skip_b];
    wide_a.push_back(x);
    wide_a.push_back(1);
    wide_b.push_back(1);
    wide_b.push_back(y);
    shape.push_back(x * y);
  }
  return reshape(multiply(reshape(a, wide_a), reshape(b, wide_b)), shape);
}

}  // namespace mx

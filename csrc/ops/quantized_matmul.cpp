// quantized_matmul.cpp — products with quantized matrices. A product is linear in x, in the scales and in the biases: its
// tangents are the same product with one of them replaced. A cotangent of x is the product with the matrix the other
// way round; one of the scales is that of the full matrix, times the codes, summed over each group. Kernels:
// backend/cpu/quantized_matmul.cpp.

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/gather_matmul.h"
#include "ops/gather_matmul_params.h"
#include "ops/index.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/quantized.h"
#include "ops/quantized_detail.h"
#include "ops/reduce.h"

namespace mx {

using namespace detail;

namespace {

using P = QuantizedMatmulParams;

array transposed(const array& x) { return swapaxes(x, -1, -2); }

Shape front(const Shape& shape, size_t without) { return {shape.begin(), shape.end() - static_cast<int64_t>(without)}; }

// `batch` with the last axes of `x`, from `x` without its own batch axes.
Shape joined(Shape batch, const array& x, int last) {
  batch.insert(batch.end(), x.shape().end() - last, x.shape().end());
  return batch;
}

// A quantized matrix; `biases` is undefined where there are none.
struct Packed {
  array w, scales, biases;
  template <class F>
  Packed each(F f) const {
    return {f(w), f(scales), biases.defined() ? f(biases) : biases};
  }
};

Packed packed_of(const P& p, const Call& c) { return {c.in(1), c.in(2), p.format.affine() ? c.in(3) : array()}; }
// As it came if no part has a batch axis, else all with one.
Packed packed_of(const P& p, const Batch& b) {
  bool affine = p.format.affine();
  if (!b.mapped(1) && !b.mapped(2) && !(affine && b.mapped(3))) return {b.raw(1), b.raw(2), affine ? b.raw(3) : array()};
  return {b.in(1), b.in(2), affine ? b.in(3) : array()};
}

Type product_type(const P& p, const array& x, const array& w) {
  Shape shape(x.shape());
  shape.back() = p.transpose ? w.shape(-2) : p.format.elements(w.shape(-1));
  return {x.dtype(), std::move(shape)};
}

// quantized_matmul_p; broadcasts the batch axes, or joins those of x with its rows where all share one matrix.
array product(const P& p, array x, Packed q) {
  Shape batch = broadcast_shapes(front(x.shape(), 2), front(q.w.shape(), 2), "quantized_matmul"), shape;
  if (q.w.ndim() == 2 && x.ndim() > 2) {
    shape = Shape(x.shape());
    x = reshape(x, {n_elems(front(x.shape(), 1)), x.shape(-1)});
  } else {
    x = broadcast_to(x, joined(batch, x, 2));
    q = q.each([&](const array& a) { return broadcast_to(a, joined(batch, a, 2)); });
    shape = Shape(x.shape());
  }
  Type type = product_type(p, x, q.w);
  shape.back() = type.shape.back();
  SmallVector<array, 3> inputs{std::move(x), std::move(q.w), std::move(q.scales)};
  if (q.biases.defined()) inputs.push_back(std::move(q.biases));
  return reshape(make_node(quantized_matmul_p, p, std::move(inputs), std::move(type)), shape);
}

// gather_qmm_p: x (..., a, m, k), words (..., b, r, p), indices (..., l).
array chosen_products(const P& p, const array& x, const Packed& q, const array& lhs, const array& rhs) {
  Type one = product_type(p, x, q.w);
  Shape shape(front(x.shape(), 3));
  for (int64_t n : {lhs.shape(-1), one.shape.end()[-2], one.shape.back()}) shape.push_back(n);
  SmallVector<array, 3> inputs{x, q.w, q.scales};
  if (q.biases.defined()) inputs.push_back(q.biases);
  inputs.push_back(lhs);
  inputs.push_back(rhs);
  return make_node(gather_qmm_p, p, std::move(inputs), {x.dtype(), std::move(shape)});
}

// The cotangent of scales (i = 2) or biases (i = 3) from that of the matrix, which is left · right. `multiply` gives the
// product of such factors; the sum over groups is taken before it where it can be.
template <class Multiply>
array pull_to_groups(const P& p, int i, const array& x, const array& ct, const array& w, Multiply multiply) {
  int size = p.format.group_size;
  const array &rows = p.transpose ? ct : x, &columns = p.transpose ? x : ct;
  if (i == 3) return multiply(transposed(rows), sum_groups(columns, size));
  return sum_groups(multiply(transposed(rows), columns) * codes(p.format, w, x.dtype()), size);
}

}  // namespace

const Primitive quantized_matmul_p = define<P>({
    .name = "quantized_matmul",
    .infer = [](auto& p, const Call& c) { return product_type(p, c.in(0), c.in(1)); },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      Packed q = packed_of(p, c);
      if (i == 0) return product(p, t, q);
      if (i == 2) return product(p, c.in(0), {q.w, t, zeros_like(t)});
      if (p.transpose) return matmul(sum_groups(c.in(0), p.format.group_size), transposed(t));
      return repeat_groups(matmul(c.in(0), t), p.format.group_size);
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      if (i == 0) return product({p.format, !p.transpose}, ct[0], packed_of(p, c));
      return pull_to_groups(p, i, c.in(0), ct[0], c.in(1), [](const array& a, const array& b) { return matmul(a, b); });
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return product(p, b.raw(0), packed_of(p, b)); },
});

const Primitive gather_qmm_p = define<P>({
    .name = "gather_qmm",
    .infer = [](auto& p, const Call& c) {
      Type type = product_type(p, c.in(0), c.in(1));
      type.shape.end()[-3] = c.in(c.n_in() - 1).shape(-1);
      return type;
    },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      Packed q = packed_of(p, c);
      const array &lhs = c.in(c.n_in() - 2), &rhs = c.in(c.n_in() - 1);
      if (i == 0) return chosen_products(p, t, q, lhs, rhs);
      array none = zeros_like(t);
      return chosen_products(p, c.in(0), {q.w, i == 2 ? t : none, i == 3 ? t : none}, lhs, rhs);
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      const array &x = c.in(0), &lhs = c.in(c.n_in() - 2), &rhs = c.in(c.n_in() - 1);
      array in_order = broadcast_to(arange_int(0, lhs.shape(-1), 1, Dtype::int64), lhs.shape());
      if (i == 0) {
        array each = chosen_products({p.format, !p.transpose}, ct[0], packed_of(p, c), in_order, rhs);
        if (x.ndim() == 3) return scatter_add(zeros_like(x), {lhs}, expand_dims(each, -3), {0});
        return scatter_add_along_axis(zeros_like(x), broadcast_to(expand_dims(lhs, Axes{-1, -2}), each.shape()), each, -3);
      }
      // Products of pairs, added where the scales were read; x is read at lhs, ct in order.
      auto multiply = [&](const array& a, const array& b) {
        const array &ia = p.transpose ? in_order : lhs, &ib = p.transpose ? lhs : in_order;
        return make_nodes(gather_mm_p, GatherMatmulParams{true, c.in(1).shape(-3)}, {a, b, ia, ib, rhs})[0];
      };
      return pull_to_groups(p, i, x, ct[0], c.in(1), multiply);
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      Packed q{b.in(1), b.in(2), p.format.affine() ? b.in(3) : array()};
      return chosen_products(p, b.in(0), q, b.in(b.n_in() - 2), b.in(b.n_in() - 1));
    },
});

// ---- arguments

namespace {

struct Operands {
  array x;
  Packed q;
};

// Checks and promotes; x has one dimension or more.
Operands operands(const char* op, const QuantFormat& f, bool transpose, const array& x, const array& w, const array& scales,
                  const std::optional<array>& biases) {
  if (x.ndim() == 0) throw ValueError(cat("[", op, "] x is a scalar: x is ", x.shape(), ", w is ", w.shape(), "; need at least one dimension."));
  if (w.ndim() < 2) throw ValueError(cat("[", op, "] w must be a matrix or a batch of them: w is ", w.shape(), "; need two dimensions."));
  check_packed(op, f, w, scales, biases);
  int64_t rows = w.shape(-2), columns = f.elements(w.shape(-1)), inner = transpose ? columns : rows;
  if (x.shape(-1) != inner) {
    throw ValueError(cat("[", op, "] inner dimensions differ: x is ", x.shape(), ", w is ", w.shape(), ", which stands for (", rows, ", ", columns,
                         ") with ", f.bits, " bits, and transpose is ", transpose ? "True" : "False", "; need x.shape[-1] == ", inner, "."));
  }
  if (!f.affine()) {
    check_floating(op, "x", x);
    return {x, {w, scales, array()}};
  }
  check_floating(op, "scales", scales);
  check_floating(op, "biases", *biases);
  Dtype t = promote(promote(x.dtype(), scales.dtype()), biases->dtype());
  if (!is_floating(t)) throw DtypeError(cat("[", op, "] x must be real: dtype is ", x.dtype(), "."));
  return {astype(x, t), {w, astype(scales, t), astype(*biases, t)}};
}

// `out`, which was computed without the global scale of its matrix and at least in float32, with it.
array with_global(const array& out, const array& global, Dtype dtype) {
  return astype(out * astype(global / float(kLargestNvfp4), out.dtype()), dtype);
}

// x @ q, as matrices or a vector; `global` is undefined or belongs to q.
array multiply(const P& p, const array& x, const Packed& q, const array& global) {
  if (global.defined()) {
    // Without the factor the products might be out of the range of a half type.
    Dtype wide = promote(x.dtype(), Dtype::float32);
    return with_global(multiply(p, astype(x, wide), q, {}), global, x.dtype());
  }
  if (x.ndim() == 1) return squeeze(product(p, expand_dims(x, 0), q), -2);
  return product(p, x, q);
}

array in_order(const array& x) { return reshape(arange_int(0, n_elems(front(x.shape(), 2)), 1, Dtype::int64), front(x.shape(), 2)); }

// Indices as int64 or, if absent, all in order; what does not fit stays out of bounds.
array indices_of(const char* op, const char* what, const std::optional<array>& given, const array& x) {
  if (!given) return in_order(x);
  if (!is_integer(given->dtype())) {
    throw DtypeError(cat("[", op, "] ", what, " must be integers: dtype is ", given->dtype(), ". Convert with astype."));
  }
  if (given->dtype() != Dtype::uint64) return astype(*given, Dtype::int64);
  return astype(minimum(*given, array(uint64_t(1) << 62, Dtype::uint64)), Dtype::int64);
}

void check_matrix(const char* op, const char* what, const array& x) {
  if (x.ndim() >= 2) return;
  throw ValueError(cat("[", op, "] ", what, " must be a matrix or a batch of them: ", what, " is ", x.shape(), "; need two dimensions."));
}

// Products of pairs; x has two dimensions or more.
array gather(const char* op, const P& p, const array& x, const Packed& q, const std::optional<array>& lhs_indices,
             const std::optional<array>& rhs_indices) {
  array lhs = indices_of(op, "lhs_indices", lhs_indices, x), rhs = indices_of(op, "rhs_indices", rhs_indices, q.w);
  Shape chosen = broadcast_shapes(lhs.shape(), rhs.shape(), op);
  auto flat = [&](const array& i) { return reshape(broadcast_to(i, chosen), {n_elems(chosen)}); };
  auto stacked = [](const array& a) { return reshape(a, {n_elems(front(a.shape(), 2)), a.shape(-2), a.shape(-1)}); };
  array out = chosen_products(p, stacked(x), q.each(stacked), flat(lhs), flat(rhs));
  return reshape(out, joined(chosen, out, 2));
}

struct GlobalScales {
  array x, w;  // Undefined where there is none.
};

GlobalScales global_scales(const char* op, const QuantFormat& f, const std::optional<array>& x, const std::optional<array>& w) {
  if (x.has_value() != w.has_value()) {
    throw ValueError(cat("[", op, "] one global scale is missing: global_scale_", x ? "w" : "x", " is None; need both or neither."));
  }
  if (!x) return {};
  return {checked_global_scale(op, f, *x, "global_scale_x"), checked_global_scale(op, f, *w, "global_scale_w")};
}

// What qqmm and gather_qqmm check: the format, and whether w is packed. `x` has one dimension or more.
QuantFormat checked_factors(const char* op, const array& x, const array& w, const std::optional<array>& scales, std::optional<int> group_size,
                            std::optional<int> bits, std::string_view mode) {
  QuantFormat f = quant_format(op, mode, group_size, bits);
  if (f.affine()) throw ValueError(cat("[", op, "] affine mode has no such product: mode is 'affine'; need 'nvfp4', 'mxfp8' or 'mxfp4'."));
  check_floating(op, "x", x);
  if (w.dtype() != Dtype::uint32) {
    check_floating(op, "w", w);
    if (scales) throw ValueError(cat("[", op, "] scales without a packed w: w is ", w.dtype(), ", scales are ", scales->shape(), "; need None."));
    if (x.ndim() == 0 || w.ndim() < 2 || x.shape(-1) != w.shape(-1)) {
      throw ValueError(cat("[", op, "] inner dimensions differ: x is ", x.shape(), ", w is ", w.shape(), "; need x.shape[-1] == w.shape[-1]."));
    }
  } else if (!scales) {
    throw ValueError(cat("[", op, "] scales are missing: w is packed, with shape ", w.shape(), "; need the scales that quantize gave."));
  }
  if (x.ndim() > 0) check_groups(op, f, "x", x);
  return f;
}

// x rounded to the format. Global scales are float32: the result is then at least that.
array rounded(const QuantFormat& f, const array& x, const array& global) {
  return requantize(f, x, global, global.defined() ? promote(x.dtype(), Dtype::float32) : x.dtype());
}

}  // namespace

// ---- public functions

array quantized_matmul(const array& x, const array& w, const array& scales, const std::optional<array>& biases, bool transpose,
                       std::optional<int> group_size, std::optional<int> bits, std::string_view mode) {
  QuantFormat f = quant_format("quantized_matmul", mode, group_size, bits);
  Operands o = operands("quantized_matmul", f, transpose, x, w, scales, biases);
  return multiply({f, transpose}, o.x, o.q, {});
}

array gather_qmm(const array& x, const array& w, const array& scales, const std::optional<array>& biases, const std::optional<array>& lhs_indices,
                 const std::optional<array>& rhs_indices, bool transpose, std::optional<int> group_size, std::optional<int> bits,
                 std::string_view mode, const std::optional<array>& global_scale, [[maybe_unused]] bool sorted_indices) {
  QuantFormat f = quant_format("gather_qmm", mode, group_size, bits);
  Operands o = operands("gather_qmm", f, transpose, x, w, scales, biases);
  array global = global_scale ? checked_global_scale("gather_qmm", f, *global_scale) : array();
  if (!lhs_indices && !rhs_indices) return multiply({f, transpose}, o.x, o.q, global);
  check_matrix("gather_qmm", "x", x);
  if (!global.defined()) return gather("gather_qmm", {f, transpose}, o.x, o.q, lhs_indices, rhs_indices);
  Dtype wide = promote(x.dtype(), Dtype::float32);
  array out = gather("gather_qmm", {f, transpose}, astype(o.x, wide), o.q, lhs_indices, rhs_indices);
  return with_global(out, global, x.dtype());
}

array qqmm(const array& x, const array& w, const std::optional<array>& scales, std::optional<int> group_size, std::optional<int> bits,
           std::string_view mode, const std::optional<array>& global_scale_x, const std::optional<array>& global_scale_w) {
  QuantFormat f = checked_factors("qqmm", x, w, scales, group_size, bits, mode);
  GlobalScales global = global_scales("qqmm", f, global_scale_x, global_scale_w);
  if (w.ndim() != 2) throw ValueError(cat("[qqmm] w must be one matrix: w is ", w.shape(), "; need two dimensions. Use gather_qqmm."));
  if (scales) {
    Operands o = operands("qqmm", f, true, x, w, *scales, {});
    return astype(multiply({f, true}, rounded(f, o.x, global.x), o.q, global.w), x.dtype());
  }
  array y = matmul(rounded(f, x, global.x), transposed(rounded(f, w, global.w)));
  return astype(y, promote(x.dtype(), w.dtype()));
}

array gather_qqmm(const array& x, const array& w, const std::optional<array>& scales, const std::optional<array>& lhs_indices,
                  const std::optional<array>& rhs_indices, std::optional<int> group_size, std::optional<int> bits, std::string_view mode,
                  const std::optional<array>& global_scale_x, const std::optional<array>& global_scale_w, bool sorted_indices) {
  QuantFormat f = checked_factors("gather_qqmm", x, w, scales, group_size, bits, mode);
  GlobalScales global = global_scales("gather_qqmm", f, global_scale_x, global_scale_w);
  check_matrix("gather_qqmm", "x", x);
  check_matrix("gather_qqmm", "w", w);
  if (scales) {
    Operands o = operands("gather_qqmm", f, true, x, w, *scales, {});
    std::optional<array> of_w = global_scale_w ? std::optional(global.w) : std::nullopt;
    array y = gather_qmm(rounded(f, o.x, global.x), w, *scales, {}, lhs_indices, rhs_indices, true, f.group_size, f.bits, mode, of_w, sorted_indices);
    return astype(y, x.dtype());
  }
  array y = gather_mm(rounded(f, x, global.x), transposed(rounded(f, w, global.w)), lhs_indices, rhs_indices, sorted_indices);
  return astype(y, promote(x.dtype(), w.dtype()));
}

}  // namespace mx

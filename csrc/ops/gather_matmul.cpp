// gather_matmul.cpp — products of chosen, masked or segmented matrices. What is differentiated is always a product
// again: choosing operands turns into adding to results (`sums`), a mask of the result into a mask of an operand, and
// cutting segments out into adding to them. So the records below refer to each other and to nothing else.

#include "ops/gather_matmul.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/gather_matmul_params.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx {

namespace {

array transposed(const array& x) { return swapaxes(x, -1, -2); }

Shape front(const Shape& shape, size_t without) { return {shape.begin(), shape.end() - static_cast<int64_t>(without)}; }
Shape joined(Shape batch, std::initializer_list<int64_t> tail) {
  batch.insert(batch.end(), tail.begin(), tail.end());
  return batch;
}

// The dtype of a product, which must be a real floating one.
Dtype product_dtype(const char* op, const array& a, const array& b) {
  Dtype t = promote(a.dtype(), b.dtype());
  if (is_floating(t)) return t;
  throw DtypeError(cat("[", op, "] only real floating dtypes have this product: a is ", a.dtype(), ", b is ", b.dtype(),
                       ". Convert with astype, or use matmul."));
}

void check_index_dtype(const char* op, const char* what, const array& x) {
  if (is_integer(x.dtype())) return;
  throw DtypeError(cat("[", op, "] ", what, " must be integers: dtype is ", x.dtype(), ". Convert with astype."));
}

// Indices as int64; what does not fit stays out of bounds.
array wide_indices(const array& x) {
  if (x.dtype() != Dtype::uint64) return astype(x, Dtype::int64);
  return astype(minimum(x, array(uint64_t(1) << 62, Dtype::uint64)), Dtype::int64);
}

// ---- chosen pairs

// gather_mm_p; `target` undefined: one result for each pair.
array pairs(const array& a, const array& b, const array& ia, const array& ib, const array& target, int64_t n_out) {
  bool sums = target.defined();
  Type type{a.dtype(), joined(front(a.shape(), 3), {sums ? n_out : ia.shape(-1), a.shape(-2), b.shape(-1)})};
  SmallVector<array, 3> inputs{a, b, ia, ib};
  if (sums) inputs.push_back(target);
  return make_node(gather_mm_p, GatherMatmulParams{sums, sums ? n_out : 0}, std::move(inputs), std::move(type));
}

array in_order(const array& indices) {
  return broadcast_to(arange_int(0, indices.shape(-1), 1, Dtype::int64), indices.shape());
}

}  // namespace

const Primitive gather_mm_p = define<GatherMatmulParams>({
    .name = "gather_mm",
    .infer = [](auto& p, const Call& c) {
      const Shape &a = c.in(0).shape(), &b = c.in(1).shape();
      return Type{c.in(0).dtype(), joined(front(a, 3), {p.sums ? p.n_out : c.in(2).shape(-1), a[a.size() - 2], b.back()})};
    },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      return pairs(i == 0 ? t : c.in(0), i == 1 ? t : c.in(1), c.in(2), c.in(3), p.sums ? c.in(4) : array(), p.n_out);
    },
    // ct (..., l, m, n) · bᵀ (..., B, n, k), added where a was read; aᵀ (..., A, k, m) · ct, added where b was.
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      array of_ct = p.sums ? c.in(4) : in_order(c.in(2));
      if (i == 0) return pairs(ct[0], transposed(c.in(1)), of_ct, c.in(3), c.in(2), c.in(0).shape(-3));
      return pairs(transposed(c.in(0)), ct[0], c.in(2), of_ct, c.in(3), c.in(1).shape(-3));
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      return pairs(b.in(0), b.in(1), b.in(2), b.in(3), p.sums ? b.in(4) : array(), p.n_out);
    },
    .first_index_input = 2,
});

array gather_mm(const array& a, const array& b, const std::optional<array>& lhs_indices, const std::optional<array>& rhs_indices,
                [[maybe_unused]] bool sorted_indices) {
  Dtype t = product_dtype("gather_mm", a, b);
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw ValueError(cat("[gather_mm] ", a.ndim() == 0 ? "a" : "b", " is a scalar: a is ", a.shape(), ", b is ", b.shape(),
                         "; need at least one dimension."));
  }
  if (!lhs_indices && !rhs_indices) return matmul(a, b);
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  array x = astype(row ? expand_dims(a, 0) : a, t), y = astype(column ? expand_dims(b, 1) : b, t);
  if (x.shape(-1) != y.shape(-2)) {
    throw ValueError(cat("[gather_mm] inner dimensions differ: a is ", a.shape(), ", b is ", b.shape(),
                         "; need a.shape[-1] == b.shape[", column ? "-1]." : "-2]."));
  }
  auto indices_of = [](const array& m, const std::optional<array>& given, const char* name) {
    Shape batch = front(m.shape(), 2);
    if (!given) return reshape(arange_int(0, n_elems(batch), 1, Dtype::int64), batch);
    check_index_dtype("gather_mm", name, *given);
    return wide_indices(*given);
  };
  array ia = indices_of(x, lhs_indices, "lhs_indices"), ib = indices_of(y, rhs_indices, "rhs_indices");
  Shape chosen = broadcast_shapes(ia.shape(), ib.shape(), "gather_mm");
  int64_t l = n_elems(chosen);
  auto flat_indices = [&](const array& i) { return reshape(broadcast_to(i, chosen), {l}); };
  auto flat_batch = [](const array& m) { return reshape(m, {n_elems(front(m.shape(), 2)), m.shape(-2), m.shape(-1)}); };
  array out = pairs(flat_batch(x), flat_batch(y), flat_indices(ia), flat_indices(ib), array(), 0);
  if (!row) chosen.push_back(x.shape(-2));
  if (!column) chosen.push_back(y.shape(-1));
  return reshape(out, chosen);
}

// ---- masked blocks

namespace {

int64_t n_blocks(int64_t size, int block) { return (size + block - 1) / block; }

// The masks of a call, by role; undefined where there is none.
struct Masks {
  array out, lhs, rhs;
};

array masked(const array& a, const array& b, int block, const Masks& m) {
  BlockMaskParams p{block, m.out.defined(), m.lhs.defined(), m.rhs.defined()};
  SmallVector<array, 3> inputs{a, b};
  for (const array* mask : {&m.out, &m.lhs, &m.rhs}) {
    if (mask->defined()) inputs.push_back(*mask);
  }
  Type type{a.dtype(), joined(front(a.shape(), 1), {b.shape(-1)})};
  return make_node(block_masked_mm_p, p, std::move(inputs), std::move(type));
}

Masks masks_of(const BlockMaskParams& p, const std::function<array(int)>& input) {
  int next = 2;
  Masks m;
  if (p.out) m.out = input(next++);
  if (p.lhs) m.lhs = input(next++);
  if (p.rhs) m.rhs = input(next++);
  return m;
}

// Which mask input i is.
enum class Role { out, lhs, rhs };
Role role_of(const BlockMaskParams& p, int i) {
  i -= 2;
  if (p.out && i-- == 0) return Role::out;
  if (p.lhs && i-- == 0) return Role::lhs;
  return Role::rhs;
}

array transposed_if(const array& mask) { return mask.defined() ? transposed(mask) : mask; }

// Sums over the blocks of matrices (..., m, n): (..., ⌈m⌉, ⌈n⌉).
array sum_blocks(const array& x, int block) {
  int64_t m = x.shape(-2), n = x.shape(-1), rows = n_blocks(m, block), cols = n_blocks(n, block);
  array whole = pad(x, Axes{-2, -1}, Shape{0, 0}, Shape{rows * block - m, cols * block - n});
  return sum(reshape(whole, joined(front(x.shape(), 2), {rows, block, cols, block})), Axes{-3, -1});
}

}  // namespace

// With O, L, R the masks: y = O ∘ ((L ∘ a) · (R ∘ b)), linear in each input.
const Primitive block_masked_mm_p = define<BlockMaskParams>({
    .name = "block_masked_mm",
    .infer = [](auto&, const Call& c) {
      return Type{c.in(0).dtype(), joined(front(c.in(0).shape(), 1), {c.in(1).shape(-1)})};
    },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      auto input = [&](int k) { return k == i ? t : c.in(k); };
      return masked(input(0), input(1), p.block_size, masks_of(p, input));
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& cts) {
      Masks m = masks_of(p, [&](int k) { return c.in(k); });
      const array &a = c.in(0), &b = c.in(1), &ct = cts[0];
      auto of_a = [&](const array& lhs) { return masked(ct, transposed(b), p.block_size, {lhs, m.out, transposed_if(m.rhs)}); };
      auto of_b = [&](const array& rhs) { return masked(transposed(a), ct, p.block_size, {rhs, transposed_if(m.lhs), m.out}); };
      if (i == 0) return of_a(m.lhs);
      if (i == 1) return of_b(m.rhs);
      switch (role_of(p, i)) {
        case Role::lhs: return sum_blocks(strong_zero_multiply(of_a(array()), a), p.block_size);
        case Role::rhs: return sum_blocks(strong_zero_multiply(of_b(array()), b), p.block_size);
        default: return sum_blocks(strong_zero_multiply(ct, masked(a, b, p.block_size, {array(), m.lhs, m.rhs})), p.block_size);
      }
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      return masked(b.in(0), b.in(1), p.block_size, masks_of(p, [&](int k) { return b.in(k); }));
    },
});

array block_masked_mm(const array& a, const array& b, int block_size, const std::optional<array>& mask_out,
                      const std::optional<array>& mask_lhs, const std::optional<array>& mask_rhs) {
  Dtype t = product_dtype("block_masked_mm", a, b);
  if (!mask_out && !mask_lhs && !mask_rhs) return matmul(a, b);
  if (block_size != 32 && block_size != 64) {
    throw ValueError(cat("[block_masked_mm] block_size is ", block_size, "; need 32 or 64."));
  }
  if (a.ndim() == 0 || b.ndim() == 0) {
    throw ValueError(cat("[block_masked_mm] ", a.ndim() == 0 ? "a" : "b", " is a scalar: a is ", a.shape(), ", b is ", b.shape(),
                         "; need at least one dimension."));
  }
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  array x = astype(row ? expand_dims(a, 0) : a, t), y = astype(column ? expand_dims(b, 1) : b, t);
  if (x.shape(-1) != y.shape(-2)) {
    throw ValueError(cat("[block_masked_mm] inner dimensions differ: a is ", a.shape(), ", b is ", b.shape(),
                         "; need a.shape[-1] == b.shape[", column ? "-1]." : "-2]."));
  }
  Shape batch = broadcast_shapes(front(x.shape(), 2), front(y.shape(), 2), "block_masked_mm");
  int64_t m = x.shape(-2), k = x.shape(-1), n = y.shape(-1);
  auto fit = [&](const std::optional<array>& mask, int64_t rows, int64_t cols, const char* name) {
    if (!mask) return array();
    Shape need = joined(batch, {n_blocks(rows, block_size), n_blocks(cols, block_size)});
    bool fits = mask->ndim() <= static_cast<int>(need.size());
    for (int i = 1; fits && i <= mask->ndim(); ++i) {
      int64_t size = mask->shape(-i);
      fits = size == 1 || size == need[need.size() - static_cast<size_t>(i)];
    }
    if (!fits) {
      throw ValueError(cat("[block_masked_mm] ", name, " does not fit: its shape is ", mask->shape(), "; need one that broadcasts to ", need,
                           ", one value a block."));
    }
    return broadcast_to(is_bool(mask->dtype()) ? *mask : astype(is_complex(mask->dtype()) ? real(*mask) : *mask, t), need);
  };
  Masks masks{fit(mask_out, m, n, "mask_out"), fit(mask_lhs, m, k, "mask_lhs"), fit(mask_rhs, k, n, "mask_rhs")};
  array out = masked(broadcast_to(x, joined(batch, {m, k})), broadcast_to(y, joined(batch, {k, n})), block_size, masks);
  if (row) out = squeeze(out, -2);
  return column ? squeeze(out, -1) : out;
}

// ---- segments

namespace {

array cut(const array& a, const array& b, const array& segments) {
  Type type{a.dtype(), joined(front(a.shape(), 2), {segments.shape(-2), a.shape(-2), b.shape(-1)})};
  return make_node(segmented_mm_p, {}, {a, b, segments}, std::move(type));
}
array put(const array& x, const array& y, const array& segments) {
  Type type{x.dtype(), joined(front(x.shape(), 3), {x.shape(-2), y.shape(-1)})};
  return make_node(segment_sum_mm_p, {}, {x, y, segments}, std::move(type));
}

}  // namespace

const Primitive segmented_mm_p = define<NoParams>({
    .name = "segmented_mm",
    .infer = [](auto&, const Call& c) {
      return Type{c.in(0).dtype(), joined(front(c.in(0).shape(), 2), {c.in(2).shape(-2), c.in(0).shape(-2), c.in(1).shape(-1)})};
    },
    .jvp = [](auto&, const Call& c, int i, const array& t) -> Outs { return cut(i == 0 ? t : c.in(0), i == 1 ? t : c.in(1), c.in(2)); },
    // Σ ct[s] (m, n) · bᵀ[:, segment] (n, ·), and the same transposed for b.
    .vjp = [](auto&, const Call& c, int i, const Outs& ct) {
      if (i == 0) return put(ct[0], transposed(c.in(1)), c.in(2));
      return transposed(put(transposed(ct[0]), c.in(0), c.in(2)));
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return cut(b.in(0), b.in(1), b.in(2)); },
    .first_index_input = 2,
});

const Primitive segment_sum_mm_p = define<NoParams>({
    .name = "segment_sum_mm",
    .infer = [](auto&, const Call& c) {
      return Type{c.in(0).dtype(), joined(front(c.in(0).shape(), 3), {c.in(0).shape(-2), c.in(1).shape(-1)})};
    },
    .jvp = [](auto&, const Call& c, int i, const array& t) -> Outs { return put(i == 0 ? t : c.in(0), i == 1 ? t : c.in(1), c.in(2)); },
    // ct[:, segment] (m, ·) · yᵀ[segment] (·, n); Σ x[s]ᵀ (n, m) · ct[:, segment].
    .vjp = [](auto&, const Call& c, int i, const Outs& ct) {
      return i == 0 ? cut(ct[0], transposed(c.in(1)), c.in(2)) : put(transposed(c.in(0)), ct[0], c.in(2));
    },
    .vmap = [](auto&, const Batch& b) -> Outs { return put(b.in(0), b.in(1), b.in(2)); },
    .first_index_input = 2,
});

array segmented_mm(const array& a, const array& b, const array& segments) {
  Dtype t = product_dtype("segmented_mm", a, b);
  if (a.ndim() != 2 || b.ndim() != 2) {
    throw ValueError(cat("[segmented_mm] a and b must be matrices: a is ", a.shape(), ", b is ", b.shape(), ". Use vmap for batches."));
  }
  if (a.shape(1) != b.shape(0)) {
    throw ValueError(cat("[segmented_mm] inner dimensions differ: a is ", a.shape(), ", b is ", b.shape(), "; need a.shape[1] == b.shape[0]."));
  }
  if (segments.ndim() < 1 || segments.shape(-1) != 2) {
    throw ValueError(cat("[segmented_mm] segments must be pairs of begin and end: their shape is ", segments.shape(), "; need (..., 2)."));
  }
  check_index_dtype("segmented_mm", "segments", segments);
  Shape chosen = front(segments.shape(), 1);
  array out = cut(astype(a, t), astype(b, t), reshape(wide_indices(segments), {n_elems(chosen), 2}));
  return reshape(out, joined(chosen, {a.shape(0), b.shape(1)}));
}

}  // namespace mx

// fast_attention.cpp — attention: softmax(scale q kᵀ) v, with masks, shared key heads and sinks.
//
// Heads that share keys are folded into the rows of one product. A score that does not count is the lowest finite number,
// not -inf: a query that sees nothing then takes the mean of the values, as in MLX. The kernels never hold all
// scores at once; the formulas below, which give the other derivatives, do. Start at the end.

#include <limits>

#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fast.h"
#include "ops/fast_params.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::fast {

namespace {

Dtype wide(Dtype t) { return t == Dtype::float64 ? t : Dtype::float32; }

Shape with_last(const Shape& shape, int64_t n) {
  Shape out(shape);
  out.back() = n;
  return out;
}

// (..., n, tq, d) -> (..., m, n / m · tq, d): the queries that share a key head as rows of one matrix.
array fold(const array& x, int64_t heads) {
  Shape shape(x.shape());
  size_t d = shape.size();
  shape[d - 2] *= heads ? shape[d - 3] / heads : 1;
  shape[d - 3] = heads;
  return reshape(x, shape);
}

// The inputs by role, in the wide dtype; undefined where there is none.
struct Inputs {
  array q, k, v, mask, sinks;
  Inputs(const AttentionParams& p, const Call& c) {
    Dtype t = wide(c.in(0).dtype());
    auto load = [&](int i) { return is_bool(c.in(i).dtype()) ? c.in(i) : astype(c.in(i), t); };
    q = load(0);
    k = load(1);
    v = load(2);
    if (p.mask) mask = load(3);
    if (p.sinks) sinks = load(p.mask ? 4 : 3);
  }
  int64_t key_heads() const { return k.shape(-3); }
};

// The keys that each query sees: (tq, tk).
array causal_mask(int64_t tq, int64_t tk) {
  array last = expand_dims(arange_int(tk - tq, tk, 1, Dtype::int64), 1);
  return less_equal(arange_int(0, tk, 1, Dtype::int64), last);
}

// The weights (..., n, tq, tk), and with sinks their share (..., n, tq, 1). A row of -inf gives NaN, or zeros if `finite`.
std::pair<array, array> weights(const AttentionParams& p, const Inputs& x, bool finite = false) {
  int64_t tq = x.q.shape(-2), tk = x.k.shape(-2);
  array s = reshape(matmul(fold(x.q * p.scale, x.key_heads()), swapaxes(x.k, -1, -2)), with_last(x.q.shape(), tk));
  array lowest = array(x.q.dtype() == Dtype::float64 ? std::numeric_limits<double>::lowest() : std::numeric_limits<float>::lowest(), x.q.dtype());
  if (p.causal) s = where(causal_mask(tq, tk), s, lowest);
  if (p.mask) s = is_bool(x.mask.dtype()) ? where(x.mask, s, lowest) : s + x.mask;
  if (!p.sinks) {
    array w = softmax(s, -1);
    bool can_vanish = finite && p.mask && !is_bool(x.mask.dtype()) && s.size() > 0;
    return {can_vanish ? where(isneginf(max(s, -1, true)), weak(0.0, w), w) : w, array()};
  }
  array all = softmax(concatenate({broadcast_to(expand_dims(x.sinks, Axes{-2, -1}), with_last(s.shape(), 1)), s}, -1), -1);
  return {slice_along(all, -1, 1, tk + 1), slice_along(all, -1, 0, 1)};
}

array attention(const AttentionParams& p, const Arrays& inputs) {
  Type type{inputs[0].dtype(), with_last(inputs[0].shape(), inputs[2].shape(-1))};
  return make_node(attention_p, p, SmallVector<array, 3>(inputs), std::move(type));
}

Arrays inputs_of(const Batch& b) {
  Arrays inputs;
  for (int i = 0; i < b.n_in(); ++i) inputs.push_back(b.in(i));
  return inputs;
}

}  // namespace

const Primitive attention_p = define<AttentionParams>({
    .name = "scaled_dot_product_attention",
    .infer = [](auto&, const Call& c) { return Type{c.in(0).dtype(), with_last(c.in(0).shape(), c.in(2).shape(-1))}; },
    .pull = [](auto& p, const Call& c, const Outs& ct, const std::vector<bool>& need) {
      size_t sinks = p.mask ? 4 : 3;
      AttentionVjpParams vjp{p, p.mask && need[3], p.sinks && need[sinks]};
      SmallVector<array, 3> inputs(c.inputs());
      inputs.push_back(ct[0]);
      Arrays found = make_nodes(attention_vjp_p, vjp, std::move(inputs)), cts(need.size());
      for (size_t i = 0; i < 3; ++i) {
        if (need[i]) cts[i] = found[i];
      }
      if (vjp.of_mask) cts[3] = found[3];
      if (vjp.of_sinks) cts[sinks] = found.back();
      return cts;
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return attention(p, inputs_of(b)); },
    .expand = [](auto& p, const Call& c) -> Outs {
      Inputs x(p, c);
      array y = matmul(fold(weights(p, x).first, x.key_heads()), x.v);
      return astype(reshape(y, with_last(c.in(0).shape(), c.in(2).shape(-1))), c.in(0).dtype());
    },
});

// With w the weights and s the scores: ds = w (dw - <w, dw>). What a mask hides has w = 0 or a constant score.
const Primitive attention_vjp_p = define<AttentionVjpParams>({
    .name = "attention_vjp",
    .infer = [](auto& p, const Call& c) {
      Types types{c.in(0).type(), c.in(1).type(), c.in(2).type()};
      if (p.of_mask) types.push_back(c.in(3).type());
      if (p.of_sinks) types.push_back(c.in(p.of.mask ? 4 : 3).type());
      return types;
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return make_nodes(attention_vjp_p, p, SmallVector<array, 3>(inputs_of(b))); },
    .expand = [](auto& p, const Call& c) -> Outs {
      Inputs x(p.of, c);
      int64_t m = x.key_heads(), tq = x.q.shape(-2), tk = x.k.shape(-2);
      array ct = astype(c.in(c.n_in() - 1), x.q.dtype());
      auto [w, share] = weights(p.of, x, true);
      array dw = reshape(matmul(fold(ct, m), swapaxes(x.v, -1, -2)), w.shape());
      array mean = sum(w * dw, -1, true), ds = w * (dw - mean), dscores = ds;
      if (p.of.causal) dscores = where(causal_mask(tq, tk), dscores, weak(0.0, ds));
      if (p.of.mask && is_bool(x.mask.dtype())) dscores = where(x.mask, dscores, weak(0.0, ds));
      array folded = fold(dscores, m) * p.of.scale;
      Outs outs{reshape(matmul(folded, x.k), x.q.shape()), matmul(swapaxes(folded, -1, -2), fold(x.q, m)),
                matmul(swapaxes(fold(w, m), -1, -2), fold(ct, m))};
      if (p.of_mask) outs.push_back(ds);
      if (p.of_sinks) outs.push_back(negative(sum(share * mean, Axes{-2, -1})));
      for (array& out : outs) out = astype(out, c.in(0).dtype());
      return outs;
    },
});

array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale, const std::optional<array>& mask,
                                   AttentionMask kind, const std::optional<array>& sinks) {
  constexpr const char* op = "[scaled_dot_product_attention] ";
  auto shapes = [&] { return cat("q is ", q.shape(), ", k is ", k.shape(), ", v is ", v.shape()); };
  if (q.ndim() != 4 || k.ndim() != 4 || v.ndim() != 4) {
    throw ValueError(cat(op, "q, k and v need four dimensions, (batch, heads, positions, features): ", shapes(), "."));
  }
  if (k.shape(0) != q.shape(0) || v.shape(0) != q.shape(0)) throw ValueError(cat(op, "the batches differ: ", shapes(), "; need equal sizes of axis 0."));
  if (k.shape(-1) != q.shape(-1)) throw ValueError(cat(op, "the features of q and k differ: ", shapes(), "; need equal sizes of axis 3."));
  if (k.shape(1) != v.shape(1)) throw ValueError(cat(op, "the heads of k and v differ: ", shapes(), "; need equal sizes of axis 1."));
  if (k.shape(2) != v.shape(2)) throw ValueError(cat(op, "the positions of k and v differ: ", shapes(), "; need equal sizes of axis 2."));
  if (k.shape(1) == 0 ? q.shape(1) != 0 : q.shape(1) % k.shape(1) != 0) {
    throw ValueError(cat(op, "the heads of q are not a multiple of those of k: ", shapes(), "."));
  }
  Dtype t = promote(promote(q.dtype(), k.dtype()), v.dtype());
  if (!is_floating(t)) {
    throw DtypeError(cat(op, "need real floating numbers: q is ", q.dtype(), ", k is ", k.dtype(), ", v is ", v.dtype(), ". Convert with astype."));
  }
  Arrays inputs{astype(q, t), astype(k, t), astype(v, t)};
  if (mask) {
    Shape scores{q.shape(0), q.shape(1), q.shape(2), k.shape(2)};
    bool fits = mask->ndim() <= 4;
    for (int i = 1; fits && i <= mask->ndim(); ++i) fits = mask->shape(-i) == 1 || mask->shape(-i) == scores[static_cast<size_t>(4 - i)];
    if (!fits) throw ValueError(cat(op, "the mask does not fit: its shape is ", mask->shape(), "; need one that broadcasts to ", scores, "."));
    if (!is_bool(mask->dtype()) && promote(mask->dtype(), t) != t) {
      throw DtypeError(cat(op, "the mask is wider than the result: the mask is ", mask->dtype(), ", the result ", t,
                           "; need a boolean mask or one that promotes to ", t, "."));
    }
    inputs.push_back(broadcast_to(is_bool(mask->dtype()) ? *mask : astype(*mask, t), scores));
  }
  if (sinks) {
    if (sinks->shape() != Shape{q.shape(1)}) {
      throw ValueError(cat(op, "sinks have the wrong shape: ", sinks->shape(), "; need one for each head of q, (", q.shape(1), ",)."));
    }
    if (promote(sinks->dtype(), t) != t) {
      throw DtypeError(cat(op, "sinks are wider than the result: sinks are ", sinks->dtype(), ", the result ", t, "; need a dtype that promotes to ", t, "."));
    }
    inputs.push_back(broadcast_to(astype(*sinks, t), Shape{q.shape(0), q.shape(1)}));
  }
  return attention({scale, kind == AttentionMask::causal, mask.has_value(), sinks.has_value()}, inputs);
}

}  // namespace mx::fast

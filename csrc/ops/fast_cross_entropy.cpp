// fast_cross_entropy.cpp — the loss of a classifier from its logits and the true classes.

#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fast.h"
#include "ops/fast_params.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::fast {

namespace {

Dtype wide(Dtype t) { return t == Dtype::float64 ? t : Dtype::float32; }

Type loss_type(const array& logits) { return {wide(logits.dtype()), without_axis(logits.shape(), logits.ndim() - 1)}; }

array loss(const array& logits, const array& targets) { return make_node(cross_entropy_p, {}, {logits, targets}, loss_type(logits)); }
array loss_vjp(const array& logits, const array& targets, const array& ct) {
  return make_node(cross_entropy_vjp_p, {}, {logits, targets, ct}, logits.type());
}

// softmax(x), with zeros for a row of -inf.
array safe_softmax(const array& x) {
  array top = logsumexp(x, -1, true);
  return exp(x - where(isneginf(top), weak(0.0, top), top));
}

}  // namespace

const Primitive cross_entropy_p = define<NoParams>({
    .name = "cross_entropy",
    .infer = [](auto&, const Call& c) { return loss_type(c.in(0)); },
    .vjp = [](auto&, const Call& c, int, const Outs& ct) { return loss_vjp(c.in(0), c.in(1), ct[0]); },
    .vmap = [](auto&, const Batch& b) -> Outs { return loss(b.in(0), b.in(1)); },
    .expand = [](auto&, const Call& c) -> Outs {
      array x = astype(c.in(0), wide(c.in(0).dtype()));
      return logsumexp(x, -1) - squeeze(take_along_axis(x, expand_dims(c.in(1), -1), -1), -1);
    },
    .first_index_input = 1,
});

// ct (softmax(x) - onehot(target)). The input order keeps the indices in the middle: they are integers, so no tangent.
const Primitive cross_entropy_vjp_p = define<NoParams>({
    .name = "cross_entropy_vjp",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .vmap = [](auto&, const Batch& b) -> Outs { return loss_vjp(b.in(0), b.in(1), b.in(2)); },
    .expand = [](auto&, const Call& c) -> Outs {
      array x = astype(c.in(0), wide(c.in(0).dtype())), ct = expand_dims(c.in(2), -1);
      array spread = ct * safe_softmax(x);
      return astype(scatter_add_along_axis(spread, expand_dims(c.in(1), -1), negative(ct), -1), c.in(0).dtype());
    },
});

array cross_entropy(const array& logits, const array& targets) {
  if (logits.ndim() == 0) throw ValueError("[cross_entropy] logits is a scalar; need at least one dimension, the classes last.");
  if (!is_floating(logits.dtype())) {
    throw DtypeError(cat("[cross_entropy] logits must have a real floating dtype: dtype is ", logits.dtype(), ". Convert with astype."));
  }
  if (!is_integer(targets.dtype())) {
    throw DtypeError(cat("[cross_entropy] targets must be integer classes: dtype is ", targets.dtype(), ". Convert with astype."));
  }
  if (targets.shape() != without_axis(logits.shape(), logits.ndim() - 1)) {
    throw ValueError(cat("[cross_entropy] targets do not fit the logits: targets are ", targets.shape(), ", logits are ", logits.shape(),
                         "; need the shape of the logits without the last axis."));
  }
  array classes = targets.dtype() == Dtype::uint64 ? minimum(targets, array(uint64_t(1) << 62, Dtype::uint64)) : targets;
  return loss(logits, astype(classes, Dtype::int64));
}

}  // namespace mx::fast

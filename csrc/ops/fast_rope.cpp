// fast_rope.cpp — rotary position embedding (Su et al., "RoFormer", 2021). Turning is linear in x and its transpose turns
// back, so both derivatives in x are the primitive itself. The one in the frequencies is written out below.

#include <cmath>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fast.h"
#include "ops/fast_params.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::fast {

namespace {

array turn(const RopeParams& p, const array& x, const array& offset, const array& freqs) {
  SmallVector<array, 3> inputs{x, offset};
  if (p.freqs) inputs.push_back(freqs);
  return make_node(rope_p, p, std::move(inputs), x.type());
}

// First and second features of the pairs of x (..., t, d): (..., t, dims / 2) each.
std::pair<array, array> pairs(const RopeParams& p, const array& x) {
  if (p.traditional) return {slice_along(x, -1, 0, p.dims, 2), slice_along(x, -1, 1, p.dims, 2)};
  return {slice_along(x, -1, 0, p.dims / 2), slice_along(x, -1, p.dims / 2, p.dims)};
}
// The inverse, with zeros for the features that are not turned.
array joined(const RopeParams& p, const array& first, const array& second, int64_t features) {
  array out = p.traditional ? flatten(stack({first, second}, -1), -2, -1) : concatenate({first, second}, -1);
  return features == p.dims ? out : pad(out, Axes{-1}, Shape{0}, Shape{features - p.dims});
}

// d angle / d freqs at every position: -position · scale / freqs², (..., t, dims / 2), negated when turning back.
array angle_slope(const RopeParams& p, const array& x, const array& offset, const array& freqs) {
  array steps = arange_int(0, x.shape(-2), 1, Dtype::int64);
  array position = astype(expand_dims(offset, -1) + steps, freqs.dtype()) * (p.inverse ? p.scale : -p.scale);
  return expand_dims(position, -1) / expand_dims(square(freqs), -2);
}

Dtype wide(Dtype t) { return t == Dtype::float64 ? t : Dtype::float32; }

}  // namespace

const Primitive rope_p = define<RopeParams>({
    .name = "rope",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    // An angle that moves by s moves a pair (u, v) by s (-v, u).
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      if (i == 0) return turn(p, t, c.in(1), p.freqs ? c.in(2) : array());
      array moved = angle_slope(p, c.in(0), c.in(1), c.in(2)) * expand_dims(t, -2);
      auto [u, v] = pairs(p, astype(c.out(), t.dtype()));
      return astype(joined(p, negative(v * moved), u * moved, c.in(0).shape(-1)), c.in(0).dtype());
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      if (i == 0) {
        RopeParams back = p;
        back.inverse = !p.inverse;
        return turn(back, ct[0], c.in(1), p.freqs ? c.in(2) : array());
      }
      Dtype t = c.in(2).dtype();
      auto [u, v] = pairs(p, astype(c.out(), t));
      auto [of_u, of_v] = pairs(p, astype(ct[0], t));
      return sum((u * of_v - v * of_u) * angle_slope(p, c.in(0), c.in(1), c.in(2)), -2);
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return turn(p, b.in(0), b.in(1), p.freqs ? b.in(2) : array()); },
});

array rope(const array& x, int64_t dims, bool traditional, std::optional<double> base, double scale, const array& offset,
           const std::optional<array>& freqs) {
  if (x.ndim() < 3) throw ValueError(cat("[rope] a needs at least three dimensions, (batch, ..., positions, features): its shape is ", x.shape(), "."));
  if (!is_floating(x.dtype())) throw DtypeError(cat("[rope] a must have a real floating dtype: dtype is ", x.dtype(), ". Convert with astype."));
  if (dims <= 0 || dims % 2 != 0 || dims > x.shape(-1)) {
    throw ValueError(cat("[rope] dims must be even, and not more than the features: dims is ", dims, ", a is ", x.shape(), "; need 2, 4, ... up to ",
                         x.shape(-1), "."));
  }
  if (base && freqs) throw ValueError("[rope] base and freqs exclude each other: both were given; need one of them, the other None.");
  if (!base && !freqs) throw ValueError("[rope] neither base nor freqs was given; need one of them.");
  if (!is_integer(offset.dtype())) throw DtypeError(cat("[rope] offset must be an integer: dtype is ", offset.dtype(), "."));
  if (offset.ndim() > 1 || (offset.ndim() == 1 && offset.size() != 1 && offset.size() != x.shape(0))) {
    throw ValueError(cat("[rope] offset must be a scalar or have one element an example: its shape is ", offset.shape(), ", a is ", x.shape(), "."));
  }
  if (freqs && (freqs->ndim() != 1 || freqs->size() != dims / 2)) {
    throw ValueError(cat("[rope] freqs has the wrong shape: ", freqs->shape(), "; need (", dims / 2, ",), one for each pair of dims ", dims, "."));
  }
  if (freqs && is_complex(freqs->dtype())) throw DtypeError(cat("[rope] freqs must be real: dtype is ", freqs->dtype(), "."));
  Shape batch(x.shape().begin(), x.shape().end() - 2);
  // Given one for each example, offsets stand in front.
  array start = astype(offset, Dtype::int64);
  if (offset.ndim() == 1) start = reshape(start, with_axis(Shape(batch.size() - 1, 1), offset.size()));
  RopeParams p{dims, traditional, base.value_or(0), scale, freqs.has_value(), false};
  array frequencies;
  if (freqs) {
    Shape shape(batch);
    shape.push_back(dims / 2);
    frequencies = broadcast_to(astype(*freqs, wide(x.dtype())), shape);
  }
  return turn(p, x, broadcast_to(start, batch), frequencies);
}

}  // namespace mx::fast

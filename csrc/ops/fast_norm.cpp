// fast_norm.cpp — rms_norm and layer_norm, which differ in whether the mean is taken off first. Forward and backward
// have kernels; both are written in simpler operations too, which give every other derivative.

#include <utility>

#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fast.h"
#include "ops/fast_params.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"

namespace mx::fast {

namespace {

// What half types are computed in.
Dtype wide(Dtype t) { return t == Dtype::float64 ? t : Dtype::float32; }

Axes leading_axes(const array& x) { return all_axes(x.ndim() - 1); }

// x (or x - mean) over its root mean square, and one over that; in the wide dtype.
std::pair<array, array> normalised(const array& x, double eps, bool centred) {
  array a = astype(x, wide(x.dtype()));
  if (centred) a = a - mean(a, -1, true);
  array r = rsqrt(mean(square(a), -1, true) + eps);
  return {a * r, r};
}

array norm(const array& x, const array& weight, const array& bias, double eps, bool centred) {
  SmallVector<array, 3> inputs{x};
  if (weight.defined()) inputs.push_back(weight);
  if (bias.defined()) inputs.push_back(bias);
  NormParams p{eps, weight.defined(), bias.defined()};
  return make_node(centred ? layer_norm_p : rms_norm_p, p, std::move(inputs), x.type());
}

array norm_vjp(const array& x, const array& ct, const array& weight, double eps, bool centred) {
  SmallVector<array, 3> inputs{x, ct};
  if (weight.defined()) inputs.push_back(weight);
  NormVjpParams p{eps, weight.defined(), false, false};
  return make_node(centred ? layer_norm_vjp_p : rms_norm_vjp_p, p, std::move(inputs), x.type());
}

// A vector (s, n) that belongs to examples, made to broadcast with (s, ..., n).
array per_example(const array& v, int ndim) {
  Shape shape(static_cast<size_t>(ndim), 1);
  shape.front() = v.shape(0);
  shape.back() = v.shape(1);
  return reshape(v, shape);
}

template <bool centred>
Primitive norm_record(std::string_view name) {
  return define<NormParams>({
      .name = name,
      .infer = [](auto&, const Call& c) { return c.in(0).type(); },
      .pull = [](auto& p, const Call& c, const Outs& ct, const std::vector<bool>& need) {
        NormVjpParams vjp{p.eps, p.weight, p.weight && need[1], p.bias && need.back()};
        SmallVector<array, 3> inputs{c.in(0), ct[0]};
        if (p.weight) inputs.push_back(c.in(1));
        Arrays found = make_nodes(centred ? layer_norm_vjp_p : rms_norm_vjp_p, vjp, std::move(inputs));
        Arrays cts{need[0] ? found[0] : array()};
        size_t next = 1;
        if (p.weight) cts.push_back(vjp.of_weight ? found[next++] : array());
        if (p.bias) cts.push_back(vjp.of_bias ? found[next++] : array());
        return cts;
      },
      .vmap = [](auto& p, const Batch& b) -> Outs {
        array weight = p.weight ? b.raw(1) : array(), bias = p.bias ? b.raw(p.weight ? 2 : 1) : array();
        bool own_weight = p.weight && b.mapped(1), own_bias = p.bias && b.mapped(p.weight ? 2 : 1);
        // What differs between examples is applied afterwards, and a bias comes after the weight.
        array y = norm(b.in(0), own_weight ? array() : weight, own_weight || own_bias ? array() : bias, p.eps, centred);
        if (own_weight) y = y * per_example(weight, y.ndim());
        if (p.bias && (own_weight || own_bias)) y = y + (own_bias ? per_example(bias, y.ndim()) : bias);
        return y;
      },
      .expand = [](auto& p, const Call& c) -> Outs {
        Dtype t = wide(c.in(0).dtype());
        array y = normalised(c.in(0), p.eps, centred).first;
        if (p.weight) y = y * astype(c.in(1), t);
        if (p.bias) y = y + astype(c.in(p.weight ? 2 : 1), t);
        return astype(y, c.in(0).dtype());
      },
  });
}

// With n the normalised x, r = 1 / rms and g = ct * weight: dx = r (g - n mean(g n)), less its mean if centred.
template <bool centred>
Primitive norm_vjp_record(std::string_view name) {
  return define<NormVjpParams>({
      .name = name,
      .infer = [](auto& p, const Call& c) {
        Type x = c.in(0).type(), row{x.dtype, {x.shape.back()}};
        Types types{x};
        for (bool wanted : {p.of_weight, p.of_bias}) {
          if (wanted) types.push_back(row);
        }
        return types;
      },
      .vmap = [](auto& p, const Batch& b) -> Outs {
        array x = b.in(0), ct = b.in(1), weight = p.weight ? b.raw(2) : array();
        bool own_weight = p.weight && b.mapped(2);
        array g = own_weight ? ct * per_example(weight, ct.ndim()) : ct;
        Outs outs{norm_vjp(x, g, own_weight ? array() : weight, p.eps, centred)};
        Axes rows = leading_axes(ct);
        rows.erase(rows.begin());
        if (p.of_weight) outs.push_back(sum(ct * norm(x, array(), array(), p.eps, centred), rows));
        if (p.of_bias) outs.push_back(sum(ct, rows));
        return outs;
      },
      .expand = [](auto& p, const Call& c) -> Outs {
        Dtype t = wide(c.in(0).dtype());
        auto [n, r] = normalised(c.in(0), p.eps, centred);
        array ct = astype(c.in(1), t), g = p.weight ? ct * astype(c.in(2), t) : ct;
        array dx = g - n * mean(g * n, -1, true);
        if (centred) dx = dx - mean(g, -1, true);
        Outs outs{dx * r};
        if (p.of_weight) outs.push_back(sum(ct * n, leading_axes(n)));
        if (p.of_bias) outs.push_back(sum(ct, leading_axes(n)));
        for (array& out : outs) out = astype(out, c.in(0).dtype());
        return outs;
      },
  });
}

array checked_norm(const char* op, const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps,
                   bool centred) {
  if (x.ndim() == 0) throw ValueError(cat("[", op, "] x is a scalar; need at least one dimension."));
  Dtype t = x.dtype();
  auto check = [&](const std::optional<array>& v, const char* name) {
    if (!v) return;
    if (v->ndim() != 1 || v->shape(0) != x.shape(-1)) {
      throw ValueError(cat("[", op, "] ", name, " does not fit x: ", name, " is ", v->shape(), ", x is ", x.shape(), "; need one dimension of size ",
                           x.shape(-1), "."));
    }
    t = promote(t, v->dtype());
  };
  check(weight, "weight");
  check(bias, "bias");
  if (!is_floating(t)) {
    throw DtypeError(cat("[", op, "] need real floating numbers: x is ", x.dtype(), weight || bias ? ", with the others " : ", in all ", t,
                         ". Convert with astype."));
  }
  auto cast = [&](const std::optional<array>& v) { return v ? astype(*v, t) : array(); };
  return norm(astype(x, t), cast(weight), cast(bias), eps, centred);
}

}  // namespace

const Primitive rms_norm_p = norm_record<false>("rms_norm");
const Primitive layer_norm_p = norm_record<true>("layer_norm");
const Primitive rms_norm_vjp_p = norm_vjp_record<false>("rms_norm_vjp");
const Primitive layer_norm_vjp_p = norm_vjp_record<true>("layer_norm_vjp");

array rms_norm(const array& x, const std::optional<array>& weight, double eps) {
  return checked_norm("rms_norm", x, weight, {}, eps, false);
}

array layer_norm(const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps) {
  return checked_norm("layer_norm", x, weight, bias, eps, true);
}

}  // namespace mx::fast

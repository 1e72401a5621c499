// fast_delta.cpp — the gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024), a linear attention
// with a state that is overwritten rather than only added to. With S the state of a head, a step is
//
//   A = gamma ∘ S,  d = beta (v - A k),  S' = A + d kᵀ,  y = S' q.
//
// Kernels run the steps forward and backward; the same loops stand here in simpler operations, for other derivatives.

#include <algorithm>

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

// Step t of x, whose axis for time stands `behind` axes before the end.
array step_of(const array& x, int64_t t, int behind) { return squeeze(slice_along(x, -1 - behind, t, t + 1), -1 - behind); }

// (..., t, m, d) -> (..., t, n, d): each head n / m times in a row.
array repeated(const array& x, int64_t n) {
  if (x.shape(-2) == n) return x;
  Shape shape(x.shape());
  shape.insert(shape.end() - 1, n / x.shape(-2));
  array y = broadcast_to(expand_dims(x, -2), shape);
  return flatten(y, -3, -2);
}
// The transpose: sums over the repeats.
array folded(const array& x, int64_t m) {
  if (x.shape(-2) == m) return x;
  Shape shape(x.shape());
  shape[shape.size() - 2] = m;
  shape.insert(shape.end() - 1, x.shape(-2) / m);
  return sum(reshape(x, shape), -2);
}

array column(const array& x) { return expand_dims(x, -1); }
array row(const array& x) { return expand_dims(x, -2); }

// One step: what a reverse pass needs of it besides its inputs.
struct Step {
  array before, scaled, error, store, after;  // S, A, v - A k, d, S'.
};

// All steps with heads of q and k repeated; `on` (..., t) or undefined.
struct Run {
  array q, k, v, gamma, beta, on;
  std::vector<Step> steps;
  Arrays ys;
  array state;

  Run(const DeltaParams& p, const Call& c) : v(c.in(2)), gamma(c.in(3)), beta(c.in(4)), state(c.in(5)) {
    int64_t n = v.shape(-2);
    q = repeated(c.in(0), n);
    k = repeated(c.in(1), n);
    if (p.mask) on = c.in(6);
    for (int64_t t = 0; t < v.shape(-3); ++t) {
      Step s;
      s.before = state;
      s.scaled = state * row(step_of(gamma, t, 2));
      s.error = step_of(v, t, 2) - sum(s.scaled * row(key(t)), -1);
      s.store = s.error * column(step_of(beta, t, 1));
      s.after = s.scaled + column(s.store) * row(key(t));
      ys.push_back(kept(t, sum(s.after * row(step_of(q, t, 2)), -1), 2));
      state = on.defined() ? where(flag(t, 3), s.after, s.before) : s.after;
      steps.push_back(std::move(s));
    }
  }
  array key(int64_t t) const { return step_of(k, t, 2); }
  // Whether step t counts, with `inner` axes behind the batch.
  array flag(int64_t t, int inner) const {
    Axes axes;
    for (int i = 1; i <= inner; ++i) axes.push_back(-i);
    return expand_dims(step_of(on, t, 0), axes);
  }
  // x, or zeros where step t does not count.
  array kept(int64_t t, const array& x, int inner) const { return on.defined() ? where(flag(t, inner), x, weak(0.0, x)) : x; }
};

array stacked(const Arrays& steps, int axis, const array& like) { return steps.empty() ? zeros_like(like) : stack(steps, axis); }

Type state_type(const Call& c) { return c.in(5).type(); }

}  // namespace

const Primitive gated_delta_update_p = define<DeltaParams>({
    .name = "gated_delta_update",
    .infer = [](auto&, const Call& c) { return Types{c.in(2).type(), state_type(c)}; },
    .pull = [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
      SmallVector<array, 3> inputs(c.inputs());
      inputs.push_back(cts[0]);
      inputs.push_back(cts[1]);
      Arrays found = make_nodes(gated_delta_update_vjp_p, p, std::move(inputs)), out(need.size());
      for (size_t i = 0; i < found.size(); ++i) {
        if (need[i]) out[i] = found[i];
      }
      return out;
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      SmallVector<array, 3> inputs;
      for (int i = 0; i < b.n_in(); ++i) inputs.push_back(b.in(i));
      return make_nodes(gated_delta_update_p, p, std::move(inputs));
    },
    .expand = [](auto& p, const Call& c) -> Outs {
      Run run(p, c);
      return {stacked(run.ys, -3, c.in(2)), run.state};
    },
});

const Primitive gated_delta_update_vjp_p = define<DeltaParams>({
    .name = "gated_delta_update_vjp",
    .infer = [](auto&, const Call& c) {
      Types types;
      for (int i = 0; i < 6; ++i) types.push_back(c.in(i).type());
      return types;
    },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      SmallVector<array, 3> inputs;
      for (int i = 0; i < b.n_in(); ++i) inputs.push_back(b.in(i));
      return make_nodes(gated_delta_update_vjp_p, p, std::move(inputs));
    },
    .expand = [](auto& p, const Call& c) -> Outs {
      Run run(p, c);
      array of_y = c.in(c.n_in() - 2), of_state = c.in(c.n_in() - 1);
      int64_t n_steps = run.v.shape(-3), m = c.in(0).shape(-2);
      Arrays dq, dk, dv, dgamma, dbeta;
      for (int64_t t = n_steps; t-- > 0;) {
        const Step& s = run.steps[static_cast<size_t>(t)];
        array k = run.key(t), q = step_of(run.q, t, 2), dy = step_of(of_y, t, 2);
        array ds = of_state + column(dy) * row(q);                  // Of S'.
        array dd = sum(ds * row(k), -1);                            // Of d.
        array de = dd * column(step_of(run.beta, t, 1));            // Of the error.
        array da = ds - column(de) * row(k);                        // Of A.
        array of_k = sum(ds * column(s.store), -2) - sum(s.scaled * column(de), -2);
        dq.push_back(run.kept(t, sum(s.after * column(dy), -2), 2));
        dk.push_back(run.kept(t, of_k, 2));
        dv.push_back(run.kept(t, de, 2));
        dgamma.push_back(run.kept(t, sum(da * s.before, -2), 2));
        dbeta.push_back(run.kept(t, sum(dd * s.error, -1), 1));
        array before = da * row(step_of(run.gamma, t, 2));
        of_state = run.on.defined() ? where(run.flag(t, 3), before, of_state) : before;
      }
      auto in_time = [](Arrays& steps, int axis, const array& like) {
        std::reverse(steps.begin(), steps.end());
        return stacked(steps, axis, like);
      };
      return {folded(in_time(dq, -3, run.q), m), folded(in_time(dk, -3, run.k), m), in_time(dv, -3, run.v), in_time(dgamma, -3, run.gamma),
              in_time(dbeta, -2, run.beta), of_state};
    },
});

Arrays gated_delta_update(const array& q, const array& k, const array& v, const array& gamma, const array& beta,
                          const std::optional<array>& initial_state, const std::optional<array>& mask) {
  constexpr const char* op = "[gated_delta_update] ";
  auto refuse = [&](const std::string& what) {
    throw ValueError(cat(op, what, ": q is ", q.shape(), ", k is ", k.shape(), ", v is ", v.shape(), ", gamma is ", gamma.shape(), ", beta is ",
                         beta.shape(), "; need q and k (b, t, m, d), v (b, t, n, e) with n a multiple of m, gamma (b, t, n) or (b, t, n, d), beta (b, t, n)."));
  };
  if (q.ndim() != 4 || k.ndim() != 4 || v.ndim() != 4) refuse("q, k and v need four dimensions");
  if (gamma.ndim() != 3 && gamma.ndim() != 4) refuse("gamma needs three or four dimensions");
  if (beta.ndim() != 3) refuse("beta needs three dimensions");
  int64_t b = q.shape(0), steps = q.shape(1), m = q.shape(2), d = q.shape(3), n = v.shape(2), e = v.shape(3);
  for (const array* x : {&k, &v, &gamma, &beta}) {
    if (x->shape(0) != 1) b = b == 1 ? x->shape(0) : b;
  }
  auto fits = [&](const array& x, const Shape& need) {
    for (int i = 0; i < x.ndim(); ++i) {
      int64_t size = x.shape(i);
      if (size != need[static_cast<size_t>(i)] && !(i == 0 && size == 1)) return false;
    }
    return true;
  };
  if (m == 0 ? n != 0 : n % m != 0) refuse("the heads of v are not a multiple of those of q");
  array gate = gamma.ndim() == 3 ? expand_dims(gamma, -1) : gamma;
  if (!fits(q, {b, steps, m, d}) || !fits(k, {b, steps, m, d}) || !fits(v, {b, steps, n, e}) || !fits(beta, {b, steps, n}) ||
      !(fits(gate, {b, steps, n, d}) || fits(gate, {b, steps, n, 1}))) {
    refuse("the shapes do not fit");
  }
  Shape state_shape{b, n, e, d};
  if (initial_state && broadcast_shapes(initial_state->shape(), state_shape, "gated_delta_update") != state_shape) {
    throw ValueError(cat(op, "initial_state does not fit: its shape is ", initial_state->shape(), "; need ", state_shape, "."));
  }
  if (mask && (mask->ndim() != 2 || !fits(*mask, {b, steps}))) {
    throw ValueError(cat(op, "the mask does not fit: its shape is ", mask->shape(), "; need ", Shape{b, steps}, "."));
  }
  for (const array* x : {&q, &k, &v, &gamma, &beta}) {
    if (is_complex(x->dtype())) throw DtypeError(cat(op, "need real numbers: q is ", q.dtype(), ", k is ", k.dtype(), ", v is ", v.dtype(), ", gamma is ",
                                                     gamma.dtype(), ", beta is ", beta.dtype(), "."));
  }
  // The state is kept in float32 at least, and y has the dtype of q and k.
  Dtype out = at_least_float(promote(q.dtype(), k.dtype())), t = promote(out, Dtype::float32);
  auto ready = [&](const array& x, const Shape& shape) { return broadcast_to(astype(x, t), shape); };
  SmallVector<array, 3> inputs{ready(q, {b, steps, m, d}), ready(k, {b, steps, m, d}), ready(v, {b, steps, n, e}), ready(gate, {b, steps, n, d}),
                               ready(beta, {b, steps, n}), initial_state ? ready(*initial_state, state_shape) : zeros(state_shape, t)};
  if (mask) inputs.push_back(broadcast_to(astype(*mask, Dtype::bool_), {b, steps}));
  Arrays found = make_nodes(gated_delta_update_p, DeltaParams{mask.has_value()}, std::move(inputs));
  return {astype(found[0], out), found[1]};
}

}  // namespace mx::fast

// The fast functions: norms, rotary embedding, cross entropy, attention, gated delta rule, and their backward passes.

#include "export/check.h"
#include "ops/fast_params.h"

namespace mx::exporting {

namespace {

Shape joined(Shape a, std::initializer_list<int64_t> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A vector as long as the rows of x.
void row_vector(const array& v, const array& x) {
  same_dtype(v, x);
  shape_is(v, Shape{x.shape(-1)});
}

void norm(const fast::NormParams& p, const Call& c) {
  n_inputs(c, 1 + p.weight + p.bias);
  floating(c.in(0));
  ndim_of(c.in(0), 1);
  for (int i = 1; i < c.n_in(); ++i) row_vector(c.in(i), c.in(0));
}

void norm_vjp(const fast::NormVjpParams& p, const Call& c) {
  n_inputs(c, 2 + p.weight);
  floating(c.in(0));
  ndim_of(c.in(0), 1);
  same_dtype(c.in(1), c.in(0));
  same_shape(c.in(1), c.in(0));
  if (p.weight) row_vector(c.in(2), c.in(0));
}

// logits (..., n), targets (...)
void classes(const array& logits, const array& targets) {
  floating(logits);
  ndim_of(logits, 1);
  integers(targets);
  shape_is(targets, leading(logits, 1));
}

Dtype loss_dtype(const array& logits) { return logits.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32; }

// The first inputs of attention; returns how many there are.
int attention(const fast::AttentionParams& p, const Call& c) {
  int n = 3 + p.mask + p.sinks;
  some_inputs(c, n);
  const array &q = c.in(0), &k = c.in(1), &v = c.in(2);
  floating(q);
  same_dtype(q, k);
  same_dtype(q, v);
  Shape batch = leading(q, 3);
  require(leading(k, 3) == batch && leading(v, 3) == batch, "attention of different batches");
  int64_t heads = q.shape(-3), key_heads = k.shape(-3);
  require(v.shape(-3) == key_heads && v.shape(-2) == k.shape(-2) && k.shape(-1) == q.shape(-1), "queries, keys and values that do not fit");
  require(key_heads == 0 ? heads == 0 : heads % key_heads == 0, "heads that are no multiple of the key heads");
  if (p.mask) {
    require(is_bool(c.in(3).dtype()) || c.in(3).dtype() == q.dtype(), "a mask of a wrong dtype");
    shape_is(c.in(3), joined(leading(q, 1), {k.shape(-2)}));
  }
  if (p.sinks) {
    same_dtype(c.in(n - 1), q);
    shape_is(c.in(n - 1), leading(q, 2));
  }
  return n;
}

// The first inputs of the gated delta rule; returns how many there are.
int delta(const fast::DeltaParams& p, const Call& c) {
  int n = 6 + p.mask;
  some_inputs(c, n);
  const array &q = c.in(0), &k = c.in(1), &v = c.in(2), &gamma = c.in(3), &beta = c.in(4), &state = c.in(5);
  require(q.dtype() == Dtype::float32 || q.dtype() == Dtype::float64, "a state in a wrong dtype");
  for (int i = 1; i < 6; ++i) same_dtype(c.in(i), q);
  Shape batch = leading(q, 3);
  require(leading(v, 3) == batch, "steps of different batches");
  int64_t steps = q.shape(-3), key_heads = q.shape(-2), d = q.shape(-1), heads = v.shape(-2), e = v.shape(-1);
  require(v.shape(-3) == steps && (key_heads == 0 ? heads == 0 : heads % key_heads == 0), "queries, keys and values that do not fit");
  same_shape(k, q);
  shape_is(gamma, joined(batch, {steps, heads, d}));
  shape_is(beta, joined(batch, {steps, heads}));
  shape_is(state, joined(batch, {heads, e, d}));
  if (p.mask) {
    dtype_is(c.in(6), Dtype::bool_);
    shape_is(c.in(6), joined(batch, {steps}));
  }
  return n;
}

}  // namespace

Checks fast_checks() {
  using namespace fast;
  return {
      check_of<NormParams>(rms_norm_p, norm),
      check_of<NormParams>(layer_norm_p, norm),
      check_of<NormVjpParams>(rms_norm_vjp_p, norm_vjp),
      check_of<NormVjpParams>(layer_norm_vjp_p, norm_vjp),
      check_of<RopeParams>(rope_p, [](auto& p, const Call& c) {
        n_inputs(c, 2 + p.freqs);
        const array &x = c.in(0), &offset = c.in(1);
        floating(x);
        ndim_of(x, 2);
        require(p.dims > 0 && p.dims % 2 == 0 && p.dims <= x.shape(-1), "a wrong number of features to turn");
        dtype_is(offset, Dtype::int64);
        shape_is(offset, leading(x, 2));
        if (p.freqs) {
          dtype_is(c.in(2), x.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32);
          shape_is(c.in(2), joined(leading(x, 2), {p.dims / 2}));
        }
      }),
      check_of<NoParams>(cross_entropy_p, [](auto&, const Call& c) {
        n_inputs(c, 2);
        classes(c.in(0), c.in(1));
      }),
      check_of<NoParams>(cross_entropy_vjp_p, [](auto&, const Call& c) {
        n_inputs(c, 3);
        classes(c.in(0), c.in(1));
        dtype_is(c.in(2), loss_dtype(c.in(0)));
        same_shape(c.in(2), c.in(1));
      }),
      check_of<AttentionParams>(attention_p, [](auto& p, const Call& c) { n_inputs(c, attention(p, c)); }),
      check_of<AttentionVjpParams>(attention_vjp_p, [](auto& p, const Call& c) {
        int n = attention(p.of, c);
        n_inputs(c, n + 1);
        require((p.of.mask || !p.of_mask) && (p.of.sinks || !p.of_sinks), "a derivative for what there is not");
        require(!p.of_mask || !is_bool(c.in(3).dtype()), "a derivative for a boolean mask");
        same_dtype(c.in(n), c.in(0));
        shape_is(c.in(n), joined(leading(c.in(0), 1), {c.in(2).shape(-1)}));
      }),
      check_of<DeltaParams>(gated_delta_update_p, [](auto& p, const Call& c) { n_inputs(c, delta(p, c)); }),
      check_of<DeltaParams>(gated_delta_update_vjp_p, [](auto& p, const Call& c) {
        int n = delta(p, c);
        n_inputs(c, n + 2);
        for (int i : {n, n + 1}) {
          const array& like = c.in(i == n ? 2 : 5);
          same_dtype(c.in(i), like);
          same_shape(c.in(i), like);
        }
      }),
  };
}

}  // namespace mx::exporting

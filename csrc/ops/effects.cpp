#include "ops/effects.h"

#include "graph/effects.h"

namespace mx {

namespace {

// The part of x that belongs to one example, as a leaf without a history.
array example(const array& x, const ObserveParams& p, int64_t number) {
  const Storage& s = x.storage();
  size_t n = p.batch.size();
  int64_t offset = s.offset;
  for (size_t axis = n; axis-- > 0;) {
    offset += number % p.batch[axis] * s.strides[axis];
    number /= p.batch[axis];
  }
  Type type{x.dtype(), Shape(x.shape().begin() + n, x.shape().end())};
  return array::wrap(s.buffer, std::move(type), offset, Strides(s.strides.begin() + n, s.strides.end()));
}

Outs observe(const ObserveParams& p, const Call& c, const std::vector<bool>&) {
  int64_t n = n_elems(p.batch);
  for (int64_t number = 0; number < n; ++number) {
    Arrays values;
    for (int i = 0; i < p.n_args; ++i) values.push_back(example(c.in(i), p, number));
    (*p.observer)(values);
  }
  return array::copy_of(std::string(static_cast<size_t>(n), '\0').data(), Dtype::bool_, p.batch);
}

Outs passed_on(const EffectsParams& p, const Call& c) { return Outs(c.inputs().begin(), c.inputs().begin() + p.n_out); }

Arrays tokens_of(const EffectsParams& p, const Call& c) { return {c.inputs().begin() + p.n_out, c.inputs().end()}; }

}  // namespace

const Primitive debug_print_p = define<ObserveParams>({
    .name = "debug_print",
    .infer = [](auto& p, const Call&) { return Type{Dtype::bool_, p.batch}; },
    .vmap =
        [](auto& p, const Batch& b) {
          ObserveParams all(p);
          all.batch.insert(all.batch.begin(), b.size());
          SmallVector<array, 3> in;
          for (int i = 0; i < b.n_in(); ++i) in.push_back(i < p.n_args ? b.in(i) : b.raw(i));
          Type token{Dtype::bool_, all.batch};
          return make_node(debug_print_p, std::move(all), std::move(in), std::move(token));
        },
    .run = observe,
    .differentiable = false,
});

const Primitive with_effects_p = define<EffectsParams>({
    .name = "with_effects",
    .infer =
        [](auto& p, const Call& c) -> Inferred {
          Types types;
          for (int i = 0; i < p.n_out; ++i) types.push_back(c.in(i).type());
          return types;
        },
    .push =
        [](auto& p, const Call& c, const Arrays& ts) -> Outs {
          Outs result = Outs::none(static_cast<size_t>(p.n_out));
          for (size_t k = 0; k < result.size(); ++k) {
            if (ts[k].defined()) result[k] = with_effects({ts[k]}, tokens_of(p, c))[0];
          }
          return result;
        },
    .pull =
        [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
          Arrays result(need.size());
          for (size_t k = 0; k < cts.size(); ++k) {
            if (need[k]) result[k] = with_effects({cts[k]}, tokens_of(p, c))[0];
          }
          return result;
        },
    .vmap =
        [](auto& p, const Batch& b) -> Outs {
          Arrays xs, tokens;
          for (int i = 0; i < b.n_in(); ++i) (i < p.n_out ? xs : tokens).push_back(i < p.n_out ? b.in(i) : b.raw(i));
          return with_effects(xs, tokens);
        },
    .expand = [](auto& p, const Call& c) { return passed_on(p, c); },
});

void debug_print(std::string text, Observer observer, const Arrays& xs) {
  ObserveParams p{std::move(text), std::make_shared<const Observer>(std::move(observer)), static_cast<int>(xs.size()), {}};
  add_effect(make_node(debug_print_p, std::move(p), SmallVector<array, 3>(xs.begin(), xs.end()), {Dtype::bool_, {}}));
}

Arrays with_effects(const Arrays& xs, const Arrays& tokens) {
  if (xs.empty() || tokens.empty()) return xs;
  SmallVector<array, 3> all(xs.begin(), xs.end());
  for (const array& t : tokens) all.push_back(t);
  return make_nodes(with_effects_p, EffectsParams{static_cast<int>(xs.size())}, std::move(all));
}

array effect_after(const array& token, const array& x) {
  const CallRecord& call = *token.call();
  SmallVector<array, 3> in(call.inputs);
  in.push_back(x);
  return make_node(*call.primitive, call.params, std::move(in), token.type());
}

}  // namespace mx

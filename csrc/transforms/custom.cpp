// custom.cpp — user-given rules.
//
// A custom call is the identity on the outputs that `f` computed, with the arguments as further inputs:
//     custom(args..., f(stop_gradient(args))...) -> outputs
// Derivatives with respect to the arguments come from the rules; those of captured arrays flow through the
// outputs' own graph, which the arguments cannot reach. A batch passes through that graph too, and the rules
// are batched around it, so they survive vmap. Start at the record.

#include "transforms/custom.h"

#include "graph/marker.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "transforms/rules.h"

namespace mx {

namespace {

Arrays args_of(const CustomParams& p, const Call& c) { return {c.inputs().begin(), c.inputs().begin() + p.n_args}; }
Arrays values_of(const CustomParams& p, const Call& c) { return {c.inputs().begin() + p.n_args, c.inputs().end()}; }

// What a rule returned, checked against what it stands for.
void check_rule(const CustomRules& rules, const char* rule, const char* what, Arrays& got, const Arrays& like) {
  if (got.size() != like.size()) {
    throw TransformError(cat("[", rules.name, "] the ", rule, " rule returned ", got.size(), " ", what, "s; need ", like.size(), "."));
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (!got[i].defined() || !is_inexact(like[i].dtype())) continue;
    if (got[i].shape() != like[i].shape()) {
      throw TransformError(cat("[", rules.name, "] the ", rule, " rule returned ", what, " ", i, " of shape ", got[i].shape(),
                               "; need ", like[i].shape(), "."));
    }
    if (got[i].dtype() == like[i].dtype()) continue;
    if (is_complex(got[i].dtype()) != is_complex(like[i].dtype()) || !is_inexact(got[i].dtype())) {
      throw TransformError(cat("[", rules.name, "] the ", rule, " rule returned ", what, " ", i, " of dtype ", got[i].dtype(),
                               "; need ", like[i].dtype(), "."));
    }
    got[i] = astype(got[i], like[i].dtype());
  }
}

Arrays call_vjp(const CustomRules& rules, const Arrays& args, const Arrays& cts, const Arrays& outs) {
  Arrays found = rules.vjp(args, cts, outs);
  check_rule(rules, "vjp", "cotangent", found, args);
  return found;
}

Arrays call_jvp(const CustomRules& rules, const Arrays& args, const Arrays& ts, const Arrays& outs) {
  Arrays found = rules.jvp(args, ts);
  check_rule(rules, "jvp", "tangent", found, outs);
  return found;
}

Types types_of(const Arrays& xs) {
  Types types;
  for (const array& x : xs) types.push_back(x.type());
  return types;
}

Arrays all_defined(Arrays xs, const Arrays& like) {
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!xs[i].defined()) xs[i] = zeros_like(like[i]);
  }
  return xs;
}

Arrays arg_cotangents(const CustomRules& rules, const Arrays& args, const Arrays& cts, const Arrays& outs) {
  if (rules.vjp) return call_vjp(rules, args, cts, outs);
  if (!rules.jvp) return Arrays(args.size());
  return transpose_linear([&](const Arrays& ts) { return call_jvp(rules, args, ts, outs); }, types_of(args), cts);
}

Arrays out_tangents(const CustomRules& rules, const Arrays& args, const Arrays& ts, const Arrays& outs) {
  if (rules.jvp) return call_jvp(rules, args, ts, outs);
  if (!rules.vjp) return Arrays(outs.size());
  return transpose_linear([&](const Arrays& cts) { return call_vjp(rules, args, cts, outs); }, types_of(outs), ts);
}

BatchAxes front(size_t n) { return BatchAxes(n, 0); }

Arrays joined(const Arrays& a, const Arrays& b) {
  Arrays out(a);
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

// The rules of the batched function: each example by the user's own.
std::shared_ptr<const CustomRules> batched_rules(std::shared_ptr<const CustomRules> one) {
  auto rules = std::make_shared<CustomRules>();
  rules->name = one->name;
  if (one->vjp) {
    rules->vjp = [one](const Arrays& args, const Arrays& cts, const Arrays& outs) {
      size_t n = args.size(), m = cts.size();
      Function example = [&](const Arrays& xs) {
        Arrays a(xs.begin(), xs.begin() + n), c(xs.begin() + n, xs.begin() + n + m), o(xs.begin() + n + m, xs.end());
        return all_defined(call_vjp(*one, a, c, o), a);
      };
      Arrays all = joined(joined(args, cts), outs);
      return vmap(example, all, front(all.size()), front);
    };
  }
  if (one->jvp) {
    rules->jvp = [one](const Arrays& args, const Arrays& ts) {
      size_t n = args.size();
      std::vector<bool> moves;  // the others stay undefined: a zero
      Function example = [&](const Arrays& xs) {
        Arrays some;
        for (array& t : one->jvp({xs.begin(), xs.begin() + n}, {xs.begin() + n, xs.end()})) {
          moves.push_back(t.defined());
          if (moves.back()) some.push_back(std::move(t));
        }
        return some;
      };
      Arrays all = joined(args, ts);
      Arrays some = vmap(example, all, front(all.size()), front), out;
      for (size_t k = 0, j = 0; k < moves.size(); ++k) out.push_back(moves[k] ? some[j++] : array());
      return out;
    };
  }
  return rules;
}

Arrays make_call(std::shared_ptr<const CustomRules> rules, const Arrays& args, const Arrays& values) {
  Arrays all = joined(args, values);
  int n_args = static_cast<int>(args.size());
  return make_nodes(custom_p, CustomParams{std::move(rules), n_args}, SmallVector<array, 3>(all.begin(), all.end()), types_of(values));
}

// The arguments as the function sees them: without a path for derivatives if a rule gives those.
Arrays shielded(const CustomRules& rules, const Arrays& args) {
  if (!rules.vjp && !rules.jvp) return args;
  Arrays out;
  for (const array& a : args) out.push_back(stop_gradient(a));
  return out;
}

// Outputs with the batch axis in front, by the user's vmap rule.
Arrays values_by_user(const CustomRules& rules, const Batch& b, int n_args, const Arrays& values) {
  Arrays args;
  BatchAxes axes;
  for (int i = 0; i < n_args; ++i) {
    args.push_back(b.raw(i));
    axes.push_back(b.mapped(i) ? std::optional<int>(0) : std::nullopt);
  }
  auto [outs, out_axes] = rules.vmap(shielded(rules, args), axes);
  if (outs.size() != values.size() || out_axes.size() != outs.size()) {
    throw TransformError(cat("[", rules.name, "] the vmap rule returned ", outs.size(), " outputs and ", out_axes.size(),
                             " axes; need ", values.size(), " of each."));
  }
  for (size_t k = 0; k < outs.size(); ++k) {
    Shape need = with_axis(values[k].shape(), b.size());
    if (!out_axes[k]) {
      outs[k] = broadcast_to(expand_dims(outs[k], {0}), need);
    } else {
      outs[k] = moveaxis(outs[k], normalize_axis(*out_axes[k], outs[k].ndim(), rules.name), 0);
    }
    if (outs[k].shape() != need) {
      throw TransformError(cat("[", rules.name, "] the vmap rule returned output ", k, " of shape ", outs[k].shape(),
                               " with the batch axis in front; need ", need, "."));
    }
  }
  return outs;
}

}  // namespace

const Primitive custom_p = define<CustomParams>({
    .name = "custom",
    .infer = [](auto& p, const Call& c) -> Inferred { return types_of(values_of(p, c)); },
    .push =
        [](auto& p, const Call& c, const Arrays& ts) -> Outs {
          Arrays args = args_of(p, c), values = values_of(p, c), outs(values.size());
          Arrays arg_ts(ts.begin(), ts.begin() + p.n_args);
          bool any = std::any_of(arg_ts.begin(), arg_ts.end(), [](const array& t) { return t.defined(); });
          if (any) outs = out_tangents(*p.rules, args, all_defined(arg_ts, args), values);
          for (size_t k = 0; k < outs.size(); ++k) {
            const array& t = ts[static_cast<size_t>(p.n_args) + k];
            if (t.defined()) outs[k] = outs[k].defined() ? add(outs[k], t) : t;
          }
          return outs;
        },
    .pull =
        [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
          Arrays args = args_of(p, c), ct_list(cts.begin(), cts.end()), found(args.size());
          if (std::any_of(need.begin(), need.begin() + p.n_args, [](bool b) { return b; })) {
            found = arg_cotangents(*p.rules, args, ct_list, values_of(p, c));
          }
          return joined(found, ct_list);
        },
    .vmap =
        [](auto& p, const Batch& b) -> Outs {
          Arrays args, values;
          for (int i = 0; i < p.n_args; ++i) args.push_back(b.in(i));
          for (int i = p.n_args; i < b.n_in(); ++i) values.push_back(b.in(i));
          bool arg_mapped = false;
          for (int i = 0; i < p.n_args; ++i) arg_mapped |= b.mapped(i);
          if (p.rules->vmap && arg_mapped) values = values_by_user(*p.rules, b, p.n_args, values_of(p, b.call()));
          return make_call(batched_rules(p.rules), args, values);
        },
    .expand = [](auto& p, const Call& c) -> Outs { return values_of(p, c); },
});

Arrays custom_function(const Function& f, std::shared_ptr<const CustomRules> rules, const Arrays& inputs) {
  Arrays values = f(shielded(*rules, inputs));
  return make_call(std::move(rules), inputs, values);
}

}  // namespace mx

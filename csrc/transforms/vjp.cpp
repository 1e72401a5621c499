// vjp.cpp — reverse mode. Walks the graph between a function's outputs and its markers backwards, asking each
// primitive to pull a cotangent back through itself, and sums what meets at a node. The rules are in ops/;
// what happens when one is missing is in derive.cpp. Start at pull().

#include "transforms/vjp.h"

#include <algorithm>
#include <optional>

#include "base/pointer_map.h"
#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "transforms/pieces.h"
#include "transforms/rules.h"

namespace mx {

namespace {

// True of stop_gradient: no derivative of a value that could have one.
bool stops(CallRecord* call) {
  const Node* out = call->primitive->differentiable ? nullptr : call->peek_output(0);
  return out && is_inexact(out->dtype);
}

// The nodes that depend on `sources` by way of derivatives.
PointerMap<bool> moved_by(const Arrays& sources, const std::vector<CallRecord*>& calls) {
  PointerMap<bool> moving;
  for (const array& s : sources) moving[s.node()] = true;
  for (CallRecord* call : calls) {
    bool any = false;
    for (size_t i = 0; i < call->inputs.size() && !any; ++i) {
      any = call->primitive->differentiable_in(static_cast<int>(i)) && moving.contains(call->inputs[i].node());
    }
    for (uint32_t k = 0; any && k < call->n_out; ++k) {
      if (const Node* out = call->peek_output(k); out && is_inexact(out->dtype)) moving[out] = true;
    }
  }
  return moving;
}

}  // namespace

Arrays pull(const Arrays& outputs, const Arrays& cotangents, const Arrays& sources, uint64_t since) {
  PointerMap<array> reached;
  auto arrive = [&](const array& at, array ct) {
    array& sum = reached[at.node()];
    sum = sum.defined() ? sum_of_pieces(sum, ct) : std::move(ct);
  };
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (cotangents[i].defined() && outputs[i].defined() && is_inexact(outputs[i].dtype())) arrive(outputs[i], cotangents[i]);
  }
  PointerMap<bool> is_source;
  for (const array& s : sources) is_source[s.node()] = true;
  std::vector<CallRecord*> calls = calls_above(outputs, since);
  // Behind a stop_gradient nothing is to be pulled: a custom rule may stand for what has no derivative.
  std::optional<PointerMap<bool>> moving;
  if (std::any_of(calls.begin(), calls.end(), stops)) moving = moved_by(sources, calls);
  std::vector<bool> need;
  for (size_t c = calls.size(); c-- > 0;) {
    CallRecord& call = *calls[c];
    bool any = false, source = false;
    for (uint32_t k = 0; k < call.n_out; ++k) {
      const Node* out = call.peek_output(k);
      array* ct = out ? reached.find(out) : nullptr;
      if (!ct || !ct->defined()) continue;
      source |= is_source.contains(out);
      any = true;
    }
    if (!any || source) continue;
    need.assign(call.inputs.size(), false);
    bool wanted = false;
    for (size_t i = 0; i < need.size(); ++i) {
      const Node* in = call.inputs[i].node();
      need[i] = in->newest_mark >= since && is_inexact(in->dtype) && (!moving || moving->contains(in));
      wanted = wanted || need[i];
    }
    if (!wanted) continue;
    Outs cts = Outs::none(call.n_out);
    for (uint32_t k = 0; k < call.n_out; ++k) {
      const Node* out = call.peek_output(k);
      array* ct = out ? reached.find(out) : nullptr;
      if (ct) cts[k] = std::move(*ct);  // used up here: its memory may go
    }
    Arrays arrived = pull_call(call, std::move(cts), need);
    OriginScope origin(origin_of_rule(call, "vjp"));
    for (size_t i = 0; i < need.size(); ++i) {
      if (need[i] && arrived[i].defined()) arrive(call.inputs[i], std::move(arrived[i]));
    }
  }
  Arrays result;
  for (const array& s : sources) {
    array* ct = reached.find(s.node());
    result.push_back(ct ? *ct : array());
  }
  return result;
}

std::pair<Arrays, Arrays> vjp(const Function& f, const Arrays& primals, const Arrays& cotangents) {
  LiveTrace trace;
  Arrays marks = mark(primals);
  Arrays outs = f(marks);
  if (outs.size() != cotangents.size()) {
    throw TransformError(cat("[vjp] the function returned ", outs.size(), " arrays but ", cotangents.size(),
                             " cotangents were given; need one per output."));
  }
  Arrays cts;
  for (size_t k = 0; k < outs.size(); ++k) {
    if (cotangents[k].defined() && cotangents[k].shape() != outs[k].shape()) {
      throw TransformError(cat("[vjp] cotangent ", k, " has shape ", cotangents[k].shape(), ", output ", k, " has shape ",
                               outs[k].shape(), "; need equal shapes."));
    }
    bool moves = cotangents[k].defined() && is_inexact(outs[k].dtype());
    cts.push_back(moves ? astype(cotangents[k], outs[k].dtype()) : array());
  }
  Arrays found = pull(outs, cts, marks, trace.since());
  for (size_t i = 0; i < primals.size(); ++i) {
    if (!found[i].defined()) found[i] = zeros_like(primals[i]);
  }
  return {std::move(outs), std::move(found)};
}

std::pair<Arrays, Arrays> value_and_grad(const Function& f, const Arrays& primals, const std::vector<int>& argnums) {
  LiveTrace trace;
  Arrays inputs(primals), marks;
  for (int i : argnums) {
    const array& x = primals.at(static_cast<size_t>(i));
    if (!is_floating(x.dtype())) {
      throw TransformError(cat("[grad] argument ", i, " has dtype ", x.dtype(), "; a gradient needs a floating dtype",
                               is_complex(x.dtype()) ? " (for complex inputs use vjp)." : "; use astype(mx.float32)."));
    }
    marks.push_back(mark(x));
    inputs[static_cast<size_t>(i)] = marks.back();
  }
  Arrays outs = f(inputs);
  if (outs.empty() || outs[0].size() != 1 || outs[0].ndim() != 0) {
    throw TransformError(outs.empty() ? std::string("[grad] the function returned nothing; need a scalar loss first.")
                                      : cat("[grad] the function returned an array of shape ", outs[0].shape(),
                                            "; need a scalar (shape ()). Reduce it, for instance with mx.sum or mx.mean."));
  }
  if (!is_floating(outs[0].dtype())) {
    throw TransformError(cat("[grad] the function returned dtype ", outs[0].dtype(), "; need a floating scalar."));
  }
  Arrays cts(outs.size());
  cts[0] = ones_like(outs[0]);
  Arrays grads = pull(outs, cts, marks, trace.since());
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined()) grads[i] = zeros_like(marks[i]);
  }
  return {std::move(outs), std::move(grads)};
}

Function grad(Function f, int argnum) {
  return [f = std::move(f), argnum](const Arrays& xs) { return value_and_grad(f, xs, {argnum}).second; };
}

}  // namespace mx

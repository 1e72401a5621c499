// derive.cpp — what happens to a call whose rule was not written. See rules.h for the order of preference.
//
// A pushforward is linear in its tangent, so pulling a cotangent back through it is the vjp; transposing a
// pullback the same way gives the jvp. Such a derived walk stays inside the rule's own graph, because its
// sources are newer than everything the rule refers to.

#include "graph/effects.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "transforms/custom.h"
#include "transforms/jvp.h"
#include "transforms/rules.h"
#include "transforms/vjp.h"
#include "transforms/vmap_graph.h"

namespace mx {

namespace {

[[noreturn]] void no_rule(const Primitive& p, const char* what) {
  throw TransformError(cat("[", p.name, "] has no ", what, " rule and none can be derived; use mx.custom_function to give one, or mx.stop_gradient."));
}

void accumulate(array& sum, const array& term) {
  if (!term.defined()) return;
  sum = sum.defined() ? add(sum, term) : term;
}

// Written rules expect a cotangent for every output.
void fill_zeros(CallRecord& call, Outs& cotangents) {
  for (size_t k = 0; k < cotangents.size(); ++k) {
    if (!cotangents[k].defined()) cotangents[k] = zeros_like(call.output(static_cast<uint32_t>(k)));
  }
}

// The call again on other inputs of the same types.
CallRecord& again(const CallRecord& call, SmallVector<array, 3> inputs, Arrays& keep) {
  Types types = call.primitive->infer(call.params, Call(const_cast<CallRecord&>(call)));
  keep = make_nodes(*call.primitive, call.params, std::move(inputs), types);
  return *keep[0].node()->call;
}

// The inputs with those in `chosen` marked; the marked ones are also appended to `marks`.
SmallVector<array, 3> mark_some(const CallRecord& call, const std::vector<bool>& chosen, Arrays& marks) {
  SmallVector<array, 3> inputs;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    inputs.push_back(chosen[i] ? mark(call.inputs[i]) : call.inputs[i]);
    if (chosen[i]) marks.push_back(inputs.back());
  }
  return inputs;
}

Outs push_through_expand(CallRecord& call, const Arrays& tangents) {
  LiveTrace trace;
  std::vector<bool> moves;
  Arrays marks, moving, keep;
  for (const array& t : tangents) {
    moves.push_back(t.defined());
    if (t.defined()) moving.push_back(t);
  }
  SmallVector<array, 3> inputs = mark_some(call, moves, marks);
  Outs outs = call.primitive->expand(call.params, Call(again(call, std::move(inputs), keep)));
  return push({outs.begin(), outs.end()}, marks, moving, trace.since());
}

Arrays pull_through_expand(CallRecord& call, const Outs& cotangents, const std::vector<bool>& need) {
  LiveTrace trace;
  Arrays marks, keep;
  SmallVector<array, 3> inputs = mark_some(call, need, marks);
  Outs outs = call.primitive->expand(call.params, Call(again(call, std::move(inputs), keep)));
  Arrays found = pull({outs.begin(), outs.end()}, {cotangents.begin(), cotangents.end()}, marks, trace.since());
  Arrays cts(need.size());
  for (size_t i = 0, k = 0; i < need.size(); ++i) {
    if (need[i]) cts[i] = found[k++];
  }
  return cts;
}

// jvp from vjp: the pullback v -> J^T v, pulled back along the tangents, is J t.
Outs push_from_pull(CallRecord& call, const Arrays& tangents) {
  Types out_types = call.primitive->infer(call.params, Call(call));
  std::vector<bool> need;
  for (const array& t : tangents) need.push_back(t.defined());
  Arrays ts;
  auto pullback = [&](const Arrays& v) {
    Arrays cts = pull_call(call, Outs(v), need), linear;
    for (size_t i = 0; i < cts.size(); ++i) {
      if (!need[i] || !cts[i].defined()) continue;
      linear.push_back(cts[i]);
      ts.push_back(tangents[i]);
    }
    return linear;
  };
  LiveTrace trace;
  Effects none;  // A user's rule has no values here.
  Arrays v;
  for (const Type& t : out_types) v.push_back(array::placeholder(t, "jvp"));
  Arrays linear = pullback(v);
  return pull(linear, ts, v, trace.since());
}

// vjp from jvp: the pushforward t -> J t, transposed.
Arrays pull_from_push(CallRecord& call, const Outs& cotangents, const std::vector<bool>& need) {
  LiveTrace trace;
  Effects none;
  Arrays tangents(need.size()), sources;
  for (size_t i = 0; i < need.size(); ++i) {
    if (!need[i]) continue;
    tangents[i] = array::placeholder(call.inputs[i].type(), "vjp");
    sources.push_back(tangents[i]);
  }
  Outs outs = push_call(call, tangents);
  Arrays linear, cts, result(need.size());
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!outs[k].defined() || !cotangents[k].defined()) continue;
    linear.push_back(outs[k]);
    cts.push_back(cotangents[k]);
  }
  Arrays found = pull(linear, cts, sources, trace.since());
  for (size_t i = 0, k = 0; i < need.size(); ++i) {
    if (need[i]) result[i] = found[k++];
  }
  return result;
}

// One example at a time, stacked: right for every primitive.
Outs vmap_by_loop(CallRecord& call, const Arrays& inputs, const std::vector<bool>& mapped, int64_t size) {
  Types types = call.primitive->infer(call.params, Call(call));
  Outs outs;
  if (size == 0) {
    for (const Type& t : types) outs.push_back(zeros(with_axis(t.shape, 0), t.dtype));
    return outs;
  }
  std::vector<Arrays> rows(types.size());
  for (int64_t b = 0; b < size; ++b) {
    SmallVector<array, 3> example;
    for (size_t i = 0; i < inputs.size(); ++i) example.push_back(mapped[i] ? example_of(inputs[i], b) : inputs[i]);
    Arrays made = make_nodes(*call.primitive, call.params, std::move(example), types);
    for (size_t k = 0; k < made.size(); ++k) rows[k].push_back(made[k]);
  }
  for (const Arrays& row : rows) outs.push_back(stack(row, 0));
  return outs;
}

Outs vmap_through_expand(CallRecord& call, const Arrays& inputs, const std::vector<bool>& mapped, int64_t size) {
  LiveTrace trace;
  SmallVector<array, 3> example;
  Arrays sources, batched, keep;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!mapped[i]) {
      example.push_back(inputs[i]);
      continue;
    }
    example.push_back(array::placeholder(call.inputs[i].type(), "vmap"));
    sources.push_back(example.back());
    batched.push_back(inputs[i]);
  }
  Outs outs = call.primitive->expand(call.params, Call(again(call, std::move(example), keep)));
  Arrays found = vmap_graph({outs.begin(), outs.end()}, sources, batched, size, trace.since());
  Outs result;
  for (size_t k = 0; k < found.size(); ++k) {
    result.push_back(found[k].defined() ? found[k] : broadcast_to(expand_dims(outs[k], {0}), with_axis(outs[k].shape(), size)));
  }
  return result;
}

}  // namespace

std::shared_ptr<const std::string> origin_of_rule(const CallRecord& call, const char* rule) {
  if (!call.origin || call.primitive == &custom_p || !origins_traced()) return nullptr;
  return std::make_shared<std::string>(cat(*call.origin, ", in the ", rule, " of ", call.primitive->name));
}

Outs push_call(CallRecord& call, const Arrays& tangents) {
  const Primitive& p = *call.primitive;
  Arrays ts(tangents);
  bool any = false;
  for (size_t i = 0; i < ts.size(); ++i) {
    if (ts[i].defined() && !p.differentiable_in(static_cast<int>(i))) ts[i] = array();
    any |= ts[i].defined();
  }
  if (!any) return Outs::none(call.n_out);
  StreamScope scope(call.stream);
  OriginScope origin(origin_of_rule(call, "jvp"));
  if (p.push) return p.push(call.params, Call(call), ts);
  if (p.jvp) {
    Outs sum = Outs::none(call.n_out);
    for (size_t i = 0; i < ts.size(); ++i) {
      if (!ts[i].defined()) continue;
      Outs part = p.jvp(call.params, Call(call), static_cast<int>(i), ts[i]);
      for (size_t k = 0; k < part.size(); ++k) accumulate(sum[k], part[k]);
    }
    return sum;
  }
  if (p.expand) return push_through_expand(call, ts);
  if (p.vjp || p.pull) return push_from_pull(call, ts);
  no_rule(p, "jvp");
}

Arrays pull_call(CallRecord& call, Outs cotangents, std::vector<bool>& need) {
  const Primitive& p = *call.primitive;
  bool any = false;
  for (size_t i = 0; i < need.size(); ++i) {
    need[i] = need[i] && p.differentiable_in(static_cast<int>(i)) && is_inexact(call.inputs[i].dtype());
    any = any || need[i];
  }
  Arrays cts(need.size());
  if (!any) return cts;
  StreamScope scope(call.stream);
  OriginScope origin(origin_of_rule(call, "vjp"));
  if (p.pull || p.vjp) fill_zeros(call, cotangents);
  if (p.pull) return p.pull(call.params, Call(call), cotangents, need);
  if (p.vjp) {
    for (size_t i = 0; i < need.size(); ++i) {
      if (need[i]) cts[i] = p.vjp(call.params, Call(call), static_cast<int>(i), cotangents);
    }
    return cts;
  }
  if (p.expand) return pull_through_expand(call, cotangents, need);
  if (p.jvp || p.push) return pull_from_push(call, cotangents, need);
  no_rule(p, "vjp");
}

Outs vmap_call(CallRecord& call, const Arrays& inputs, const std::vector<bool>& mapped, int64_t size) {
  const Primitive& p = *call.primitive;
  StreamScope scope(call.stream);
  OriginScope origin(&p == &custom_p ? nullptr : call.origin);
  if (p.vmap) return p.vmap(call.params, Batch(Call(call), inputs, mapped, size));
  if (p.expand) return vmap_through_expand(call, inputs, mapped, size);
  return vmap_by_loop(call, inputs, mapped, size);
}

Arrays transpose_linear(const std::function<Arrays(const Arrays&)>& linear, const Types& in_types, const Arrays& cotangents) {
  LiveTrace trace;
  Effects none;
  Arrays sources;
  for (const Type& t : in_types) sources.push_back(array::placeholder(t, "vjp"));
  return pull(linear(sources), cotangents, sources, trace.since());
}

const char* jvp_source(const Primitive& p) {
  if (!p.differentiable) return "none";
  if (p.push || p.jvp) return "written";
  if (p.expand) return "expand";
  return p.vjp || p.pull ? "derived" : "none";
}
const char* vjp_source(const Primitive& p) {
  if (!p.differentiable) return "none";
  if (p.pull || p.vjp) return "written";
  if (p.expand) return "expand";
  return p.jvp || p.push ? "derived" : "none";
}
const char* vmap_source(const Primitive& p) { return p.vmap ? "written" : p.expand ? "expand" : "loop"; }

}  // namespace mx

// compiled_rules.cpp — the record of a compiled call. A transformation of the call is again a compiled call, of a graph
// that is the transformed one: made once for each choice of inputs, and kept with the body.
//
//   forward mode   inputs, tangents -> outputs, tangents of outputs
//   reverse mode   inputs, cotangents -> outputs, cotangents of inputs, where cotangents do not depend on the outputs; else
//                  first: inputs -> outputs, residuals; second: inputs, residuals, cotangents -> cotangents of inputs
//   vmap           batched inputs -> batched outputs
//
// The first two compute the outputs too, with everything else: the original call, which is pending, is linked to the
// new one and takes its outputs from there. Start at compiled_p, at the end.

#include <cmath>

#include "compile/compile.h"
#include "compile/compiled_body.h"
#include "compile/simplify.h"
#include "graph/marker.h"
#include "ops/create.h"
#include "ops/elementwise_params.h"
#include "ops/movement.h"
#include "ops/movement_params.h"
#include "runtime/eval.h"
#include "transforms/jvp.h"
#include "transforms/rules.h"
#include "transforms/vjp.h"
#include "transforms/vmap_graph.h"

namespace mx {

namespace {

uint64_t serial_of(const Call& c) { return c.out(0).node()->serial; }

std::span<const array> inputs_of(const Call& c) { return {c.inputs().data(), c.inputs().size()}; }

Arrays first_of(const Arrays& xs, size_t n) { return {xs.begin(), xs.begin() + static_cast<ptrdiff_t>(n)}; }

array placeholder(const Type& t) { return array::placeholder(t, placeholder_label("compile")); }

std::string key_of(char rule, std::span<const uint8_t> bits, int64_t size = 0) {
  std::string key(1, rule);
  key.append(reinterpret_cast<const char*>(bits.data()), bits.size());
  return key + std::to_string(size);
}

// Makes a writer's leaves of a graph's captured arrays: constants, or further inputs where they are still watched.
struct Leaves {
  std::vector<int> values;
  std::vector<int> extra_values;
  Arrays extras;

  Leaves(GraphWriter& w, const Extract& e) {
    for (const Type& t : e.graph.input_types) values.push_back(w.input(t));
    for (const array& a : e.captured) {
      if (is_live(a)) {
        extra_values.push_back(w.input(a.type()));
        values.push_back(extra_values.back());
        extras.push_back(a);
      } else {
        values.push_back(w.constant(a));
      }
    }
  }
};

Compiled compiled(Extract e, Arrays& extras) {
  GraphWriter w;
  Leaves leaves(w, e);
  std::vector<int> outputs = w.add(std::move(e.graph), leaves.values);
  Arrays constants;
  Subgraph g = w.finish(outputs, constants);
  extras = std::move(leaves.extras);
  return Compiled(std::move(g), std::move(constants));
}

// ---- cutting in two

// ns for each element, roughly: what it costs to compute again.
double weight(const Step& s) {
  if (s.primitive->view) return 0;
  static const Primitive* const heavy[] = {&exp_p,  &log_p,  &sin_p,   &cos_p,   &tan_p,    &tanh_p,   &erf_p,    &sigmoid_p, &power_p,   &log1p_p, &expm1_p,
                                           &sinh_p, &cosh_p, &log2_p,  &log10_p, &arctan_p, &arcsin_p, &arccos_p, &erfinv_p,  &arctan2_p, &logaddexp_p};
  return std::find(std::begin(heavy), std::end(heavy), s.primitive) != std::end(heavy) ? 0.3 : 0.05;
}
constexpr double kPerByte = 1.0 / 8;  // ns, written and read once

double bytes_of(const Type& t) { return static_cast<double>(n_elems(t.shape)) * static_cast<double>(size_of(t.dtype)); }

// What a first piece, which computes outputs, keeps for a second one, which computes results once `late` values are known.
class Cut {
 public:
  Cut(const GraphWriter& w, std::span<const int> late, std::span<const int> outputs, std::span<const int> results)
      : w_(w), late_(w.n_values()), is_output_(w.n_values()) {
    for (int v : late) late_[at(v)] = true;
    for (const Step& s : w.steps()) {
      bool any = std::any_of(s.in.begin(), s.in.end(), [&](int i) { return late_[at(i)]; });
      for (int o : s.out) late_[at(o)] = any;
    }
    for (int v : outputs) is_output_[at(v)] = true;
    first_ = needed(outputs);
    std::vector<bool> second = needed(results), seen(w.n_values());
    auto take = [&](int v) {
      if (late_[at(v)] || seen[at(v)]) return;
      seen[at(v)] = true;
      frontier_.push_back(v);
    };
    for (size_t s = 0; s < w.steps().size(); ++s) {
      const Step& step = w.steps()[s];
      if (second[s] && late_[at(step.out[0])]) std::for_each(step.in.begin(), step.in.end(), take);
    }
    std::for_each(results.begin(), results.end(), take);
  }

  /// What the second piece reads, or, if that is cheaper, what the elementwise work on it begins with.
  std::vector<int> residuals() const {
    std::vector<int> all, few, open(frontier_);
    double cost_all = 0, cost_few = 0;
    std::vector<bool> seen(w_.n_values());
    for (int v : frontier_) {
      if (!w_.maker(v)) continue;
      all.push_back(v);
      if (!is_output_[at(v)]) cost_all += bytes_of(w_.type(v)) * kPerByte;
    }
    while (!open.empty()) {
      int v = open.back();
      open.pop_back();
      const Step* s = w_.maker(v);
      if (!s || seen[at(v)]) continue;
      seen[at(v)] = true;
      bool cheap = (s->primitive->kind == Kind::elementwise || s->primitive->view) && !is_output_[at(v)];
      if (!cheap) {
        few.push_back(v);
        continue;
      }
      bool again = first_[static_cast<size_t>(s - w_.steps().data())];
      if (again) cost_few += static_cast<double>(n_elems(s->types[0].shape)) * weight(*s);
      open.insert(open.end(), s->in.begin(), s->in.end());
    }
    return cost_all <= cost_few ? all : few;
  }

 private:
  static size_t at(int v) { return static_cast<size_t>(v); }
  std::vector<bool> needed(std::span<const int> outputs) const {
    std::vector<bool> used(w_.n_values()), result(w_.steps().size());
    for (int v : outputs) used[at(v)] = true;
    for (size_t s = w_.steps().size(); s-- > 0;) {
      const Step& step = w_.steps()[s];
      result[s] = std::any_of(step.out.begin(), step.out.end(), [&](int o) { return used[at(o)]; });
      if (!result[s]) continue;
      for (int i : step.in) used[at(i)] = true;
    }
    return result;
  }

  const GraphWriter& w_;
  std::vector<bool> late_;       ///< Depends on a late value.
  std::vector<bool> is_output_;
  std::vector<bool> first_;      ///< Steps that the outputs need.
  std::vector<int> frontier_;    ///< What the second piece reads of the first.
};

std::vector<int> joined(std::vector<int> a, std::span<const int> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Makes the pieces of a graph whose inputs are the body's (`xs`) and late ones, whose outputs are `outs` and results. `whole`:
// one piece, with places of results counted after the outputs.
void cut(CompiledVersion& v, Extract e, size_t n_xs, size_t n_outs, bool whole) {
  GraphWriter w;
  Leaves leaves(w, e);
  size_t n_inputs = e.graph.input_types.size();
  std::vector<int> values = w.add(std::move(e.graph), leaves.values);
  std::span<const int> all(leaves.values), xs = all.first(n_xs), late = all.subspan(n_xs, n_inputs - n_xs);
  std::span<const int> outs = std::span<const int>(values).first(n_outs), results = std::span<const int>(values).subspan(n_outs);
  v.extras = std::move(leaves.extras);
  auto piece = [&](std::vector<int> inputs, std::span<const int> outputs) {
    Arrays constants;
    Subgraph g = w.piece(joined(std::move(inputs), leaves.extra_values), outputs, constants);
    return Compiled(std::move(g), std::move(constants));
  };
  if (whole) {
    for (int& place : v.place) place += place >= 0 ? static_cast<int>(n_outs) : 0;
    v.first = piece({all.begin(), all.begin() + static_cast<ptrdiff_t>(n_inputs)}, values);
    return;
  }
  std::vector<int> kept = Cut(w, late, outs, results).residuals(), made(outs.begin(), outs.end()), inputs;
  std::vector<std::pair<char, int>> feed;
  auto give = [&](char kind, int i, int value) {
    feed.emplace_back(kind, i);
    inputs.push_back(value);
  };
  for (size_t i = 0; i < xs.size(); ++i) give('x', static_cast<int>(i), xs[i]);
  for (int r : kept) {
    auto at = std::find(made.begin(), made.end(), r);
    give('r', static_cast<int>(at - made.begin()), r);
    if (at == made.end()) made.push_back(r);
  }
  for (size_t k = 0; k < late.size(); ++k) give('c', static_cast<int>(k), late[k]);
  if (!kept.empty()) v.first = piece({xs.begin(), xs.end()}, made);
  // Inputs that nothing reads would only be kept alive.
  Arrays constants;
  Subgraph g = w.piece(joined(inputs, leaves.extra_values), results, constants);
  std::vector<bool> read(static_cast<size_t>(g.n_slots));
  for (const Step& s : g.steps) {
    for (int i : s.in) read[static_cast<size_t>(i)] = true;
  }
  for (int o : g.outputs) read[static_cast<size_t>(o)] = true;
  std::vector<int> needed;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!read[i]) continue;
    needed.push_back(inputs[i]);
    v.feed.push_back(feed[i]);
  }
  v.second = piece(std::move(needed), results);
}

// Calls the pieces and links the call to the first of them. Returns the outputs of the last one.
Arrays call_pieces(const CompiledVersion& v, const CompiledParams& p, const Call& c, const Arrays& late) {
  SmallVector<array, 3> inputs(c.inputs());
  bool whole = !v.second;
  if (whole) inputs.insert(inputs.end(), late.begin(), late.end());
  inputs.insert(inputs.end(), v.extras.begin(), v.extras.end());
  Arrays first;
  if (v.first) first = v.first(std::move(inputs));
  if (v.first && p.link && p.body->n_effects() == 0 && first[0].primitive() == &compiled_p) {
    p.link->set(serial_of(c), first_of(first, p.body->n_values()));
  }
  if (whole) return first;
  inputs = {};
  for (auto [kind, i] : v.feed) {
    auto at = static_cast<size_t>(i);
    inputs.push_back(kind == 'x' ? c.in(i) : kind == 'r' ? first[at] : late[at]);
  }
  inputs.insert(inputs.end(), v.extras.begin(), v.extras.end());
  return v.second(std::move(inputs));
}

// Whether late values may be needed for the outputs as well: not if they are newer, like those that a linear map is made for.
bool older(const Arrays& late, const Call& c, bool by_far) {
  uint64_t mark = c.out(0).node()->newest_mark;
  return std::all_of(late.begin(), late.end(), [&](const array& x) {
    return by_far ? x.node()->newest_mark < mark : x.node()->newest_mark <= mark;
  });
}

// ---- forward mode

CompiledVersion make_push(const CompiledBody& body, const std::vector<uint8_t>& moves, bool whole) {
  InlineCompiled inlined;
  LiveTrace trace;
  Arrays xs, ts, moving;
  for (const Type& t : body.graph().input_types) xs.push_back(placeholder(t));
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!moves[i]) continue;
    moving.push_back(xs[i]);
    ts.push_back(placeholder(xs[i].type()));
  }
  Arrays outs = first_of(body.replayed(xs), body.n_values()), all(outs);
  CompiledVersion v;
  for (const array& t : push(outs, moving, ts, trace.since())) {
    v.place.push_back(t.defined() ? static_cast<int>(all.size() - outs.size()) : -1);
    if (t.defined()) all.push_back(t);
  }
  size_t n_xs = xs.size();
  xs.insert(xs.end(), ts.begin(), ts.end());
  if (all.size() > outs.size()) cut(v, extract(all, xs, trace.since()), n_xs, outs.size(), whole);
  return v;
}

Outs push_compiled(const CompiledParams& p, const Call& c, const Arrays& tangents) {
  const CompiledBody& body = *p.body;
  size_t n = body.output_types().size();
  Outs result = Outs::none(n);
  if (p.link && p.link->find('j', tangents, {}, 0, result)) return result;
  if (array other = p.link && body.n_effects() == 0 ? p.link->target(serial_of(c)) : array(); other.defined()) {
    // The outputs come from another call: so do their tangents.
    CallRecord& record = *other.node()->call;
    Arrays ts(tangents);
    ts.resize(record.inputs.size());
    Outs moved = push_call(record, ts);
    return Outs(moved.begin(), moved.begin() + n);
  }
  std::vector<uint8_t> moves;
  Arrays ts;
  for (const array& t : tangents) {
    moves.push_back(t.defined());
    if (t.defined()) ts.push_back(t);
  }
  bool whole = older(ts, c, false);
  auto v = body.version(key_of(whole ? 'j' : 'l', moves), [&] { return make_push(body, moves, whole); });
  if (v->first || v->second) {
    Arrays made = call_pieces(*v, p, c, ts);
    for (size_t k = 0; k < v->place.size(); ++k) {
      if (v->place[k] >= 0) result[k] = made[static_cast<size_t>(v->place[k])];
    }
  }
  if (p.link) p.link->remember({'j', tangents, {}, 0, {result.begin(), result.end()}});
  return result;
}

// ---- reverse mode

enum Cotangent : uint8_t { zero, given, one };

// Looks through a broadcast at a number.
bool holds(const array& a, double x) {
  const CallRecord* call = a.call();
  const array& value = call && call->primitive == &broadcast_p ? call->inputs[0] : a;
  if (!value.available() || is_complex(value.dtype())) return false;
  auto number = repeated_number(value);
  return number && *number == x && !std::signbit(*number);
}

CompiledVersion make_pull(const CompiledBody& body, const std::vector<uint8_t>& cotangents, const std::vector<bool>& need, bool whole) {
  const Types& types = body.graph().input_types;
  InlineCompiled inlined;
  LiveTrace outer;
  Arrays xs(types.size()), sources, late, cts(body.n_values());
  // What needs no cotangent is older than the trace, so that nothing is pulled there.
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!need[i]) xs[i] = placeholder(types[i]);
  }
  LiveTrace inner;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (need[i]) sources.push_back(xs[i] = placeholder(types[i]));
  }
  Arrays outs = first_of(body.replayed(xs), body.n_values()), all(outs);
  for (size_t k = 0; k < outs.size(); ++k) {
    if (cotangents[k] == one) cts[k] = ones_like(outs[k]);
    if (cotangents[k] == given) late.push_back(cts[k] = placeholder(outs[k].type()));
  }
  Arrays found = pull(outs, cts, sources, inner.since());
  CompiledVersion v;
  for (size_t i = 0, s = 0; i < xs.size(); ++i) {
    array ct = need[i] ? found[s++] : array();
    v.place.push_back(ct.defined() ? static_cast<int>(all.size() - outs.size()) : -1);
    if (ct.defined()) all.push_back(ct);
  }
  size_t n_xs = xs.size();
  xs.insert(xs.end(), late.begin(), late.end());
  if (all.size() > outs.size()) cut(v, extract(all, xs, outer.since()), n_xs, outs.size(), whole);
  return v;
}

Arrays pull_compiled(const CompiledParams& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
  const CompiledBody& body = *p.body;
  std::vector<uint8_t> bits, key;
  Arrays late, result(need.size());
  bool any = false;
  for (size_t k = 0; k < body.n_values(); ++k) {
    const array& ct = cts[k];
    bits.push_back(!is_inexact(ct.dtype()) || holds(ct, 0) ? zero : holds(ct, 1) ? one : given);
    any |= bits.back() != zero;
    if (bits.back() == given) late.push_back(ct);
  }
  if (!any) return result;
  // What is older than the newest mark on the outputs does not depend on them.
  bool whole = older(late, c, true);
  key = bits;
  for (bool b : need) key.push_back(b);
  auto v = body.version(key_of(whole ? 'w' : 'v', key), [&] { return make_pull(body, bits, need, whole); });
  if (!v->first && !v->second) return result;
  Arrays found = call_pieces(*v, p, c, late);
  for (size_t i = 0; i < need.size(); ++i) {
    if (v->place[i] >= 0) result[i] = found[static_cast<size_t>(v->place[i])];
  }
  return result;
}

// ---- vmap

CompiledVersion make_vmap(const CompiledBody& body, const std::vector<uint8_t>& mapped, int64_t size) {
  const Types& types = body.graph().input_types;
  InlineCompiled inlined;
  LiveTrace outer;
  Arrays leaves, batched, examples, sources;
  for (size_t i = 0; i < types.size(); ++i) {
    leaves.push_back(placeholder(mapped[i] ? Type{types[i].dtype, with_axis(types[i].shape, size)} : types[i]));
    if (mapped[i]) batched.push_back(leaves.back());
  }
  LiveTrace inner;
  for (size_t i = 0; i < types.size(); ++i) {
    examples.push_back(mapped[i] ? placeholder(types[i]) : leaves[i]);
    if (mapped[i]) sources.push_back(examples.back());
  }
  Arrays outs = body.replayed(examples), found = vmap_graph(outs, sources, batched, size, inner.since());
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!found[k].defined()) found[k] = broadcast_to(expand_dims(outs[k], {0}), with_axis(outs[k].shape(), size));
  }
  CompiledVersion v;
  v.first = compiled(extract(found, leaves, outer.since()), v.extras);
  return v;
}

Outs vmap_compiled(const CompiledParams& p, const Batch& b) {
  const CompiledBody& body = *p.body;
  SmallVector<array, 3> inputs;
  std::vector<bool> mapped;
  std::vector<uint8_t> bits;
  for (int i = 0; i < b.n_in(); ++i) {
    inputs.push_back(b.raw(i));
    mapped.push_back(b.mapped(i));
    bits.push_back(b.mapped(i));
  }
  Outs result;
  if (p.link && p.link->find('b', inputs, mapped, b.size(), result)) return result;
  array other = p.link && body.n_effects() == 0 ? p.link->target(serial_of(b.call())) : array();
  if (other.defined() && other.node()->call->inputs.size() == inputs.size()) {
    // The outputs come from another call of the same inputs.
    Outs outs = vmap_call(*other.node()->call, {inputs.begin(), inputs.end()}, mapped, b.size());
    return Outs(outs.begin(), outs.begin() + body.output_types().size());
  }
  Arrays keys(inputs.begin(), inputs.end());
  auto v = body.version(key_of('b', bits, b.size()), [&] { return make_vmap(body, bits, b.size()); });
  inputs.insert(inputs.end(), v->extras.begin(), v->extras.end());
  result = Outs(v->first(std::move(inputs)));
  if (p.link) p.link->remember({'b', std::move(keys), std::move(mapped), b.size(), {result.begin(), result.end()}});
  return result;
}

// ---- running

// The outputs of a linked call, if that has to run anyway.
bool run_linked(CompiledLink& link, uint64_t serial, const std::vector<bool>& wanted, Outs& result) {
  Arrays outs = link.enter(serial, wanted.size());
  if (outs.empty()) return false;
  Arrays needed;
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (wanted[k]) needed.push_back(outs[k]);
  }
  try {
    eval(needed);
  } catch (const TransformError&) {
    // It depends on what a transformation that is running has no value for.
    link.leave(true);
    return false;
  } catch (...) {
    link.leave(false);
    throw;
  }
  link.leave(true);
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (wanted[k]) result[k] = outs[k];
  }
  return true;
}

Outs run_compiled(const CompiledParams& p, const Call& c, const std::vector<bool>& wanted) {
  if (p.failure) std::rethrow_exception(p.failure);
  Outs result = Outs::none(wanted.size());
  if (p.link && run_linked(*p.link, serial_of(c), wanted, result)) {
    p.link->clear();
    return result;
  }
  size_t some = 0;
  while (!wanted[some]) ++some;
  array out = c.out(static_cast<int>(some));
  bool took = false;
  SmallVector<Storage, 4> outs(wanted.size());
  try {
    p.body->run(inputs_of(c), wanted, !must_retain(*out.node()), {outs.data(), outs.size()}, took);
  } catch (...) {
    // Inputs have been overwritten: whoever asks again meets the same error.
    if (took) {
      CallRecord& record = *out.node()->call;
      record.params = CompiledParams{p.body, nullptr, std::current_exception()};
    }
    throw;
  }
  if (p.link) p.link->clear();
  const Types& types = p.body->output_types();
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (wanted[k]) result[k] = array::wrap(std::move(outs[k].buffer), types[k], outs[k].offset, std::move(outs[k].strides));
  }
  return result;
}

}  // namespace

const Primitive compiled_p = define<CompiledParams>({
    .name = "compiled",
    .infer = [](auto& p, const Call&) -> Inferred { return p.body->output_types(); },
    .push = push_compiled,
    .pull = pull_compiled,
    .vmap = vmap_compiled,
    // For those who read or write graphs.
    .expand =
        [](auto& p, const Call& c) -> Outs {
          bool programs = InlineCompiled::active() == InlineCompiled::programs;
          return programs ? p.body->replayed_programs(inputs_of(c)) : p.body->replayed(inputs_of(c));
        },
    .run = run_compiled,
});

}  // namespace mx

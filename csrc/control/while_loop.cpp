// while_loop.cpp — the record of while_loop and its rules. Forward mode and vmap are loops with a larger carry. Reverse
// mode counts the steps down again, reading the carry of each from the history. Start at while_loop().

#include "control/while_loop.h"

#include "control/stack.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "runtime/eval.h"

namespace mx {

namespace {

// What surrounds the carry among inputs and outputs.
struct Layout {
  explicit Layout(const WhileParams& p)
      : n_carry(static_cast<size_t>(p.n_carry)), cond_end(n_carry + static_cast<size_t>(p.n_cond)), bounded(p.max_steps >= 0) {}
  size_t n_carry, cond_end;
  bool bounded;
  size_t count() const { return n_carry; }
  size_t history(size_t k) const { return n_carry + 1 + k; }
  size_t n_out() const { return bounded ? 2 * n_carry + 1 : n_carry; }
  /// The inputs of the condition and of the body, given the carry.
  Arrays for_cond(const Arrays& carry, std::span<const array> inputs) const { return join(carry, inputs.subspan(n_carry, cond_end - n_carry)); }
  Arrays for_body(const Arrays& carry, std::span<const array> inputs) const { return join(carry, inputs.subspan(cond_end)); }

 private:
  Arrays join(const Arrays& carry, std::span<const array> more) const {
    Arrays all(carry.begin(), carry.begin() + static_cast<ptrdiff_t>(n_carry));
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

Types types_of(const WhileParams& p) {
  Types types = p.body.output_types();
  if (p.max_steps < 0) return types;
  types.push_back({Dtype::int32, {}});
  for (size_t k = 0; k < static_cast<size_t>(p.n_carry); ++k) types.push_back({types[k].dtype, with_axis(types[k].shape, p.max_steps)});
  return types;
}

void check_types(const Arrays& init, const Types& conds, const Types& outs) {
  if (conds.size() != 1 || conds[0].dtype != Dtype::bool_ || !conds[0].shape.empty()) {
    std::string came = conds.size() == 1 ? cat(conds[0].dtype, conds[0].shape) : cat(conds.size(), " arrays");
    throw ValueError(cat("[while_loop] cond gives ", came, "; need one boolean of shape ()."));
  }
  if (outs.size() != init.size()) {
    throw ValueError(cat("[while_loop] body returned ", outs.size(), " arrays for a carry of ", init.size(), "; need the new carry."));
  }
  for (size_t k = 0; k < init.size(); ++k) {
    if (init[k].type() == outs[k]) continue;
    throw ValueError(cat("[while_loop] the carry changes its type: array ", k, " enters as ", init[k].dtype(), init[k].shape(),
                         " and leaves as ", outs[k].dtype, outs[k].shape,
                         "; need equal shapes and dtypes. Convert the initial carry, or what the body returns."));
  }
}

// All outputs, histories too.
Arrays while_all(const Function& cond, const Function& body, Arrays init, int64_t max_steps) {
  Types types;
  for (const array& c : init) types.push_back(c.type());
  Traced test = trace_step(cond, types, "while_loop"), step = trace_step(body, types, "while_loop", true);
  Types steps = step.graph.output_types();
  steps.pop_back();
  check_types(init, test.graph.output_types(), steps);
  bool numbered = test.draws || step.draws;
  if (numbered) {
    init.push_back(array(0, Dtype::int32));
  } else {
    drop_number(test);
    drop_number(step, true);
  }
  WhileParams params{test.body(), step.body(), static_cast<int>(init.size()), static_cast<int>(test.captured.size()), max_steps};
  SmallVector<array, 3> inputs(init.begin(), init.end());
  for (const Arrays* more : {&test.captured, &step.captured}) inputs.insert(inputs.end(), more->begin(), more->end());
  Types outs = types_of(params);
  Arrays found = make_nodes(while_p, std::move(params), std::move(inputs), outs);
  if (numbered) {
    // The number and its history are nobody's business.
    if (max_steps >= 0) found.pop_back();
    found.erase(found.begin() + static_cast<ptrdiff_t>(init.size()) - 1);
  }
  return found;
}

Outs run_while(const WhileParams& p, const Call& c, const std::vector<bool>& wanted) {
  Layout at(p);
  std::span<const array> in(c.inputs().data(), c.inputs().size());
  Arrays carry = without_history(in.first(at.n_carry));
  Types types = types_of(p);
  std::vector<Stack> histories;
  for (size_t k = 0; at.bounded && k < at.n_carry; ++k) histories.emplace_back(types[at.history(k)], wanted[at.history(k)]);
  auto captured_by_cond = in.subspan(at.n_carry, at.cond_end - at.n_carry), captured_by_body = in.subspan(at.cond_end);
  auto test = p.cond.prepared(captured_by_cond), program = p.body.prepared(captured_by_body);
  Runner cond(*test, at.n_carry), body(*program, at.n_carry);
  for (size_t i = 0; i < captured_by_cond.size(); ++i) cond.set(at.n_carry + i, captured_by_cond[i].storage());
  for (size_t i = 0; i < captured_by_body.size(); ++i) body.set(at.n_carry + i, captured_by_body[i].storage());
  int64_t step = 0;
  for (; p.max_steps < 0 || step < p.max_steps; ++step) {
    for (size_t k = 0; k < at.n_carry; ++k) cond.set(k, carry[k].storage());
    cond.run();
    bool going = cond.output(0).item<bool>();
    cond.take_outputs({});
    if (!going) break;
    for (size_t k = 0; k < at.n_carry; ++k) {
      if (at.bounded) histories[k].put(carry[k], step);
      // Moved: the step may write over it.
      body.set(k, std::move(carry[k].node()->storage));
      if (at.bounded && step + 1 < p.max_steps) histories[k].expect(body, k, step + 1);
    }
    body.run();
    body.take_outputs(carry);
  }
  for (size_t k = 0; k < histories.size(); ++k) carry[k] = histories[k].apart(carry[k]);
  Outs result(carry);
  if (at.bounded) result.push_back(array(step, Dtype::int32));
  for (Stack& s : histories) {
    s.clear_from(step);
    result.push_back(s.rows());
  }
  return result;
}

Outs push_while(const WhileParams& p, const Call& c, const Arrays& tangents) {
  Layout at(p);
  Arrays inputs(c.inputs().begin(), c.inputs().end());
  std::vector<bool> moves;
  for (size_t k = 0; k < at.n_carry; ++k) moves.push_back(tangents[k].defined());
  // Tangents of the body's inputs, given those of the carry that move.
  auto body_tangents = [&](auto&& of_carry) {
    Arrays ts;
    for (size_t k = 0; k < at.n_carry; ++k) ts.push_back(moves[k] ? of_carry(k) : array());
    ts.insert(ts.end(), tangents.begin() + static_cast<ptrdiff_t>(at.cond_end), tangents.end());
    return ts;
  };
  // The carry's tangents, then those of what the body captured.
  std::vector<bool> moving(moves);
  for (size_t i = at.cond_end; i < tangents.size(); ++i) moving.push_back(tangents[i].defined());
  reached_in_loop(p.body, moving, at.n_carry, true);
  std::copy(moving.begin(), moving.begin() + static_cast<ptrdiff_t>(at.n_carry), moves.begin());
  Arrays init(inputs.begin(), inputs.begin() + static_cast<ptrdiff_t>(at.n_carry));
  std::vector<size_t> place(at.n_carry);
  for (size_t k = 0; k < at.n_carry; ++k) {
    if (!moves[k]) continue;
    place[k] = init.size();
    init.push_back(tangents[k].defined() ? tangents[k] : zeros_like(inputs[k]));
  }
  auto cond = [&](const Arrays& in) { return p.cond(at.for_cond(in, inputs)); };
  auto body = [&](const Arrays& in) {
    auto [outs, moved] = push_body(p.body, at.for_body(in, inputs), body_tangents([&](size_t k) { return in[place[k]]; }));
    for (size_t k = 0; k < at.n_carry; ++k) {
      if (moves[k]) outs.push_back(moved[k].defined() ? moved[k] : zeros_like(outs[k]));
    }
    return outs;
  };
  Arrays found = while_all(cond, body, init, p.max_steps);
  Outs result = Outs::none(at.n_out());
  for (size_t k = 0; k < at.n_carry; ++k) {
    if (!moves[k]) continue;
    result[k] = found[place[k]];
    if (at.bounded) result[at.history(k)] = found[init.size() + 1 + place[k]];
  }
  return result;
}

// Row i of a stack, for an index that is computed.
array row(const array& stack, const array& i) { return take(stack, i, 0); }

Arrays pull_while(const WhileParams& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
  Layout at(p);
  if (!at.bounded) {
    throw TransformError("[while_loop] reverse mode keeps the carry of every step, and the number of steps has no bound. "
                         "Pass max_steps=, or use scan or fori_loop with a fixed number of steps.");
  }
  Arrays inputs(c.inputs().begin(), c.inputs().end());
  std::vector<bool> of_step(at.n_carry + inputs.size() - at.cond_end);
  Arrays init{c.out(static_cast<int>(at.count()))};
  std::vector<size_t> carries, sums;
  for (size_t k = 0; k < at.n_carry; ++k) {
    if (!is_inexact(inputs[k].dtype())) continue;
    of_step[k] = true;
    carries.push_back(k);
    init.push_back(cts[k]);
  }
  for (size_t i = at.cond_end; i < inputs.size(); ++i) {
    if (!need[i]) continue;
    of_step[at.n_carry + i - at.cond_end] = true;
    sums.push_back(i);
    init.push_back(zeros_like(inputs[i]));
  }
  Arrays history;
  for (size_t k = 0; k < at.n_carry; ++k) history.push_back(c.out(static_cast<int>(at.history(k))));
  auto cond = [&](const Arrays& in) { return Arrays{greater(in[0], array(0, Dtype::int32))}; };
  auto body = [&](const Arrays& in) {
    array i = subtract(in[0], array(1, Dtype::int32));
    Arrays carry, out_cts(at.n_carry);
    for (const array& h : history) carry.push_back(row(h, i));
    for (size_t j = 0; j < carries.size(); ++j) out_cts[carries[j]] = in[1 + j];
    Arrays found = pull_body(p.body, at.for_body(carry, inputs), out_cts, of_step), result{i};
    for (size_t k : carries) {
      array ct = row(cts[at.history(k)], i);
      result.push_back(found[k].defined() ? add(found[k], ct) : ct);
    }
    for (size_t j = 0; j < sums.size(); ++j) {
      const array &before = in[1 + carries.size() + j], &more = found[at.n_carry + sums[j] - at.cond_end];
      result.push_back(more.defined() ? add(before, more) : before);
    }
    return result;
  };
  Arrays found = while_all(cond, body, init, p.max_steps), result(inputs.size());
  for (size_t j = 0; j < carries.size(); ++j) result[carries[j]] = found[1 + j];
  for (size_t j = 0; j < sums.size(); ++j) result[sums[j]] = found[1 + carries.size() + j];
  return result;
}

// `condition` (batch,) against an array with the batch in front.
array per_example(const array& condition, const array& like) {
  Shape shape(like.shape().size(), 1);
  shape[0] = like.shape(0);
  return broadcast_to(reshape(condition, shape), like.shape());
}

// If the condition depends on the batch, each example stops on its own: a step leaves those that have stopped alone.
Outs vmap_while(const WhileParams& p, const Batch& b) {
  Layout at(p);
  Arrays raw;
  std::vector<bool> mapped;
  for (int i = 0; i < b.n_in(); ++i) {
    raw.push_back(b.raw(i));
    mapped.push_back(b.mapped(i));
  }
  auto flags = [&](size_t from, size_t to) {
    std::vector<bool> f(mapped.begin(), mapped.begin() + static_cast<ptrdiff_t>(at.n_carry));
    f.insert(f.end(), mapped.begin() + static_cast<ptrdiff_t>(from), mapped.begin() + static_cast<ptrdiff_t>(to));
    return f;
  };
  auto cond_of = [&](const Arrays& carry) { return vmap_body(p.cond, at.for_cond(carry, raw), flags(at.n_carry, at.cond_end), b.size()); };
  auto body_of = [&](const Arrays& carry) { return vmap_body(p.body, at.for_body(carry, raw), flags(at.cond_end, raw.size()), b.size()); };
  std::vector<bool> reach = flags(at.cond_end, raw.size());
  reached_in_loop(p.body, reach, at.n_carry, false);
  std::copy(reach.begin(), reach.begin() + static_cast<ptrdiff_t>(at.n_carry), mapped.begin());
  bool each_stops = reached(p.cond, flags(at.n_carry, at.cond_end), false)[0];
  if (each_stops) std::fill(mapped.begin(), mapped.begin() + static_cast<ptrdiff_t>(at.n_carry), true);
  Arrays init;
  for (size_t k = 0; k < at.n_carry; ++k) init.push_back(mapped[k] && !b.mapped(static_cast<int>(k)) ? with_batch(raw[k], b.size()) : raw[k]);
  if (each_stops) init.push_back(zeros({b.size()}, Dtype::int32));  // how many steps each example took
  auto cond = [&](const Arrays& in) {
    array test = cond_of(in).outs[0];
    return Arrays{each_stops ? any(test) : test};
  };
  auto body = [&](const Arrays& in) {
    Batched found = body_of(in);
    Arrays outs;
    for (size_t k = 0; k < at.n_carry; ++k) outs.push_back(mapped[k] && !found.mapped[k] ? with_batch(found.outs[k], b.size()) : found.outs[k]);
    if (!each_stops) return outs;
    array going = cond_of(in).outs[0];
    for (size_t k = 0; k < at.n_carry; ++k) outs[k] = where(per_example(going, outs[k]), outs[k], in[k]);
    outs.push_back(add(in[at.n_carry], astype(going, Dtype::int32)));
    return outs;
  };
  Arrays found = while_all(cond, body, init, p.max_steps);
  Outs result;
  for (size_t k = 0; k < at.n_carry; ++k) result.push_back(mapped[k] ? found[k] : with_batch(found[k], b.size()));
  if (!at.bounded) return result;
  result.push_back(each_stops ? found[at.n_carry] : with_batch(found[init.size()], b.size()));
  for (size_t k = 0; k < at.n_carry; ++k) {
    const array& h = found[init.size() + 1 + k];
    result.push_back(mapped[k] ? moveaxis(h, 1, 0) : with_batch(h, b.size()));
  }
  return result;
}

}  // namespace

const Primitive while_p = define<WhileParams>({
    .name = "while_loop",
    .infer = [](auto& p, const Call&) { return types_of(p); },
    .push = push_while,
    .pull = pull_while,
    .vmap = vmap_while,
    .run = run_while,
});

Arrays while_loop(const Function& cond, const Function& body, const Arrays& init, std::optional<int64_t> max_steps) {
  if (max_steps && *max_steps < 0) throw ValueError(cat("[while_loop] max_steps is ", *max_steps, "; need a number of steps."));
  Arrays found = while_all(cond, body, init, max_steps.value_or(-1));
  found.resize(init.size());
  return found;
}

}  // namespace mx

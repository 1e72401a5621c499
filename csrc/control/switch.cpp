// switch.cpp — the record of switch_case and cond. A rule transforms every branch; the index stays. Start at
// switch_case().

#include "control/switch.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "runtime/runner.h"

namespace mx {

namespace {

// For each branch, which of the call's inputs are its own: the operands, then what it captured.
std::vector<std::vector<size_t>> inputs_of_branches(const SwitchParams& p) {
  std::vector<std::vector<size_t>> result;
  size_t next = 1 + static_cast<size_t>(p.n_operands);
  for (int64_t n : p.n_captured) {
    std::vector<size_t> mine;
    for (int i = 0; i < p.n_operands; ++i) mine.push_back(1 + static_cast<size_t>(i));
    for (int64_t i = 0; i < n; ++i) mine.push_back(next++);
    result.push_back(std::move(mine));
  }
  return result;
}

template <class Vector>
auto chosen(const Vector& all, const std::vector<size_t>& which) {
  std::vector<typename Vector::value_type> some;
  for (size_t i : which) some.push_back(all[i]);
  return some;
}

Outs run_switch(const SwitchParams& p, const Call& c, const std::vector<bool>&) {
  auto last = static_cast<int64_t>(p.branches.size()) - 1;
  auto k = static_cast<size_t>(std::clamp<int64_t>(c.in(0).item<int32_t>(), 0, last));
  Arrays in = without_history({c.inputs().data(), c.inputs().size()});
  in = chosen(in, inputs_of_branches(p)[k]);
  auto program = p.branches[k].prepared(std::span<const array>(in).subspan(static_cast<size_t>(p.n_operands)));
  Runner runner(*program, 0);
  for (size_t i = 0; i < in.size(); ++i) runner.set(i, in[i].storage());
  runner.run();
  Arrays outs;
  for (size_t i = 0; i < program->outputs.size(); ++i) outs.push_back(runner.output(i));
  return outs;
}

Outs push_switch(const SwitchParams& p, const Call& c, const Arrays& tangents) {
  auto mine = inputs_of_branches(p);
  Arrays inputs(c.inputs().begin(), c.inputs().end());
  Types types = p.branches[0].output_types();
  // An output moves if it moves in one of the branches.
  std::vector<bool> moves(types.size());
  for (size_t b = 0; b < p.branches.size(); ++b) {
    std::vector<bool> from;
    for (size_t i : mine[b]) from.push_back(tangents[i].defined());
    std::vector<bool> outs = reached(p.branches[b], from, true);
    for (size_t k = 0; k < outs.size(); ++k) moves[k] = moves[k] || outs[k];
  }
  std::vector<Function> branches;
  for (size_t b = 0; b < p.branches.size(); ++b) {
    branches.push_back([&, b](const Arrays&) {
      auto [outs, moved] = push_body(p.branches[b], chosen(inputs, mine[b]), chosen(tangents, mine[b]));
      Arrays result;
      for (size_t k = 0; k < outs.size(); ++k) {
        if (moves[k]) result.push_back(moved[k].defined() ? moved[k] : zeros_like(outs[k]));
      }
      return result;
    });
  }
  Outs result = Outs::none(types.size());
  if (std::find(moves.begin(), moves.end(), true) == moves.end()) return result;
  Arrays found = switch_case(inputs[0], branches, {});
  for (size_t k = 0, next = 0; k < types.size(); ++k) {
    if (moves[k]) result[k] = found[next++];
  }
  return result;
}

Arrays pull_switch(const SwitchParams& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
  auto mine = inputs_of_branches(p);
  Arrays inputs(c.inputs().begin(), c.inputs().end()), out_cts;
  for (const array& ct : cts) out_cts.push_back(is_inexact(ct.dtype()) ? ct : array());
  std::vector<Function> branches;
  for (size_t b = 0; b < p.branches.size(); ++b) {
    branches.push_back([&, b](const Arrays&) {
      Arrays found = pull_body(p.branches[b], chosen(inputs, mine[b]), out_cts, chosen(need, mine[b])), all(inputs.size()), result;
      for (size_t i = 0; i < mine[b].size(); ++i) all[mine[b][i]] = found[i];
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (need[i]) result.push_back(all[i].defined() ? all[i] : zeros_like(inputs[i]));
      }
      return result;
    });
  }
  Arrays found = switch_case(inputs[0], branches, {}), result(inputs.size());
  for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
    if (need[i]) result[i] = found[next++];
  }
  return result;
}

Outs vmap_switch(const SwitchParams& p, const Batch& b) {
  auto mine = inputs_of_branches(p);
  Arrays raw;
  std::vector<bool> mapped;
  for (int i = 0; i < b.n_in(); ++i) {
    raw.push_back(b.raw(i));
    mapped.push_back(b.mapped(i));
  }
  auto batched = [&](size_t k) {
    Batched found = vmap_body(p.branches[k], chosen(raw, mine[k]), chosen(mapped, mine[k]), b.size());
    for (size_t i = 0; i < found.outs.size(); ++i) {
      if (!found.mapped[i]) found.outs[i] = with_batch(found.outs[i], b.size());
    }
    return found.outs;
  };
  if (!mapped[0]) {
    std::vector<Function> branches;
    for (size_t k = 0; k < p.branches.size(); ++k) branches.push_back([&, k](const Arrays&) { return batched(k); });
    return switch_case(raw[0], branches, {});
  }
  Arrays result = batched(0);
  for (size_t k = 1; k < p.branches.size(); ++k) {
    Arrays outs = batched(k);
    for (size_t i = 0; i < outs.size(); ++i) {
      Shape shape(outs[i].shape().size(), 1);
      shape[0] = b.size();
      array later = reshape(greater_equal(raw[0], array(static_cast<int32_t>(k), Dtype::int32)), shape);
      result[i] = where(broadcast_to(later, outs[i].shape()), outs[i], result[i]);
    }
  }
  return result;
}

void check_types(const std::vector<Traced>& traced) {
  Types first = traced[0].graph.output_types();
  for (size_t b = 1; b < traced.size(); ++b) {
    Types types = traced[b].graph.output_types();
    if (types.size() != first.size()) {
      throw ValueError(cat("[switch] branch 0 gives ", first.size(), " arrays, branch ", b, " gives ", types.size(), "; need the same."));
    }
    for (size_t k = 0; k < types.size(); ++k) {
      if (types[k] == first[k]) continue;
      throw ValueError(cat("[switch] output ", k, " is ", first[k].dtype, first[k].shape, " in branch 0 and ", types[k].dtype, types[k].shape,
                           " in branch ", b, "; need equal shapes and dtypes."));
    }
  }
}

}  // namespace

const Primitive switch_p = define<SwitchParams>({
    .name = "switch",
    .infer = [](auto& p, const Call&) { return p.branches[0].output_types(); },
    .push = push_switch,
    .pull = pull_switch,
    .vmap = vmap_switch,
    .run = run_switch,
});

Arrays switch_case(const array& index, const std::vector<Function>& branches, const Arrays& operands) {
  if (branches.empty()) throw ValueError("[switch] there are no branches; need at least one.");
  if (index.ndim() != 0 || !(is_integer(index.dtype()) || index.dtype() == Dtype::bool_)) {
    throw ValueError(cat("[switch] the index is ", index.dtype(), index.shape(), "; need an integer of shape ()."));
  }
  Types types;
  for (const array& x : operands) types.push_back(x.type());
  std::vector<Traced> traced;
  for (const Function& f : branches) traced.push_back(trace_body(f, types, "switch", true));
  check_types(traced);
  // Clipped before the cast: a large index must not wrap around.
  array at = astype(clip(index, array(0, index.dtype()), array(static_cast<int64_t>(branches.size()) - 1, index.dtype())), Dtype::int32);
  SmallVector<array, 3> inputs{at};
  for (const array& x : operands) inputs.push_back(x);
  SwitchParams params{{}, {}, static_cast<int>(operands.size())};
  for (Traced& t : traced) {
    for (const array& x : t.captured) inputs.push_back(x);
    params.n_captured.push_back(static_cast<int64_t>(t.captured.size()));
    params.branches.push_back(t.body());
  }
  Types outs = params.branches[0].output_types();
  return make_nodes(switch_p, std::move(params), std::move(inputs), outs);
}

Arrays cond(const array& pred, const Function& then, const Function& otherwise, const Arrays& operands) {
  if (pred.ndim() != 0) throw ValueError(cat("[cond] the predicate has shape ", pred.shape(), "; need one boolean of shape ()."));
  return switch_case(astype(astype(pred, Dtype::bool_), Dtype::int32), {otherwise, then}, operands);
}

}  // namespace mx

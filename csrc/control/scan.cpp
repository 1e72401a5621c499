// scan.cpp — the record of scan and its rules. Each rule writes the transformed loop as another scan, whose body is the
// transformed body. Start at scan(), then run_scan().

#include "control/scan.h"

#include "control/products.h"
#include "control/stack.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "runtime/eval.h"
#include "transforms/pieces.h"

namespace mx {

namespace {

Type stacked(const Type& t, int64_t length) { return {t.dtype, with_axis(t.shape, length)}; }

// Where the parts of a call's inputs and outputs are.
struct Parts {
  Parts(const ScanLoopParams& p, size_t n_outs)
      : n_carry(static_cast<size_t>(p.n_carry)), n_x(static_cast<size_t>(p.n_x)), n_in(n_carry + n_x), n_y(n_outs - n_carry) {}
  explicit Parts(const ScanLoopParams& p) : Parts(p, p.body.graph->outputs.size()) {}
  size_t n_carry, n_x, n_in, n_y;
  size_t history(size_t k) const { return n_carry + n_y + k; }
};

Types types_of(const ScanLoopParams& p) {
  Types outs = p.body.output_types(), types;
  Parts at(p);
  for (size_t k = 0; k < outs.size(); ++k) types.push_back(k < at.n_carry ? outs[k] : stacked(outs[k], p.length));
  for (size_t k = 0; k < at.n_carry; ++k) types.push_back(stacked(outs[k], p.length));
  return types;
}

void check_carry(const Arrays& init, const Types& outs) {
  if (outs.size() < init.size()) {
    throw ValueError(cat("[scan] the function returned ", outs.size(), " arrays for a carry of ", init.size(), "; need the new carry first."));
  }
  for (size_t k = 0; k < init.size(); ++k) {
    if (init[k].type() == outs[k]) continue;
    throw ValueError(cat("[scan] the carry changes its type: array ", k, " enters as ", init[k].dtype(), init[k].shape(), " and leaves as ",
                         outs[k].dtype, outs[k].shape, "; need equal shapes and dtypes. Convert the initial carry, or what the function returns."));
  }
}

Traced trace_scan(const ScanFunction& f, const Arrays& init, Arrays& xs, int64_t length) {
  Types types;
  for (const array& c : init) types.push_back(c.type());
  for (const array& x : xs) types.push_back({x.dtype(), without_axis(x.shape(), 0)});
  Traced step = trace_step(f, types, "scan");
  check_carry(init, step.graph.output_types());
  if (step.draws) {
    xs.push_back(arange(length, Dtype::int32));
  } else {
    drop_number(step);
  }
  return step;
}

// All outputs, histories too.
Arrays scan_traced(Traced& step, const Arrays& init, const Arrays& xs, int64_t length, bool reverse) {
  ScanLoopParams params{step.body(), static_cast<int>(init.size()), static_cast<int>(xs.size()), length, reverse};
  SmallVector<array, 3> inputs(init.begin(), init.end());
  for (const Arrays* more : {&xs, static_cast<const Arrays*>(&step.captured)}) inputs.insert(inputs.end(), more->begin(), more->end());
  Types outs = types_of(params);
  return make_nodes(scan_p, std::move(params), std::move(inputs), outs);
}

Arrays scan_all(const ScanFunction& f, const Arrays& init, Arrays xs, int64_t length, bool reverse) {
  Traced step = trace_scan(f, init, xs, length);
  return scan_traced(step, init, xs, length, reverse);
}

// ---- running

Outs run_scan(const ScanLoopParams& p, const Call& c, const std::vector<bool>& wanted) {
  Parts at(p);
  Types types = types_of(p);
  std::vector<Stack> ys, histories;
  for (size_t k = 0; k < at.n_y; ++k) ys.emplace_back(types[at.n_carry + k], wanted[at.n_carry + k]);
  for (size_t k = 0; k < at.n_carry; ++k) histories.emplace_back(types[at.history(k)], wanted[at.history(k)]);
  std::span<const array> in(c.inputs().data(), c.inputs().size());
  Arrays carry = without_history(in.first(at.n_carry));
  auto program = p.body.prepared(in.subspan(at.n_in));
  Runner runner(*program, at.n_carry);
  for (size_t i = at.n_in; i < in.size(); ++i) runner.set(i, in[i].storage());
  for (int64_t step = 0; step < p.length; ++step) {
    int64_t i = p.reverse ? p.length - 1 - step : step, next = p.reverse ? i - 1 : i + 1;
    for (size_t k = 0; k < at.n_x; ++k) runner.set(at.n_carry + k, row_of(in[at.n_carry + k].storage(), in[at.n_carry + k].shape(), i));
    for (size_t k = 0; k < at.n_carry; ++k) {
      histories[k].put(carry[k], i);
      // Moved: the step may write over it.
      runner.set(k, std::move(carry[k].node()->storage));
      if (step + 1 < p.length) histories[k].expect(runner, k, next);
    }
    for (size_t k = 0; k < at.n_y; ++k) ys[k].expect(runner, at.n_carry + k, i);
    runner.run();
    for (size_t k = 0; k < at.n_y; ++k) ys[k].put(runner.output(at.n_carry + k), i);
    runner.take_outputs(carry);
  }
  Outs result(carry);
  for (const std::vector<Stack>* stacks : {&ys, &histories}) {
    for (const Stack& s : *stacks) result.push_back(s.rows());
  }
  return result;
}

// Appends what `arrays` has where `chosen`.
void append_chosen(Arrays& to, const Arrays& arrays, const std::vector<bool>& chosen, size_t from = 0) {
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (chosen[from + i]) to.push_back(arrays[i]);
  }
}

Arrays part(std::span<const array> arrays, size_t begin, size_t end) { return {arrays.begin() + static_cast<ptrdiff_t>(begin), arrays.begin() + static_cast<ptrdiff_t>(end)}; }

// The carry's tangents feed back into themselves: which are not zero is found by following them around.
Outs push_scan(const ScanLoopParams& p, const Call& c, const Arrays& tangents) {
  Parts at(p);
  Arrays inputs(c.inputs().begin(), c.inputs().end());
  std::vector<bool> moves;
  for (const array& t : tangents) moves.push_back(t.defined());
  std::vector<bool> outs_move = reached_in_loop(p.body, moves, at.n_carry, true);
  // Along with the carry and the xs go their tangents.
  Arrays init = part(inputs, 0, at.n_carry), xs = part(inputs, at.n_carry, at.n_in);
  for (size_t k = 0; k < at.n_carry; ++k) {
    if (moves[k]) init.push_back(tangents[k].defined() ? tangents[k] : zeros_like(inputs[k]));
  }
  append_chosen(xs, part(tangents, at.n_carry, at.n_in), moves, at.n_carry);
  auto step = [&](const Arrays& in) {
    size_t carry_end = init.size();
    Arrays all = part(in, 0, at.n_carry), ts(inputs.size());
    for (size_t k = 0; k < at.n_x; ++k) all.push_back(in[carry_end + k]);
    for (size_t i = at.n_in; i < inputs.size(); ++i) all.push_back(inputs[i]);
    size_t next_carry = at.n_carry, next_x = carry_end + at.n_x;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (moves[i]) ts[i] = i < at.n_carry ? in[next_carry++] : i < at.n_in ? in[next_x++] : tangents[i];
    }
    auto [outs, moved] = push_body(p.body, all, ts);
    Arrays result = part(outs, 0, at.n_carry);
    for (size_t k = 0; k < at.n_carry; ++k) {
      if (moves[k]) result.push_back(moved[k].defined() ? moved[k] : zeros_like(outs[k]));
    }
    for (size_t k = 0; k < at.n_y; ++k) {
      const array& t = moved[at.n_carry + k];
      if (outs_move[at.n_carry + k]) result.push_back(t.defined() ? t : zeros_like(outs[at.n_carry + k]));
    }
    return result;
  };
  Arrays found = scan_all(step, init, xs, p.length, p.reverse);
  size_t n_y = found.size() - 2 * init.size();
  Outs result = Outs::none(at.n_carry * 2 + at.n_y);
  for (size_t k = 0, next = 0; k < at.n_carry; ++k) {
    if (!moves[k]) continue;
    result[k] = found[at.n_carry + next];
    result[at.history(k)] = found[init.size() + n_y + at.n_carry + next];
    ++next;
  }
  for (size_t k = 0, next = init.size(); k < at.n_y; ++k) {
    if (outs_move[at.n_carry + k]) result[at.n_carry + k] = found[next++];
  }
  return result;
}

// The loop backwards: its carry is the cotangent of the carry and, summed up, those of the captured arrays.
Arrays pull_scan(const ScanLoopParams& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
  Parts at(p);
  Arrays inputs(c.inputs().begin(), c.inputs().end());
  std::vector<bool> of_step(inputs.size());  // inputs of the body whose cotangent is computed
  Arrays init, xs;
  std::vector<size_t> carries, sums, sent, ys;
  for (size_t k = 0; k < at.n_carry; ++k) {
    if (!is_inexact(inputs[k].dtype())) continue;
    of_step[k] = true;
    carries.push_back(k);
    init.push_back(cts[k]);
  }
  for (size_t i = at.n_in; i < inputs.size(); ++i) {
    if (!need[i]) continue;
    of_step[i] = true;
    sums.push_back(i);
    init.push_back(zeros_like(inputs[i]));
  }
  for (size_t k = 0; k < at.n_carry; ++k) xs.push_back(c.out(static_cast<int>(at.history(k))));
  for (size_t i = at.n_carry; i < at.n_in; ++i) {
    xs.push_back(inputs[i]);
    if (need[i]) {
      of_step[i] = true;
      sent.push_back(i);
    }
  }
  // Those that come in at each step, mostly none for the carries.
  std::vector<size_t> added;
  for (size_t i = 0; i < carries.size(); ++i) {
    const array& ct = cts[at.history(carries[i])];
    if (is_zeros(ct)) continue;
    added.push_back(i);
    xs.push_back(ct);
  }
  for (size_t k = 0; k < at.n_y; ++k) {
    if (!is_inexact(cts[at.n_carry + k].dtype()) || is_zeros(cts[at.n_carry + k])) continue;
    ys.push_back(at.n_carry + k);
    xs.push_back(cts[at.n_carry + k]);
  }
  auto step = [&](const Arrays& in) {
    size_t next = init.size();
    Arrays all = part(in, next, next + at.n_in), out_cts(at.n_carry + at.n_y);
    for (size_t i = at.n_in; i < inputs.size(); ++i) all.push_back(inputs[i]);
    next += at.n_in;
    for (size_t i = 0; i < carries.size(); ++i) out_cts[carries[i]] = in[i];
    size_t histories = next;
    next += added.size();
    for (size_t k : ys) out_cts[k] = in[next++];
    Arrays found = pull_body(p.body, all, out_cts, of_step), result;
    for (size_t i : carries) result.push_back(found[i]);
    for (size_t k = 0; k < added.size(); ++k) {
      array& ct = result[added[k]];
      ct = ct.defined() ? add(ct, in[histories + k]) : in[histories + k];
    }
    for (size_t i = 0; i < carries.size(); ++i) {
      if (!result[i].defined()) result[i] = zeros_like(in[i]);
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      const array& before = in[carries.size() + i];
      result.push_back(found[sums[i]].defined() ? add(before, found[sums[i]]) : before);
    }
    for (size_t i : sent) result.push_back(found[i].defined() ? found[i] : zeros_like(all[i]));
    return result;
  };
  Traced traced = trace_scan(step, init, xs, p.length);
  std::vector<SummedProduct> products = take_products(traced, init.size(), xs.size(), carries.size());
  for (size_t k = products.size(); k-- > 0;) init.erase(init.begin() + static_cast<ptrdiff_t>(products[k].carry));
  Arrays found = scan_traced(traced, init, xs, p.length, !p.reverse), result(inputs.size());
  size_t next = 0, first_y = init.size();
  for (size_t k : carries) result[k] = found[next++];
  auto product = products.begin();
  for (size_t k = 0; k < sums.size(); ++k) {
    if (product != products.end() && product->carry == carries.size() + k) {
      result[sums[k]] = summed_product(*product, product->from_x ? xs[product->a] : found[first_y + product->a], found[first_y + product->y]);
      ++product;
    } else {
      result[sums[k]] = found[next++];
    }
  }
  for (size_t i : sent) result[i] = found[next++];
  return result;
}

Outs vmap_scan(const ScanLoopParams& p, const Batch& b) {
  Parts at(p);
  auto n_in = static_cast<size_t>(b.n_in());
  std::vector<bool> mapped(n_in);
  Arrays raw;
  for (size_t i = 0; i < n_in; ++i) {
    mapped[i] = b.mapped(static_cast<int>(i));
    raw.push_back(b.raw(static_cast<int>(i)));
    // The steps stay in front, the batch comes second.
    if (mapped[i] && i >= at.n_carry && i < at.n_in) raw[i] = moveaxis(raw[i], 0, 1);
  }
  std::vector<bool> out_mapped = reached_in_loop(p.body, mapped, at.n_carry, false);
  Arrays init, xs;
  for (size_t k = 0; k < at.n_carry; ++k) init.push_back(mapped[k] && !b.mapped(static_cast<int>(k)) ? with_batch(raw[k], b.size()) : raw[k]);
  for (size_t i = at.n_carry; i < at.n_in; ++i) xs.push_back(raw[i]);
  auto step = [&](const Arrays& in) {
    Arrays all(in);
    for (size_t i = at.n_in; i < n_in; ++i) all.push_back(raw[i]);
    Batched found = vmap_body(p.body, all, mapped, b.size());
    for (size_t k = 0; k < at.n_carry; ++k) {
      if (mapped[k] && !found.mapped[k]) found.outs[k] = with_batch(found.outs[k], b.size());
    }
    return found.outs;
  };
  Arrays found = scan_all(step, init, xs, p.length, p.reverse);
  Outs result;
  for (size_t k = 0; k < found.size(); ++k) {
    bool is_y = k >= at.n_carry && k < at.n_carry + at.n_y, is_history = k >= at.n_carry + at.n_y;
    bool has_batch = is_y ? out_mapped[k] : mapped[is_history ? k - at.n_carry - at.n_y : k];
    result.push_back(!has_batch ? with_batch(found[k], b.size()) : is_y || is_history ? moveaxis(found[k], 1, 0) : found[k]);
  }
  return result;
}

}  // namespace

const Primitive scan_p = define<ScanLoopParams>({
    .name = "scan",
    .infer = [](auto& p, const Call&) { return types_of(p); },
    .push = push_scan,
    .pull = pull_scan,
    .vmap = vmap_scan,
    .run = run_scan,
});

Arrays scan(const ScanFunction& f, const Arrays& init, const Arrays& xs, int64_t length, bool reverse) {
  if (length < 0) throw ValueError(cat("[scan] length is ", length, "; need a number of steps."));
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].ndim() == 0 || xs[i].shape(0) != length) {
      throw ValueError(cat("[scan] xs array ", i, " has shape ", xs[i].shape(), "; need ", length, " steps along axis 0."));
    }
  }
  Arrays found = scan_all(f, init, xs, length, reverse);
  found.resize(found.size() - init.size());
  return found;
}

}  // namespace mx

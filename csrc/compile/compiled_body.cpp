// compiled_body.cpp — lowering a traced graph to what is run, keeping plans, and the links between calls that compute the
// same. Start at CompiledBody::run().

#include "compile/compiled_body.h"

#include <algorithm>

#include "compile/compile.h"
#include "compile/rewrite.h"
#include "compile/simplify.h"
#include "graph/marker.h"
#include "ops/cast_params.h"
#include "ops/effects_params.h"
#include "ops/movement.h"
#include "runtime/eval.h"
#include "runtime/nan_check.h"
#include "transforms/custom.h"

namespace mx {

namespace {

constexpr size_t kMostLowered = 8;    // choices of outputs
constexpr size_t kMostPlans = 4;      // layouts of inputs, idle at a time
constexpr size_t kMostVersions = 64;  // transformations

bool has_kernel(const Step& s) {
  auto kind = s.stream.device.kind;
  return has_backend(kind) && backend(kind).has_kernel(*s.primitive);
}

// Writes steps in the operations that there are kernels for.
class Lowering {
 public:
  explicit Lowering(GraphWriter& w) : w_(w) {}

  std::vector<int> add(const Subgraph& g, std::span<const int> leaves, const std::vector<bool>& needed) {
    std::vector<int> value(static_cast<size_t>(g.n_slots), -1);
    std::copy(leaves.begin(), leaves.end(), value.begin());
    for (size_t s = 0; s < g.steps.size(); ++s) {
      if (!needed.empty() && !needed[s]) continue;
      Step step(g.steps[s]);
      for (int& i : step.in) i = value[static_cast<size_t>(i)];
      std::vector<int> place = step.out;
      std::vector<int> out = lower(std::move(step));
      for (size_t k = 0; k < out.size(); ++k) value[static_cast<size_t>(place[k])] = out[k];
    }
    std::vector<int> outputs;
    for (int o : g.outputs) outputs.push_back(value[static_cast<size_t>(o)]);
    return outputs;
  }

 private:
  std::vector<int> lower(Step step) {
    const Primitive& p = *step.primitive;
    if (&p == &compiled_p) {
      const CompiledBody& body = *step.params.get<CompiledParams>().body;
      std::vector<int> leaves = step.in;
      for (const array& a : body.constants()) leaves.push_back(w_.constant(a));
      return add(body.graph(), leaves, {});
    }
    if (&p == &custom_p) return {step.in.begin() + step.params.get<CustomParams>().n_args, step.in.end()};
    // These only say what comes first; the plan passes their values on.
    bool passes = &p == &depends_p || &p == &with_effects_p;
    if (p.expand && !passes && !p.run && !has_kernel(step)) {
      if (std::optional<std::vector<int>> simpler = expanded(step)) return *simpler;
    }
    SmallVector<int, 2> out = w_.add(std::move(step));
    return {out.begin(), out.end()};
  }

  std::optional<std::vector<int>> expanded(const Step& step) {
    Extract piece;
    try {
      LiveTrace trace;
      InlineCompiled inlined;
      StreamScope stream(step.stream);
      OriginScope origin(step.origin);
      Arrays sources;
      for (int i : step.in) sources.push_back(array::placeholder(w_.type(i), "compile"));
      CallRecord call(*step.primitive, step.params, {sources.begin(), sources.end()}, static_cast<uint32_t>(step.out.size()), 0);
      Outs outs = step.primitive->expand(step.params, Call(call));
      piece = extract({outs.begin(), outs.end()}, sources, trace.since());
    } catch (const TransformError&) {
      return std::nullopt;  // it looks at values: left to the scheduler
    }
    eval(piece.captured);
    std::vector<int> leaves = step.in;
    for (const array& a : piece.captured) leaves.push_back(w_.constant(a));
    return add(piece.graph, leaves, {});
  }

  GraphWriter& w_;
};

// Steps that some wanted output needs.
std::vector<bool> needed_steps(const Subgraph& g, const std::vector<bool>& wanted) {
  std::vector<bool> used(static_cast<size_t>(g.n_slots)), needed(g.steps.size());
  for (size_t k = 0; k < g.outputs.size(); ++k) {
    if (wanted.empty() || wanted[k]) used[static_cast<size_t>(g.outputs[k])] = true;
  }
  for (size_t s = g.steps.size(); s-- > 0;) {
    const Step& step = g.steps[s];
    needed[s] = std::any_of(step.out.begin(), step.out.end(), [&](int o) { return used[static_cast<size_t>(o)]; });
    if (!needed[s]) continue;
    for (int i : step.in) used[static_cast<size_t>(i)] = true;
  }
  return needed;
}

// `captured` are evaluated. The outputs are the wanted ones.
void lower(const Subgraph& g, const Arrays& constants, const std::vector<bool>& wanted, Lowered& to) {
  GraphWriter w(true);
  std::vector<int> leaves;
  for (const Type& t : g.input_types) leaves.push_back(w.input(t));
  for (const array& a : constants) leaves.push_back(w.constant(a));
  std::vector<int> all = Lowering(w).add(g, leaves, needed_steps(g, wanted)), outputs;
  for (size_t k = 0; k < all.size(); ++k) {
    if (wanted.empty() || wanted[k]) outputs.push_back(all[k]);
  }
  to.graph = w.finish(outputs, to.captured);
  join_products_and_sums(to.graph);
  fuse_elementwise(to.graph, to.captured);
  to.wanted = wanted;
}

}  // namespace

bool is_live(const array& a) {
  const Node& node = *a.node();
  return node.placeholder || (node.call && must_retain(node));
}

// ---- links

void CompiledLink::set(uint64_t serial, Arrays outs) {
  Arrays before;  // released after the lock
  std::lock_guard guard(lock_);
  serial_ = serial;
  before = std::exchange(outs_, std::move(outs));
}

array CompiledLink::target(uint64_t serial) {
  std::lock_guard guard(lock_);
  return serial_ == serial && !outs_.empty() && outs_[0].node()->call ? outs_[0] : array();
}

Arrays CompiledLink::enter(uint64_t serial, size_t n_out) {
  std::lock_guard guard(lock_);
  if (serial_ != serial || outs_.empty() || asking_) return {};
  CallRecord* record = outs_[0].node()->call;
  bool more = !record;
  for (size_t k = n_out; record && k < record->n_out && !more; ++k) more = record->peek_output(static_cast<uint32_t>(k)) != nullptr;
  if (!more) return {};
  asking_ = true;
  return outs_;
}

void CompiledLink::leave(bool done) {
  Arrays before;
  std::lock_guard guard(lock_);
  asking_ = false;
  if (done) before = std::exchange(outs_, {});
}

bool CompiledLink::empty() {
  std::lock_guard guard(lock_);
  return outs_.empty();
}

bool is_linked(const CallRecord& call) {
  if (call.primitive != &compiled_p) return false;
  CompiledLink* link = call.params.get<CompiledParams>().link.get();
  return link && !link->empty();
}

void CompiledLink::clear() {
  Arrays before;
  Made made;
  std::lock_guard guard(lock_);
  before.swap(outs_);
  std::swap(made, made_);
}

namespace {
bool same_nodes(std::span<const array> a, std::span<const array> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const array& x, const array& y) { return x.node() == y.node(); });
}
}  // namespace

bool CompiledLink::find(char rule, std::span<const array> keys, const std::vector<bool>& mapped, int64_t size, Outs& outs) {
  std::lock_guard guard(lock_);
  if (made_.rule != rule || made_.size != size || made_.mapped != mapped || !same_nodes(made_.keys, keys)) return false;
  outs = Outs(made_.outs);
  return true;
}

void CompiledLink::remember(Made made) {
  std::lock_guard guard(lock_);
  std::swap(made_, made);
}

// ---- what is run

std::unique_ptr<CallPlan> Lowered::take(std::span<const array> inputs) {
  {
    std::lock_guard guard(lock_);
    for (size_t k = idle_.size(); k-- > 0;) {
      if (!idle_[k]->fits(inputs)) continue;
      std::unique_ptr<CallPlan> plan = std::move(idle_[k]);
      idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(k));
      return plan;
    }
  }
  auto plan = std::make_unique<CallPlan>(graph, captured, inputs);
  return plan->fits(inputs) ? std::move(plan) : nullptr;
}

void Lowered::give_back(std::unique_ptr<CallPlan> plan) {
  std::lock_guard guard(lock_);
  temporary_bytes = plan->temporary_bytes();
  if (idle_.size() == kMostPlans) idle_.erase(idle_.begin());
  idle_.push_back(std::move(plan));
}

CompiledBody::CompiledBody(Subgraph graph, Arrays constants, size_t n_effects)
    : graph_(std::move(graph)), constants_(std::move(constants)), n_effects_(n_effects), output_types_(graph_.output_types()) {
  eval(constants_);
  simple_ = graph_.steps.size() <= 1;
  for (const Step& s : graph_.steps) simple_ = simple_ && (s.primitive->view || has_kernel(s));
}

Lowered& CompiledBody::lowered(const std::vector<bool>& wanted) const {
  bool all = std::find(wanted.begin(), wanted.end(), false) == wanted.end();
  if (all) {
    if (Lowered* known = all_.load(std::memory_order_acquire)) return *known;
  } else {
    std::lock_guard guard(lock_);
    for (const auto& known : lowered_) {
      if (known->wanted == wanted) return *known;
    }
    if (lowered_.size() >= kMostLowered) all = true;
  }
  // Not under the lock: constants are folded by evaluation.
  auto made = std::make_unique<Lowered>();
  mx::lower(graph_, constants_, all ? std::vector<bool>() : wanted, *made);
  std::lock_guard guard(lock_);
  for (const auto& known : lowered_) {
    if (known->wanted == made->wanted) return *known;
  }
  lowered_.push_back(std::move(made));
  if (all) all_.store(lowered_.back().get(), std::memory_order_release);
  return *lowered_.back();
}

Arrays CompiledBody::replayed_programs(std::span<const array> inputs) const {
  const Lowered& l = lowered();
  return replay(l.graph, inputs, l.captured);
}

void CompiledBody::run(std::span<const array> inputs, const std::vector<bool>& wanted, bool may_take, std::span<Storage> outs, bool& took) const {
  took = false;
  if (checking_nans()) {
    // The function's own operations, which are looked at one by one.
    Arrays found = replayed(inputs), needed;
    for (size_t k = 0; k < outs.size(); ++k) {
      if (wanted[k]) needed.push_back(found[k]);
    }
    eval(needed);
    for (size_t k = 0; k < outs.size(); ++k) {
      if (wanted[k]) outs[k] = found[k].storage();
    }
    return;
  }
  Lowered& l = lowered(wanted);
  bool all = l.wanted.empty();
  std::unique_ptr<CallPlan> plan = l.take(inputs);
  if (!plan) {
    Arrays found = replay(l.graph, inputs, l.captured);
    eval(found);
    for (size_t k = 0, next = 0; k < outs.size(); ++k) {
      if (all || l.wanted[k]) outs[k] = found[next++].storage();
    }
    return;
  }
  try {
    if (all) {
      plan->run(inputs, may_take, outs);
    } else {
      std::vector<Storage> some(l.graph.outputs.size());
      plan->run(inputs, may_take, some);
      for (size_t k = 0, next = 0; k < outs.size(); ++k) {
        if (l.wanted[k]) outs[k] = std::move(some[next++]);
      }
    }
  } catch (...) {
    took = plan->took();
    l.give_back(std::move(plan));
    throw;
  }
  l.give_back(std::move(plan));
}

Arrays CompiledBody::inlined(std::span<const array> inputs) const {
  Arrays constants;
  for (const array& a : constants_) {
    bool repeated = a.ndim() > 0 && repeated_number(a);
    constants.push_back(repeated ? broadcast_to(array::wrap(a.storage().buffer, {a.dtype(), {}}, a.storage().offset), a.shape()) : a);
  }
  return replay(graph_, inputs, constants);
}

std::shared_ptr<const CompiledVersion> CompiledBody::version(const std::string& key, const std::function<CompiledVersion()>& make) const {
  {
    std::lock_guard guard(lock_);
    for (size_t k = 0; k < versions_.size(); ++k) {
      if (versions_[k].first != key) continue;
      std::rotate(versions_.begin(), versions_.begin() + static_cast<ptrdiff_t>(k), versions_.begin() + static_cast<ptrdiff_t>(k) + 1);
      return versions_[0].second;
    }
  }
  auto made = std::make_shared<const CompiledVersion>(make());
  if (!made->extras.empty()) return made;
  std::pair<std::string, std::shared_ptr<const CompiledVersion>> gone;  // released after the lock
  std::lock_guard guard(lock_);
  if (versions_.size() == kMostVersions) {
    gone = std::move(versions_.back());
    versions_.pop_back();
  }
  versions_.insert(versions_.begin(), {key, made});
  return made;
}

// ---- calls

Compiled::Compiled(Subgraph graph, Arrays constants, size_t n_effects)
    : body_(std::make_shared<const CompiledBody>(std::move(graph), std::move(constants), n_effects)), params_(CompiledParams{body_}) {}

Arrays Compiled::operator()(SmallVector<array, 3> inputs) const {
  InlineCompiled::Form form = InlineCompiled::active();
  if (form == InlineCompiled::programs) return body_->replayed_programs(inputs);
  if (form == InlineCompiled::operations) return body_->inlined(inputs);
  if (body_->simple()) return body_->replayed(inputs);
  // Inside a transformation calls can be linked to others that compute the same.
  bool watched = std::any_of(inputs.begin(), inputs.end(), [](const array& x) { return must_retain(*x.node()); });
  Params params = watched ? Params(CompiledParams{body_, std::make_shared<CompiledLink>()}) : params_;
  return make_nodes(compiled_p, std::move(params), std::move(inputs), body_->output_types());
}

}  // namespace mx

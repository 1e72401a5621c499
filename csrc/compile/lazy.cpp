// lazy.cpp — plans for pending graphs.
//
// What is pending is written down as words: primitives, parameters, types, who reads what, and which values somebody outside
// holds (pending.h). Graphs with equal words and parameters run the same plan: steps, with groups of them fused, made when a
// structure is seen for the second time, or at once where much is to be computed. A value within a group never exists. A plan runs
// on the nodes themselves: after every step its outputs have their values and its calls are gone, as if each had
// run by itself. Start at run_as_plan(). The scheduler's lock is held throughout.

#include "compile/lazy.h"

#include <pthread.h>

#include <list>
#include <unordered_map>

#include "compile/compile.h"
#include "compile/compiled_body.h"
#include "compile/pending.h"
#include "graph/marker.h"
#include "ops/composite_params.h"
#include "runtime/backend.h"

namespace mx {

namespace {

constexpr size_t kMostCalls = 1 << 14;   ///< Of one plan; a longer graph is not worth another copy of itself.
constexpr size_t kMostSteps = 1 << 17;   ///< Of all plans together.
constexpr int64_t kLargeWork = 1 << 18;  ///< Elements: at once a plan, since running costs more than planning.

/// One step of a plan: a call as it was made, or what several were fused into.
struct Op {
  int call = -1;                       ///< Runs this call by itself.
  Step step;                           ///< Else this.
  SmallVector<int, 4> members;         ///< Calls that are done with this step.
  SmallVector<size_t, 2> candidates;   ///< Inputs that end here and fit an output.
};

struct Plan {
  std::vector<uint64_t> words;
  std::vector<Params> params;
  std::vector<Op> ops;
  int n_slots = 0;

  bool serves(const Pending& p) const {
    if (words != p.words()) return false;
    for (size_t i = 0; i < params.size(); ++i) {
      if (!p.calls()[i]->primitive->run && !(params[i] == p.calls()[i]->params)) return false;
    }
    return true;
  }
};

/// For every call, the step after which it is done: the one that makes its outputs or, if they are within a group, the last one that
/// has a reader of them. `before` is the graph of the calls, one step each; `after` the fused one.
std::vector<int> last_steps(const Pending& p, const Subgraph& before, const Subgraph& after) {
  std::vector<int> found(before.steps.size(), -1);
  for (size_t s = 0; s < after.steps.size(); ++s) {
    for (int o : after.steps[s].out) {
      if (o < before.n_slots) found[static_cast<size_t>(p.maker(static_cast<size_t>(o)))] = static_cast<int>(s);
    }
  }
  std::vector<bool> made;
  for (int s : found) made.push_back(s >= 0);
  for (size_t c = before.steps.size(); c-- > 0;) {
    for (int in : before.steps[c].in) {
      int maker = p.maker(static_cast<size_t>(in));
      if (maker < 0 || made[static_cast<size_t>(maker)]) continue;
      int& last = found[static_cast<size_t>(maker)];
      last = std::max(last, found[c]);
    }
  }
  return found;
}

std::shared_ptr<const Plan> make_plan(const Pending& p) {
  auto plan = std::make_shared<Plan>();
  plan->words = p.words();
  // Calls that run by themselves bring their parameters along: theirs may hold much, such as a compiled function.
  for (const CallRef& c : p.calls()) plan->params.push_back(c->primitive->run ? Params() : c->params);
  const Subgraph calls = p.graph();
  Subgraph graph = calls;
  fuse_elementwise(graph, {});
  plan->n_slots = graph.n_slots;
  auto n_slots = static_cast<size_t>(graph.n_slots);
  std::vector<size_t> last(n_slots);
  std::vector<const Type*> types(n_slots);
  for (size_t i = 0; i < graph.input_types.size(); ++i) types[i] = &graph.input_types[i];
  for (size_t s = 0; s < graph.steps.size(); ++s) {
    const Step& step = graph.steps[s];
    for (int in : step.in) last[static_cast<size_t>(in)] = s;
    for (size_t k = 0; k < step.out.size(); ++k) types[static_cast<size_t>(step.out[k])] = &step.types[k];
  }
  for (int o : graph.outputs) last[static_cast<size_t>(o)] = graph.steps.size();
  std::vector<int> done = last_steps(p, calls, graph);
  for (size_t s = 0; s < graph.steps.size(); ++s) {
    const Step& step = graph.steps[s];
    Op op;
    int maker = step.out[0] < calls.n_slots ? p.maker(static_cast<size_t>(step.out[0])) : -1;
    if (maker >= 0) {
      const Step& call = calls.steps[static_cast<size_t>(maker)];
      if (call.primitive == step.primitive && call.in == step.in) op.call = maker;
    }
    for (size_t i = 0; i < step.in.size() && step.out.size() == 1 && step.primitive->kind == Kind::elementwise; ++i) {
      auto slot = static_cast<size_t>(step.in[i]);
      const Type &from = *types[slot], &to = step.types[0];
      if (last[slot] == s && from.shape == to.shape && size_of(from.dtype) == size_of(to.dtype)) op.candidates.push_back(i);
    }
    if (op.call < 0) op.step = step;
    plan->ops.push_back(std::move(op));
  }
  for (size_t c = 0; c < done.size(); ++c) {
    if (done[c] >= 0) plan->ops[static_cast<size_t>(done[c])].members.push_back(static_cast<int>(c));
  }
  return plan;
}

bool sums(const Primitive& p) {
  for (const Primitive* q : {&sum_p, &prod_p, &softmax_p, &logsumexp_p}) {
    if (&p == q) return true;
  }
  return false;
}

/// One run of a plan.
class Run {
 public:
  Run(const Plan& plan, Pending& pending) : plan_(plan), pending_(pending) {
    made_.resize(static_cast<size_t>(plan.n_slots) - pending.n_slots());
  }

  void run() {
    for (const Op& op : plan_.ops) {
      if (op.call >= 0) {
        run_call(*pending_.calls()[static_cast<size_t>(op.call)]);
      } else {
        run(op);
      }
      for (int m : op.members) pending_.calls()[static_cast<size_t>(m)] = CallRef();
    }
  }

 private:
  void run(const Op& op) {
    SmallVector<array, 8> in;
    SmallVector<array, 2> out;
    for (int slot : op.step.in) in.push_back(value(static_cast<size_t>(slot)));
    for (size_t k = 0; k < op.step.out.size(); ++k) {
      auto slot = static_cast<size_t>(op.step.out[k]);
      if (slot >= pending_.n_slots()) made_[slot - pending_.n_slots()] = array::wrap(nullptr, op.step.types[k]);
      out.push_back(value(slot));
    }
    const Primitive& p = *op.step.primitive;
    if (p.view && publish_view(p, op.step.params, in[0], *out[0].node())) return finish(out);
    Backend& device = backend(op.step.stream.device.kind);
    for (array& a : out) {
      Node& node = *a.node();
      node.storage = {nullptr, 0, row_strides(node.shape), true};
    }
    for (size_t i : op.candidates) {
      auto slot = static_cast<size_t>(op.step.in[i]);
      const Storage& s = in[i].storage();
      // Nobody reads it after this step. (An output of the plan is never a candidate.)
      if (may_take_over(s) && (slot >= pending_.n_slots() || pending_.ends(slot))) {
        out[0].node()->storage.buffer = s.buffer;
        break;
      }
    }
    for (array& a : out) {
      if (!a.node()->storage.buffer) a.node()->storage.buffer = device.allocator().allocate(a.n_bytes());
    }
    try {
      device.run({p, op.step.params, {in.data(), in.size()}, {out.data(), out.size()}}, op.step.stream);
    } catch (...) {
      for (array& a : out) a.node()->storage.buffer.reset();
      throw;
    }
    finish(out);
  }

  void finish(SmallVector<array, 2>& out) {
    for (array& a : out) a.node()->available.store(true, std::memory_order_release);
    for (array& a : out) {
      if (!must_retain(*a.node())) detach(*a.node());
    }
  }

  array value(size_t slot) {
    if (slot >= pending_.n_slots()) return made_[slot - pending_.n_slots()];
    Node* node = pending_.node(slot);
    node->refs.fetch_add(1, std::memory_order_relaxed);
    return array::adopt(node);
  }

  const Plan& plan_;
  Pending& pending_;
  Arrays made_;  ///< Values that no call makes, such as views between fused steps.
};

/// The plans, least recently used last, and a memory of structures seen once.
class Plans {
 public:
  std::shared_ptr<const Plan> find(const Pending& p) {
    auto found = by_hash_.find(p.hash());
    if (found == by_hash_.end() || !found->second->plan->serves(p)) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    ++hits_;
    return found->second->plan;
  }

  /// Whether it is worth a plan now.
  bool worth(const Pending& p) {
    if (p.work() >= kLargeWork) return true;
    // Fused sums are rounded in another order. The first evaluation must not differ from later ones.
    for (const CallRef& c : p.calls()) {
      if (sums(*c->primitive)) return true;
    }
    size_t& seen = seen_[p.hash() % kSeen];
    bool again = seen == p.hash();
    seen = p.hash();
    return again;
  }

  std::shared_ptr<const Plan> make(const Pending& p) {
    std::shared_ptr<const Plan> plan = make_plan(p);
    if (auto old = by_hash_.find(p.hash()); old != by_hash_.end()) drop(old->second);
    order_.push_front({p.hash(), plan});
    by_hash_[p.hash()] = order_.begin();
    n_steps_ += plan->params.size();
    while (n_steps_ > kMostSteps && order_.size() > 1) drop(std::prev(order_.end()));
    return plan;
  }

  LazyPlanStats stats() const { return {order_.size(), hits_}; }
  void clear() {
    while (!order_.empty()) drop(order_.begin());
  }

 private:
  struct Entry {
    size_t hash;
    std::shared_ptr<const Plan> plan;
  };
  void drop(std::list<Entry>::iterator at) {
    n_steps_ -= at->plan->params.size();
    by_hash_.erase(at->hash);
    order_.erase(at);
  }

  static constexpr size_t kSeen = 1024;
  size_t seen_[kSeen] = {};
  std::list<Entry> order_;
  std::unordered_map<size_t, std::list<Entry>::iterator> by_hash_;
  size_t n_steps_ = 0, hits_ = 0;
};

// Never destroyed: a last evaluation may happen while static objects end. A forked child cannot know what the parent's threads
// were changing, and starts afresh.
Plans* all_plans = nullptr;

Plans& plans() {
  [[maybe_unused]] static const int fork_handler = pthread_atfork(nullptr, nullptr, [] { all_plans = nullptr; });
  if (!all_plans) all_plans = new Plans;
  return *all_plans;
}

}  // namespace

bool run_as_plan(std::span<CallRef> calls) {
  if (calls.size() > kMostCalls) return false;
  for (const CallRef& c : calls) {
    if (is_linked(*c)) return false;
  }
  Pending pending(calls);
  if (!pending.plain()) return false;
  std::shared_ptr<const Plan> plan = plans().find(pending);
  if (!plan) {
    if (!plans().worth(pending)) return false;
    plan = plans().make(pending);
  }
  Run(*plan, pending).run();
  return true;
}

LazyPlanStats lazy_plan_stats() { return all_plans ? all_plans->stats() : LazyPlanStats(); }
void clear_lazy_plans() {
  if (all_plans) all_plans->clear();
}

}  // namespace mx

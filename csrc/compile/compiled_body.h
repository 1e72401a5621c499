// compiled_body.h — what one call of a compiled function holds: a graph for transformations, programs and plans to run it, and
// what transformations have been made of it. The record of the call is compiled_p; its rules are in compiled_rules.cpp.
#pragma once

#include <exception>
#include <functional>
#include <mutex>

#include "compile/plan.h"
#include "graph/subgraph.h"

namespace mx {

class CompiledBody;
struct CompiledVersion;

/// For one call: another call, made by a transformation, whose first outputs are this one's. If that one runs anyway, this
/// one takes its outputs from there: so a forward pass that keeps residuals is the only one.
class CompiledLink {
 public:
  /// `serial` is the call's own: parameters may be copied to other calls.
  void set(uint64_t serial, Arrays outs);
  /// The other call's record, if it is pending.
  array target(uint64_t serial);
  /// Its outputs, if further ones of it are wanted; then it is being asked until done().
  Arrays enter(uint64_t serial, size_t n_out);
  void leave(bool done);
  bool empty();
  /// Lets go of everything: the call has been computed.
  void clear();

  /// What a transformation made of the call: the transformation of a call that is linked here asks for the same.
  struct Made {
    char rule = 0;
    Arrays keys;
    std::vector<bool> mapped;
    int64_t size = 0;
    Arrays outs;
  };
  bool find(char rule, std::span<const array> keys, const std::vector<bool>& mapped, int64_t size, Outs& outs);
  void remember(Made made);

 private:
  std::mutex lock_;
  uint64_t serial_ = 0;
  Arrays outs_;
  bool asking_ = false;
  Made made_;
};

struct CompiledParams {
  std::shared_ptr<const CompiledBody> body;
  std::shared_ptr<CompiledLink> link = {};
  /// Set when a run failed after inputs had been overwritten: it cannot be repeated.
  std::exception_ptr failure = {};
  auto fields() const { return std::tie(body); }
};

/// A call of a compiled function: the body's inputs.
extern const Primitive compiled_p;

/// True of a call that may take its outputs from another one. Its run computes that one and what it needs, which may be
/// calls that are pending beside it.
bool is_linked(const CallRecord& call);

/// A graph ready to run: rewritten, fused, pruned to some outputs.
struct Lowered {
  Subgraph graph;
  Arrays captured;
  std::vector<bool> wanted;

  /// A plan for these inputs that nobody is running; give it back.
  std::unique_ptr<CallPlan> take(std::span<const array> inputs);
  void give_back(std::unique_ptr<CallPlan> plan);
  /// Of the plan run last; 0 before.
  size_t temporary_bytes = 0;

 private:
  std::mutex lock_;
  std::vector<std::unique_ptr<CallPlan>> idle_;
};

class CompiledBody {
 public:
  /// `graph` has no markers; `constants` are its captured arrays, evaluated. The last `n_effects` outputs are effects.
  CompiledBody(Subgraph graph, Arrays constants, size_t n_effects = 0);

  /// The outputs as operations; with elementwise groups fused.
  Arrays replayed(std::span<const array> inputs) const { return replay(graph_, inputs, constants_); }
  Arrays replayed_programs(std::span<const array> inputs) const;
  /// As part of another trace: repeated numbers are broadcasts, which a shapeless export follows.
  Arrays inlined(std::span<const array> inputs) const;

  /// Computes the wanted outputs; `outs` has one place for each output. `took` tells whether inputs were overwritten.
  void run(std::span<const array> inputs, const std::vector<bool>& wanted, bool may_take, std::span<Storage> outs, bool& took) const;

  /// Not more than one operation, which has a kernel: a node of its own does as well.
  bool simple() const { return simple_; }
  const Subgraph& graph() const { return graph_; }
  const Arrays& constants() const { return constants_; }
  const Types& output_types() const { return output_types_; }
  size_t n_effects() const { return n_effects_; }
  size_t n_values() const { return output_types_.size() - n_effects_; }  ///< Outputs that are no effects.
  /// Ready to run, for all outputs.
  Lowered& lowered() const { return lowered({}); }

  /// What `make` made for this key before, or makes now.
  std::shared_ptr<const CompiledVersion> version(const std::string& key, const std::function<CompiledVersion()>& make) const;

 private:
  Lowered& lowered(const std::vector<bool>& wanted) const;

  Subgraph graph_;
  Arrays constants_;
  size_t n_effects_;
  Types output_types_;
  bool simple_ = false;
  mutable std::mutex lock_;
  mutable std::vector<std::unique_ptr<Lowered>> lowered_;
  mutable std::atomic<Lowered*> all_{nullptr};
  mutable std::vector<std::pair<std::string, std::shared_ptr<const CompiledVersion>>> versions_;  ///< Most recently used first.
};

/// A body that can be called.
class Compiled {
 public:
  Compiled() = default;
  Compiled(Subgraph graph, Arrays constants, size_t n_effects = 0);
  const CompiledBody* operator->() const { return body_.get(); }
  const CompiledBody& operator*() const { return *body_; }
  explicit operator bool() const { return body_ != nullptr; }
  /// The outputs as nodes: one call, or operations where that is asked for or as cheap.
  Arrays operator()(SmallVector<array, 3> inputs) const;

 private:
  std::shared_ptr<const CompiledBody> body_;
  Params params_;  ///< Of calls that no transformation watches.
};

/// A transformation of a body, for one choice of inputs. What the parts mean: see compiled_rules.cpp.
struct CompiledVersion {
  Compiled first, second;
  std::vector<int> place;  ///< For each output (or input, in reverse mode): which of the made outputs; -1: zero.
  std::vector<std::pair<char, int>> feed;  ///< Inputs of `second`: 'x' input, 'r' output of `first`, 'c' cotangent.
  Arrays extras;           ///< Further inputs; then the version is not kept.
};


/// Whether a running transformation still needs the history of a captured array, so that it cannot be a constant.
bool is_live(const array& a);

}  // namespace mx

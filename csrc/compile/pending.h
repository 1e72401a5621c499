// pending.h — pending calls as data, with what tells their structure from others: for plans of plain evaluation (lazy.cpp).
#pragma once

#include <span>

#include "base/pointer_map.h"
#include "graph/subgraph.h"
#include "runtime/lazy.h"

namespace mx {

class Pending {
 public:
  /// Oldest first, each needed by another or by who asked for values.
  explicit Pending(std::span<CallRef> calls);

  /// False if a call has an output with a value already: its siblings were not asked for then.
  bool plain() const { return plain_; }
  size_t hash() const { return hash_; }
  /// Everything about the calls but their parameters. The numbers of the leaves' values are not part of it.
  const std::vector<uint64_t>& words() const { return words_; }
  std::span<CallRef> calls() const { return calls_; }
  /// Elements that the calls compute.
  int64_t work() const { return work_; }

  /// Inputs: what has a value. Outputs: what anybody but the calls may ask for.
  Subgraph graph() const;

  // ---- slots of the graph: leaves, then every output of every call
  size_t n_slots() const { return leaves_.size() + made_.size(); }
  /// The call that makes a slot, or -1.
  int maker(size_t slot) const { return slot < leaves_.size() ? -1 : made_[slot - leaves_.size()].call; }
  /// Its node; null for an output that nobody has.
  Node* node(size_t slot) const {
    int value = slot < leaves_.size() ? leaves_[slot] : made_[slot - leaves_.size()].value;
    return value < 0 ? nullptr : values_[static_cast<size_t>(value)].node;
  }
  /// Whether nobody asks for it when the calls are done.
  bool ends(size_t slot) const {
    int value = slot < leaves_.size() ? leaves_[slot] : made_[slot - leaves_.size()].value;
    return value >= 0 && !values_[static_cast<size_t>(value)].escapes;
  }

 private:
  struct Value {
    Node* node;
    uint32_t holders;      ///< References that pending calls, and this, hold.
    bool leaf;
    int slot;              ///< Among the leaves, or among what is made.
    bool escapes = false;  ///< Anybody else may ask for it.
  };
  struct Made {
    int value;  ///< -1: an output that nobody has.
    int call;
  };

  void add(int index, CallRecord& c);
  void add_type(const Node& node);

  std::span<CallRef> calls_;
  PointerMap<int> index_;   ///< Node -> value.
  std::vector<Value> values_;
  std::vector<int> leaves_;
  std::vector<Made> made_;  ///< Every output of every call.
  std::vector<int> read_;   ///< The values that the calls read, one after the other.
  std::vector<uint64_t> words_;
  Arrays held_;             ///< Outputs of calls with several, so that they live as long as this.
  size_t hash_ = 0;
  int64_t work_ = 0;
  bool plain_ = true;
};

}  // namespace mx

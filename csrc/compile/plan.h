// plan.h — a graph made ready to run on inputs of one layout, again and again: a flat list of kernel calls. Views are
// resolved, values that nobody else sees have a place in one block of memory by the time they live, outputs that may take over an
// input's memory are known. A run makes no nodes and asks the allocator once for the block and once for each output.
// Runs where the scheduler runs: within an evaluation.
#pragma once

#include <deque>

#include "graph/subgraph.h"
#include "runtime/backend.h"

namespace mx {

class CallPlan {
 public:
  /// `graph` and `captured` (evaluated) must outlive this. The inputs' layouts are those of `like`.
  CallPlan(const Subgraph& graph, const Arrays& captured, std::span<const array> like);
  ~CallPlan();
  CallPlan(const CallPlan&) = delete;
  CallPlan& operator=(const CallPlan&) = delete;

  /// Whether these inputs have the layouts that the plan is made for.
  bool fits(std::span<const array> inputs) const;
  /// Computes the outputs. With `may_take`, the memory of inputs that nobody but `inputs` holds may become an output's.
  /// Throws what kernels throw; if `took()` is true then, inputs have been overwritten.
  void run(std::span<const array> inputs, bool may_take, std::span<Storage> outputs);
  bool took() const { return took_; }

  /// Of the block for values that nobody else sees.
  size_t temporary_bytes() const { return block_bytes_; }
  /// Kernel calls (views are none).
  size_t n_calls() const { return ops_.size(); }

 private:
  // A piece of memory; slots see parts of it.
  struct Root {
    enum Kind : uint8_t { input, captured, temporary, own } kind;
    size_t index = 0;      ///< Of the input or captured array.
    size_t n_bytes = 0;
    size_t born = 0, last = 0;  ///< Steps that write it first and read it last.
    bool seen = false;     ///< By who holds an output, or by what keeps its inputs.
    bool foreign = false;  ///< Made by the scheduler: perhaps shared with others.
    int joined = -1;       ///< The root whose memory it has taken over.
    size_t offset = 0;     ///< Of a temporary, in the block.
    Buffer buffer;         ///< What the slots refer to; its address is set in every run.
    BufferRef held;        ///< Own: during a run.
    Backend* device = nullptr;
    SmallVector<size_t, 2> donors;  ///< Inputs whose memory it may take.

    void refer_to_held() {
      buffer.data = held->data;
      buffer.part_of = &held->block();
    }
  };
  struct Op {
    const Step* step;
    Backend* device;  ///< Null: no kernel; runs by way of the scheduler.
    SmallVector<array, 3> in;
    SmallVector<array, 1> out;
    SmallVector<size_t, 2> fresh;   ///< Own roots that begin here.
    SmallVector<size_t, 2> ending;  ///< Own roots that end here.
  };
  size_t find(size_t root) const;
  array see(size_t root, const Type& type, int64_t offset, const Strides& strides);
  size_t new_root(Root::Kind kind, size_t index, size_t n_bytes);
  bool shares_input(Op& op, size_t s);
  void place_temporaries();
  BufferRef memory_of(Root& root, std::span<const array> inputs, bool may_take);
  void general(Op& op, std::span<const array> inputs);
  Storage storage_of(size_t slot, std::span<const array> inputs) const;
  void release();

  const Subgraph& graph_;
  const Arrays& captured_;
  std::vector<size_t> layout_;      ///< Inputs that something reads.
  std::vector<Strides> strides_;    ///< Theirs; empty: row-contiguous.
  bool aligned_ = false;            ///< Some view needs inputs that begin at a whole element of 8 bytes.
  std::deque<Root> roots_;
  std::vector<size_t> root_of_;     ///< Of each slot.
  std::vector<array> values_;       ///< Of each slot: a leaf that sees its root.
  std::vector<Op> ops_;
  Buffer block_;                    ///< Where temporaries are, during a run.
  size_t block_bytes_ = 0;
  Backend* device_ = nullptr;
  bool took_ = false;
};

}  // namespace mx

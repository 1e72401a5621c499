// runner.h — a graph that is run again and again on values, such as a loop's body: prepared once, then each run only
// calls kernels. No nodes are made, and the memory of one step serves the next. Runs where the scheduler runs: within an
// evaluation.
#pragma once

#include "graph/subgraph.h"
#include "runtime/backend.h"

namespace mx {

class Runner {
 public:
  /// `graph` must outlive this. The first `n_given` inputs are given for one run each: their memory may be overwritten
  /// if nobody else holds it. The others, and the captured arrays, stay.
  Runner(const Subgraph& graph, size_t n_given);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// The value of input i; captured arrays follow the inputs.
  void set(size_t i, Storage value);
  /// Has the next run compute output k into this memory, if a kernel makes it; else it is elsewhere.
  void place(size_t k, const Storage& where);
  /// Throws what kernels throw.
  void run();
  /// The value of output k, until the next run.
  const array& output(size_t k) const { return values_[static_cast<size_t>(graph_.outputs[k])]; }
  /// Lets go of the outputs; what they held is given back.
  std::vector<Storage> take_outputs();

 private:
  struct Op;
  void run(Op& op);
  bool view(Op& op);
  void kernel(Op& op);
  void general(Op& op);
  BufferRef memory_for(const array& out);
  void drop(size_t slot);

  const Subgraph& graph_;
  size_t n_given_, n_leaves_;
  Arrays values_;                    ///< Of all slots. The nodes stay, their storage changes.
  std::vector<Op> ops_;
  std::vector<int> uses_;            ///< Of each input: how many steps read it, outputs included.
  std::vector<Storage> placed_;      ///< For slots that are outputs; without a buffer: not placed.
  std::vector<BufferRef> free_;      ///< Memory of values that are gone.
};

}  // namespace mx

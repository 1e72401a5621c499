// runner.h — a graph that is run again and again on values, such as a loop's body: prepared once, then each run only
// calls kernels. No nodes are made, and the memory of one step serves the next. Runs where the scheduler runs: within an
// evaluation.
#pragma once

#include <chrono>

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
  void place(size_t k, BufferRef buffer, int64_t offset);
  /// Throws what kernels throw.
  void run();
  /// The value of output k, until the next run.
  const array& output(size_t k) const { return values_[static_cast<size_t>(graph_.outputs[k])]; }
  /// Moves the first outputs to `to`, leaves of their types that nobody else holds, and lets go of the others.
  void take_outputs(const Arrays& to);

 private:
  struct Op;
  void run(Op& op);
  bool view(Op& op);
  void kernel(Op& op);
  void general(Op& op);
  BufferRef memory_for(size_t k, Op& op);
  void drop(size_t slot);
  void poll();

  const Subgraph& graph_;
  size_t n_given_, n_leaves_;
  Arrays values_;                    ///< Of all slots. The nodes stay, their storage changes.
  std::vector<Op> ops_;
  std::vector<bool> read_;           ///< Whether anything reads each of the inputs given.
  struct Place {
    BufferRef buffer;
    int64_t offset = 0;
  };
  std::vector<Place> placed_;        ///< Of all slots; without a buffer: anywhere.
  /// Memory of values that are gone, for outputs of a size. No more than there are such outputs: blocks also come in
  /// from elsewhere.
  struct Spare {
    size_t n_bytes;
    size_t most = 0;
    std::vector<BufferRef> blocks = {};
  };
  std::vector<Spare> spares_;
  /// A look at the clock after so many runs.
  int64_t until_look_ = 1, between_looks_ = 1;
  std::chrono::steady_clock::time_point last_poll_ = std::chrono::steady_clock::now();
};

}  // namespace mx

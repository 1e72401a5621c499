// running_index.h — which example of a batch, or step of a loop, a function is being traced for. Random draws without a
// key fold it in, so that examples and steps differ.
#pragma once

#include "graph/array.h"

namespace mx {

/// Makes `index` (int32, shape ()) known to this thread's draws while it lives.
class RunningIndex {
 public:
  explicit RunningIndex(const array& index);
  ~RunningIndex();
  RunningIndex(const RunningIndex&) = delete;
  RunningIndex& operator=(const RunningIndex&) = delete;
  /// Whether there was a draw.
  bool used() const { return used_; }

 private:
  static Arrays all();

  array index_;
  bool used_ = false;
  RunningIndex* outer_;
};

}  // namespace mx

#include "transforms/running_index.h"

#include <algorithm>

#include "ops/random.h"

namespace mx {

namespace {
thread_local RunningIndex* innermost = nullptr;
}

RunningIndex::RunningIndex(const array& index) : index_(index), outer_(std::exchange(innermost, this)) {
  [[maybe_unused]] static const bool told = (random::set_batch_index_source(all), true);
}
RunningIndex::~RunningIndex() { innermost = outer_; }

// Outermost first.
Arrays RunningIndex::all() {
  Arrays found;
  for (RunningIndex* i = innermost; i; i = i->outer_) {
    i->used_ = true;
    found.push_back(i->index_);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace mx

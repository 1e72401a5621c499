#include "backend/cpu/scratch.h"

#include <utility>
#include <vector>

#include "backend/cpu/system_memory.h"
#include "base/error.h"

namespace mx::cpu {

namespace {

constexpr size_t kKeep = size_t(64) << 20;

struct Kept {
  struct Block {
    void* data;
    size_t n_bytes;
  };
  std::vector<Block> blocks;
  size_t total = 0;
  ~Kept() {
    for (Block& b : blocks) system_free(b.data);
  }
};
thread_local Kept kept;

}  // namespace

Scratch::Scratch(size_t n_bytes) {
  size_t best = kept.blocks.size();
  for (size_t i = 0; i < kept.blocks.size(); ++i) {
    size_t size = kept.blocks[i].n_bytes;
    if (size >= n_bytes && (best == kept.blocks.size() || size < kept.blocks[best].n_bytes)) best = i;
  }
  if (best < kept.blocks.size()) {
    block_ = kept.blocks[best].data;
    n_bytes_ = kept.blocks[best].n_bytes;
    kept.total -= n_bytes_;
    kept.blocks[best] = kept.blocks.back();
    kept.blocks.pop_back();
    return;
  }
  // A quarter more, so that slowly growing requests do not each allocate.
  n_bytes_ = n_bytes + n_bytes / 4 + 64;
  block_ = system_allocate(n_bytes_);
  if (!block_) throw MemoryError(cat("[scratch] cannot allocate ", n_bytes_, " bytes for a kernel: the system has no more memory."));
}

Scratch::~Scratch() {
  while (!kept.blocks.empty() && kept.total + n_bytes_ > kKeep) {
    kept.total -= kept.blocks.front().n_bytes;
    system_free(kept.blocks.front().data);
    kept.blocks.erase(kept.blocks.begin());
  }
  if (n_bytes_ > kKeep) {
    system_free(block_);
    return;
  }
  try {
    kept.blocks.push_back({block_, n_bytes_});
    kept.total += n_bytes_;
  } catch (const std::bad_alloc&) {
    system_free(block_);
  }
}

}  // namespace mx::cpu

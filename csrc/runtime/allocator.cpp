// allocator.cpp — size classes, reuse, limits and statistics.
//
// Sizes are rounded up so that neighbouring requests share blocks: to 64 bytes below 4 KB, to an eighth of
// the power of two above, to 2 MB for large ones (huge pages). A freed block waits in the list of its class.

#include "runtime/allocator.h"

#include <bit>
#include <map>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace mx {

namespace {

constexpr size_t kHuge = size_t(2) << 20;

size_t rounded(size_t n) {
  if (n <= 4096) return std::max<size_t>(64, (n + 63) & ~size_t(63));
  if (n >= kHuge) return (n + kHuge - 1) & ~(kHuge - 1);
  size_t step = std::bit_floor(n) / 8;
  return (n + step - 1) / step * step;
}

size_t physical_memory() {
#if defined(__linux__)
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  if (pages > 0 && page > 0) return static_cast<size_t>(pages) * static_cast<size_t>(page);
#endif
  return size_t(8) << 30;
}

}  // namespace

struct CachingAllocator::State {
  explicit State(RawMemory& r) : raw(r), memory_limit(physical_memory()), cache_limit(memory_limit / 4) {}
  ~State() { trim(0); }

  // Both need the lock.
  void trim(size_t keep) {
    while (cached > keep && !free_blocks.empty()) {
      auto largest = std::prev(free_blocks.end());
      raw.free(largest->second.back(), largest->first);
      cached -= largest->first;
      largest->second.pop_back();
      if (largest->second.empty()) free_blocks.erase(largest);
    }
  }
  void* take(size_t n) {
    auto found = free_blocks.find(n);
    if (found == free_blocks.end()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    if (found->second.empty()) free_blocks.erase(found);
    cached -= n;
    return block;
  }
  void give_back(void* block, size_t n) {
    std::lock_guard guard(lock);
    active -= n;
    if (n > cache_limit) {
      raw.free(block, n);
      return;
    }
    free_blocks[n].push_back(block);
    cached += n;
    if (cached > cache_limit) trim(cache_limit);
  }

  RawMemory& raw;
  std::mutex lock;
  std::map<size_t, std::vector<void*>> free_blocks;
  size_t active = 0, cached = 0, peak = 0;
  size_t memory_limit, cache_limit;
};

CachingAllocator::CachingAllocator(RawMemory& raw) : state_(std::make_shared<State>(raw)) {}
CachingAllocator::~CachingAllocator() = default;

BufferRef CachingAllocator::allocate(size_t n_bytes) {
  State& s = *state_;
  auto refuse = [&](const char* why) {
    throw MemoryError(cat("[allocate] cannot allocate ", n_bytes, " bytes: ", why, "; ", s.active, " bytes are in use, the limit is ",
                          s.memory_limit, "."));
  };
  if (n_bytes > s.memory_limit) refuse("the request alone exceeds the memory limit");
  size_t n = rounded(n_bytes);
  void* block;
  {
    std::lock_guard guard(s.lock);
    block = s.take(n);
    if (!block) {
      if (s.active + s.cached + n > s.memory_limit) s.trim(s.memory_limit > s.active + n ? s.memory_limit - s.active - n : 0);
      if (s.active + n > s.memory_limit) refuse("the memory limit is reached");
      block = s.raw.allocate(n);
      if (!block) {
        s.trim(0);
        block = s.raw.allocate(n);
      }
      if (!block) refuse("the system has no more memory");
    }
    s.active += n;
    s.peak = std::max(s.peak, s.active);
  }
  return BufferRef(new Buffer{block, n, true}, [state = state_](Buffer* b) {
    state->give_back(b->data, b->n_bytes);
    delete b;
  });
}

size_t CachingAllocator::active() const {
  std::lock_guard guard(state_->lock);
  return state_->active;
}
size_t CachingAllocator::cached() const {
  std::lock_guard guard(state_->lock);
  return state_->cached;
}
size_t CachingAllocator::peak() const {
  std::lock_guard guard(state_->lock);
  return state_->peak;
}
size_t CachingAllocator::limit() const {
  std::lock_guard guard(state_->lock);
  return state_->memory_limit;
}
void CachingAllocator::reset_peak() {
  std::lock_guard guard(state_->lock);
  state_->peak = state_->active;
}
void CachingAllocator::clear() {
  std::lock_guard guard(state_->lock);
  state_->trim(0);
}
size_t CachingAllocator::set_cache_limit(size_t n_bytes) {
  std::lock_guard guard(state_->lock);
  size_t before = std::exchange(state_->cache_limit, n_bytes);
  state_->trim(n_bytes);
  return before;
}
size_t CachingAllocator::set_memory_limit(size_t n_bytes) {
  std::lock_guard guard(state_->lock);
  return std::exchange(state_->memory_limit, n_bytes);
}

}  // namespace mx

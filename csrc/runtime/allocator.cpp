// allocator.cpp — size classes, reuse, limits and statistics.
//
// Sizes are rounded up so that neighbouring requests share blocks: to 64 bytes below 4 KB, to an eighth of
// the power of two above, to 2 MB (huge pages) from 16 MB on, where that is the finer of the two. A freed block
// waits in the list of its class.

#include "runtime/allocator.h"

#include <bit>
#include <map>
#include <mutex>
#include <set>

#include <pthread.h>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace mx {

namespace {

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kLarge = 8 * kHugePage;

size_t rounded(size_t n) {
  if (n <= 4096) return std::max<size_t>(64, (n + 63) & ~size_t(63));
  if (n >= kLarge) return (n + kHugePage - 1) & ~(kHugePage - 1);
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

/// The lists of free blocks, one for each size that `rounded` gives. Sizes below `kLarge` are found by arithmetic.
class FreeBlocks {
 public:
  /// The list of blocks of n bytes.
  std::vector<void*>& of(size_t n) {
    if (n <= 4096) return small_[n / 64];
    if (n < kLarge) return middle_[static_cast<size_t>(std::bit_width(n) - 13) * 8 + n / (std::bit_floor(n) / 8) % 8];
    return large_[n];
  }
  /// Calls f(size, list) from the largest blocks on until it returns false.
  template <class F>
  void from_the_largest(F&& f) {
    for (auto it = large_.end(); it != large_.begin();) {
      --it;
      if (!f(it->first, it->second)) return;
      if (it->second.empty()) it = large_.erase(it);
    }
    for (size_t i = std::size(middle_); i-- > 0;) {
      size_t floor = size_t(4096) << (i / 8);
      if (!f(floor + i % 8 * (floor / 8), middle_[i])) return;
    }
    for (size_t i = std::size(small_); i-- > 0;) {
      if (!f(64 * i, small_[i])) return;
    }
  }

 private:
  std::vector<void*> small_[65];
  std::vector<void*> middle_[12 * 8];  // eight sizes for each power of two from 4 KB to 8 MB
  std::map<size_t, std::vector<void*>> large_;
};

}  // namespace

struct CachingAllocator::State {
  struct Block;
  struct Work {
    WorkQueue* queue = nullptr;
    uint64_t serial = 0;
  };

  explicit State(RawMemory& r) : raw(r), memory_limit(physical_memory()), cache_limit(memory_limit / 4) { all().insert(this); }
  ~State() {
    all().erase(this);
    trim(0);
  }

  // These need the lock.
  void trim(size_t keep) {
    if (cached <= keep) return;
    free_blocks.from_the_largest([&](size_t n, std::vector<void*>& blocks) {
      for (; !blocks.empty() && cached > keep; blocks.pop_back(), cached -= n) free_raw(blocks.back(), n, work_on(blocks.back()));
      return cached > keep;
    });
  }
  void free_raw(void* block, size_t n, Work work) {
    if (work.queue) work.queue->finish(work.serial);
    raw.free(block, n);
  }
  /// What a device still does with a free block, forgotten here.
  Work work_on(void* block) {
    if (unfinished.empty()) return {};
    auto found = unfinished.find(block);
    if (found == unfinished.end()) return {};
    Work work = found->second;
    unfinished.erase(found);
    return work;
  }
  void* take(size_t n) {
    std::vector<void*>& blocks = free_blocks.of(n);
    if (blocks.empty()) return nullptr;
    void* block = blocks.back();
    blocks.pop_back();
    cached -= n;
    return block;
  }
  void give_back(void* block, size_t n, Work work) {
    if (work.queue && work.queue->done(work.serial)) work.queue = nullptr;
    std::lock_guard guard(lock);
    active -= n;
    if (n > cache_limit) {
      free_raw(block, n, work);
      return;
    }
    if (work.queue) unfinished.emplace(block, work);
    free_blocks.of(n).push_back(block);
    cached += n;
    if (cached > cache_limit) trim(cache_limit);
  }

  // A process may be forked while another of its threads holds a lock: the child would wait for ever.
  static std::set<State*>& all() {
    static std::set<State*>& states = *new std::set<State*>;
    constexpr auto release = [] {
      for (State* s : all()) s->lock.unlock();
    };
    constexpr auto acquire = [] {
      for (State* s : all()) s->lock.lock();
    };
    [[maybe_unused]] static const int handlers = pthread_atfork(acquire, release, release);
    return states;
  }

  RawMemory& raw;
  std::mutex lock;
  FreeBlocks free_blocks;
  /// Free blocks that a device may still use. Whoever gets one waits, unless it goes to the same queue.
  std::unordered_map<void*, Work> unfinished;
  size_t active = 0, cached = 0, peak = 0;
  size_t memory_limit, cache_limit;
};

/// A block that goes back to its allocator: made together with its reference count, in one piece.
struct CachingAllocator::State::Block : Buffer {
  Block(void* block, size_t n, Work work, std::shared_ptr<State> s) : Buffer(block, n, true), state(std::move(s)) {
    queue = work.queue;
    serial = work.serial;
    recycled = true;
  }
  ~Block() { state->give_back(data, n_bytes, {queue, serial}); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  std::shared_ptr<State> state;
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
  State::Work work;
  {
    std::lock_guard guard(s.lock);
    block = s.take(n);
    if (block) work = s.work_on(block);
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
  return std::make_shared<State::Block>(block, n, work, state_);
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

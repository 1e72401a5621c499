// pool.cpp — workers, and how chunks are claimed.
//
// A region is published by writing its ticket: generation, number of chunks, next chunk. A thread claims a
// chunk by a compare-and-swap on the ticket, which fails once the region is over, so a late worker never
// touches a region that has been left. Workers spin for a moment after work, since the next region often
// follows at once, then park. The pool is never destroyed: workers may outlive static objects at exit.

#include "backend/cpu/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <signal.h>
#if defined(__linux__)
#include <sched.h>
#endif

namespace mx::cpu {

namespace {

constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kCountBits = 12;
constexpr uint64_t kMaxChunks = (1u << kCountBits) - 1;
constexpr int kChunksPerThread = 16;

thread_local bool inside_region = false;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

int available_cpus() {
  int n = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) n = CPU_COUNT(&set);
  // A container's share of time: "<quota> <period>" or "max <period>".
  if (std::FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long quota = 0, period = 0;
    if (std::fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
      n = std::min(n, static_cast<int>((quota + period - 1) / period));
    }
    std::fclose(f);
  }
#endif
  return std::max(n, 1);
}

struct Region {
  detail::RangeFn fn;
  void* f;
  int64_t n, chunk;
  uint32_t n_chunks;
  std::exception_ptr error = nullptr;
  std::atomic<bool> failed{false};
  alignas(64) std::atomic<uint32_t> ended{0};

  void run(uint64_t k) {
    if (!failed.load(std::memory_order_relaxed)) {
      int64_t begin = static_cast<int64_t>(k) * chunk;
      try {
        fn(f, begin, std::min(n, begin + chunk));
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
    // The last touch: the caller may leave, and the region cease to exist, as soon as all have ended.
    ended.fetch_add(1, std::memory_order_acq_rel);
  }
};

class Pool {
 public:
  // False if another thread is using the pool.
  bool try_run(Region& region) {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    if (!started_) start();
    uint64_t g = generation_.load(std::memory_order_relaxed) + 1;
    region_.store(&region, std::memory_order_relaxed);
    ticket_.store(g << (2 * kCountBits) | uint64_t(region.n_chunks) << kCountBits, std::memory_order_release);
    generation_.store(g, std::memory_order_seq_cst);
    if (int parked = parked_.load(std::memory_order_seq_cst)) wake(std::min<int>(parked, static_cast<int>(region.n_chunks) - 1));

    inside_region = true;
    while (step(g)) {
    }
    inside_region = false;
    for (int tries = 0; region.ended.load(std::memory_order_acquire) != region.n_chunks; ++tries) {
      if (tries < 4000) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
    busy_.clear(std::memory_order_release);
    return true;
  }

 private:
  void start() {
    started_ = true;
    // Signals belong to the threads of the program.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      for (int i = 1; i < n_threads(); ++i) std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      // Fewer workers, down to none: the caller does what nobody claims.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void wake(int n) {
    { std::lock_guard guard(lock_); }
    for (int i = 0; i < n; ++i) news_.notify_one();
  }

  bool step(uint64_t g) {
    uint64_t t = ticket_.load(std::memory_order_acquire);
    while (true) {
      uint64_t next = t & kMaxChunks, count = t >> kCountBits & kMaxChunks;
      if (t >> (2 * kCountBits) != g || next >= count) return false;
      Region* region = region_.load(std::memory_order_relaxed);
      // Success means that the region is still open, so `region` is the one the ticket speaks of.
      if (ticket_.compare_exchange_weak(t, t + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
        region->run(next);
        return true;
      }
    }
  }

  void work() {
    inside_region = true;
    for (uint64_t seen = 0;;) {
      seen = wait_for_news(seen);
      while (step(seen)) {
      }
    }
  }

  uint64_t wait_for_news(uint64_t seen) {
    auto changed = [&] { return generation_.load(std::memory_order_seq_cst) != seen; };
    auto deadline = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 64; ++i) {
        if (changed()) return generation_.load(std::memory_order_acquire);
        relax();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    std::unique_lock guard(lock_);
    parked_.fetch_add(1, std::memory_order_seq_cst);
    news_.wait(guard, changed);
    parked_.fetch_sub(1, std::memory_order_relaxed);
    return generation_.load(std::memory_order_acquire);
  }

  alignas(64) std::atomic<uint64_t> ticket_{0};
  std::atomic<Region*> region_{nullptr};
  alignas(64) std::atomic<uint64_t> generation_{0};
  alignas(64) std::atomic<int> parked_{0};
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  bool started_ = false;  // Guarded by busy_.
  std::mutex lock_;
  std::condition_variable news_;
};

std::atomic<Pool*> the_pool{nullptr};

Pool& pool() {
  Pool* p = the_pool.load(std::memory_order_acquire);
  if (p) return *p;
  // A forked child has none of its parent's threads: it forgets the pool and makes its own when needed.
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    the_pool.store(nullptr, std::memory_order_relaxed);
    inside_region = false;
  });
  (void)registered;
  auto fresh = std::make_unique<Pool>();
  if (the_pool.compare_exchange_strong(p, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  return *p;
}

}  // namespace

int n_threads() {
  static const int n = [] {
    const char* asked = std::getenv("MXFORM_NUM_THREADS");
    int k = asked ? std::atoi(asked) : 0;
    return k > 0 ? std::min(k, 1024) : available_cpus();
  }();
  return n;
}

namespace detail {

void run_region(int64_t n, int64_t grain, RangeFn fn, void* f) {
  grain = std::max<int64_t>(grain, 1);
  int64_t grains = (n - 1) / grain + 1;
  int64_t limit = std::min<int64_t>(int64_t(kChunksPerThread) * n_threads(), static_cast<int64_t>(kMaxChunks));
  if (n_threads() > 1 && !inside_region && grains > 1) {
    int64_t chunk = ((grains - 1) / limit + 1) * grain;
    Region region{.fn = fn, .f = f, .n = n, .chunk = chunk, .n_chunks = static_cast<uint32_t>((n - 1) / chunk + 1)};
    if (pool().try_run(region)) {
      if (region.error) std::rethrow_exception(region.error);
      return;
    }
  }
  fn(f, 0, n);
}

}  // namespace detail

}  // namespace mx::cpu

// The caching allocator, over memory that counts what it is asked for.
#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

#include "runtime/allocator.h"

using namespace mx;

namespace {

struct CountingMemory final : RawMemory {
  int n_allocated = 0, n_freed = 0;
  bool exhausted = false;
  void* allocate(size_t n_bytes) override {
    if (exhausted) return nullptr;
    ++n_allocated;
    return std::malloc(n_bytes);
  }
  void free(void* block, size_t) override {
    ++n_freed;
    std::free(block);
  }
};

}  // namespace

TEST_CASE("a freed block serves the next request of its size") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  void* first = memory.allocate(1000)->data;
  CHECK(memory.allocate(1000)->data == first);
  CHECK(raw.n_allocated == 1);
}

TEST_CASE("active, cached and peak memory are counted") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  {
    BufferRef a = memory.allocate(4096), b = memory.allocate(4096);
    CHECK(memory.active() == 8192);
    CHECK(memory.cached() == 0);
  }
  CHECK(memory.active() == 0);
  CHECK(memory.cached() == 8192);
  CHECK(memory.peak() == 8192);
  memory.reset_peak();
  CHECK(memory.peak() == 0);
}

TEST_CASE("the cache returns to the system when cleared and beyond its limit") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  memory.allocate(4096);
  memory.clear();
  CHECK(memory.cached() == 0);
  CHECK(raw.n_freed == 1);
  CHECK(memory.set_cache_limit(100) > 100);
  memory.allocate(4096);
  CHECK(memory.cached() == 0);
}

TEST_CASE("the memory limit empties the cache, then throws, and is not forgotten") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  memory.set_memory_limit(10000);
  memory.allocate(8192);
  BufferRef held = memory.allocate(4096);
  CHECK(memory.cached() == 0);
  CHECK_THROWS_WITH_AS(memory.allocate(8192), doctest::Contains("8192 bytes"), MemoryError);
  CHECK_THROWS_AS(memory.allocate(size_t(1) << 60), MemoryError);
  held.reset();
  CHECK(memory.allocate(8192)->n_bytes >= 8192);
}

TEST_CASE("when the system has no more, the cache is tried before giving up") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  memory.allocate(4096);
  raw.exhausted = true;
  CHECK_THROWS_AS(memory.allocate(1 << 20), MemoryError);
  CHECK(raw.n_freed == 1);
  raw.exhausted = false;
  CHECK(memory.allocate(1 << 20) != nullptr);
}

TEST_CASE("no request is rounded up by more than an eighth, and a block serves what rounds up to its size") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  for (size_t n = 4096; n < (size_t(70) << 20); n += n / 23) {
    CAPTURE(n);
    size_t size;
    void* first;
    {
      BufferRef block = memory.allocate(n);
      size = memory.active();
      first = block->data;
      CHECK(size >= n);
      CHECK(size <= n + n / 8);
    }
    CHECK(memory.cached() == size);
    CHECK(memory.allocate(size)->data == first);
    memory.clear();
    CHECK(memory.cached() == 0);
  }
  CHECK(raw.n_freed == raw.n_allocated);
}

TEST_CASE("an empty array has memory of its own") {
  CountingMemory raw;
  CachingAllocator memory(raw);
  CHECK(memory.allocate(0)->data != nullptr);
}

TEST_CASE("buffers outlive the allocator and may be freed on another thread") {
  CountingMemory raw;
  BufferRef left;
  {
    CachingAllocator memory(raw);
    left = memory.allocate(64);
    BufferRef sent = memory.allocate(64);
    std::thread([b = std::move(sent)]() mutable { b.reset(); }).join();
    CHECK(memory.active() == 64);
  }
  left.reset();
  CHECK(raw.n_freed == raw.n_allocated);
}

// allocator.h — memory for results. One caching allocator wraps any backend's raw blocks.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "graph/array.h"

namespace mx {

/// How a backend obtains and returns raw memory.
class RawMemory {
 public:
  virtual ~RawMemory() = default;
  /// At least `n_bytes`, aligned for any dtype; null when there is none.
  virtual void* allocate(size_t n_bytes) = 0;
  virtual void free(void* block, size_t n_bytes) = 0;
};

/// Keeps freed blocks by size for reuse. Thread-safe. All figures are in bytes.
class CachingAllocator {
 public:
  explicit CachingAllocator(RawMemory& raw);
  ~CachingAllocator();

  /// A block of at least `n_bytes`; returns to the cache when the last reference goes.
  /// Throws MemoryError when it does not fit the limit or the system has no more.
  BufferRef allocate(size_t n_bytes);

  size_t active() const;   ///< Held by arrays now.
  size_t cached() const;   ///< Held for reuse.
  size_t peak() const;     ///< Largest `active` since reset_peak.
  size_t limit() const;
  void reset_peak();
  void clear();                              ///< Returns the cache to the system.
  size_t set_cache_limit(size_t n_bytes);    ///< Returns the limit before.
  size_t set_memory_limit(size_t n_bytes);   ///< Beyond it allocate() empties the cache, then throws.

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mx

// ledger.h — what went wrong on the GPU, by the serial number of the use of memory that it concerns.
//
// Serials count for all queues together and grow with time. Each use of an array by a launch has one, so that an error is met by
// who asks for what it spoilt and by nobody else: an array that was only read by work that failed is still good, one that was
// computed from spoilt values is not. The queues hand over what they have finished; whoever waits or enqueues next looks into it
// (settle), since letting go of memory is nothing for the threads on which Metal reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/metal/driver/objects.h"
#include "graph/array.h"

namespace mx::metal {

/// The value that `serial` stands for is spoilt if that of `source` is.
struct Dependency {
  uint64_t serial;
  WorkQueue* queue;
  uint64_t source;
};

/// Memory that is not the allocator's, held until the GPU is done with it.
struct Kept {
  BufferRef owner;
  std::shared_ptr<MTL::Buffer> wrapped;
};

/// A command buffer's share of serials, with what they depend on.
struct Finished {
  const WorkQueue* queue = nullptr;
  uint64_t first = 0, last = 0;
  std::vector<uint64_t> made = {};  ///< Serials of what it computes.
  /// Where the calls of `made` were made; empty unless origins are traced.
  std::map<uint64_t, std::shared_ptr<const std::string>> origins = {};
  std::vector<Dependency> dependencies = {};
  std::vector<Kept> kept = {};
  /// What reported bad indices; may hold arrays.
  std::vector<std::function<std::string(int64_t, int64_t, int64_t)>> reporters = {};

  bool has(const WorkQueue* q, uint64_t serial) const { return q == queue && serial >= first && serial <= last; }
};

struct Fault {
  const WorkQueue* queue;
  uint64_t serial;
  std::string text;
  bool index = false;    ///< An IndexError.
  bool raised = false;
};

class Ledger {
 public:
  uint64_t next_serial() { return serial_.fetch_add(1, std::memory_order_relaxed); }

  void add(Fault fault);
  void add(std::unique_ptr<Finished> finished);
  /// Looks into what is finished and lets go of it.
  void settle();
  /// Throws the error of `serial`, if there is one.
  void raise(const WorkQueue* queue, uint64_t serial);
  /// Throws the oldest error of a queue up to `serial` that nobody has met yet. Bad indices concern who asks for the value only,
  /// unless they are asked for.
  void raise_unmet(const WorkQueue* queue, uint64_t serial, bool indices);
  /// Whether errors of `serial` may still become known, though it is done.
  bool unsettled(const WorkQueue* queue, uint64_t serial);
  bool clean() const { return n_faults_.load(std::memory_order_acquire) == 0; }

  static Ledger& instance();

 private:
  Fault* find(const WorkQueue* queue, uint64_t serial);
  bool blocked(const Finished& f, const std::vector<std::unique_ptr<Finished>>& before) const;
  void insert(Fault fault);

  std::atomic<uint64_t> serial_{1};
  std::atomic<size_t> n_faults_{0}, n_finished_{0};
  mutable std::mutex lock_;
  std::map<std::pair<const WorkQueue*, uint64_t>, Fault> faults_;
  std::vector<std::unique_ptr<Finished>> finished_;
};

}  // namespace mx::metal

// api_order.h — what happens before what: finds passes that use the same memory with nothing that orders them.
//
// A pass is ordered after another if a fence, an event or Metal's tracking says so, in steps if need be; or if the CPU knew that the
// other was done before it committed this one. Whether it happened to be done plays no part, so that a missing fence is found however
// the threads run. Two dispatches conflict if they are bound to memory from the same address on and one of them may write: how
// far they go is not known here. Where bindings of one pass merely overlap, api_run.cpp looks closer.
#pragma once

#include "api_metal.h"

namespace mx::metal::host {

/// One binding of a dispatch to memory.
struct Access {
  const std::byte* begin = nullptr;        ///< Where it is bound.
  const std::byte *low = nullptr, *high = nullptr;  ///< The whole buffer.
  BufferObject* buffer = nullptr;          ///< Only to compare.
  bool written = false, tracked = false;
  uint8_t slot = 0;
  const Kernel* kernel = nullptr;
};
std::vector<Access> accesses(const DispatchCommand& d);
/// Certain to use common memory, and one writes it.
inline bool conflict(const Access& a, const Access& b) { return a.begin == b.begin && (a.written || b.written); }
/// May do so.
inline bool may_conflict(const Access& a, const Access& b) { return a.low < b.high && b.low < a.high && (a.written || b.written); }
/// "write after read: ..." for `b` after `a`.
std::string describe(const Access& a, const Access& b);

class Order {
 public:
  static Order& instance();

  /// The CPU's knowledge, as a number that grows with it.
  uint64_t epoch();
  /// A command buffer is on its way that was committed at `epoch`; and it is over.
  void committed(uint64_t epoch);
  void over(uint64_t epoch);
  /// The CPU has learnt that command buffer `number` of a queue is done, and with it all before; or that these passes are.
  void known(const void* queue, uint64_t number);
  void known(const NodeSet& done);

  /// A pass begins, after everything in `after`, which grows by what that came after. Returns what lacks synchronisation, or "".
  std::string begin(const void* queue, uint64_t number, uint64_t epoch, const Pass& pass, NodeSet& after);
  /// All passes of a queue so far, and what they came after.
  NodeSet all_of(const void* queue);

 private:
  struct Node {
    uint64_t id;
    const void* queue;
    uint64_t number;
    uint64_t known_at = UINT64_MAX;
    NodeSet before;
    std::vector<Access> accesses;
  };
  void prune();
  std::mutex mutex_;
  uint64_t epoch_ = 0, last_id_ = 0;
  std::multiset<uint64_t> outstanding_;
  std::vector<Node> nodes_;
};

}  // namespace mx::metal::host

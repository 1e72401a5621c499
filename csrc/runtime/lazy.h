// lazy.h — how plain evaluation gets fused plans: the scheduler offers what is pending to a planner of a higher layer.
#pragma once

#include "graph/array.h"

namespace mx {

/// A strong reference to a record.
class CallRef {
 public:
  CallRef() = default;
  explicit CallRef(CallRecord* r) : record_(r) { r->refs.fetch_add(1, std::memory_order_relaxed); }
  CallRef(CallRef&& o) noexcept : record_(std::exchange(o.record_, nullptr)) {}
  CallRef& operator=(CallRef&& o) noexcept {
    std::swap(record_, o.record_);
    return *this;
  }
  ~CallRef() {
    if (record_ && record_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete record_;
  }
  CallRecord& operator*() const { return *record_; }
  CallRecord* operator->() const { return record_; }
  CallRecord* get() const { return record_; }

 private:
  CallRecord* record_ = nullptr;
};

/// Computes pending calls (oldest first, each needed by another or by who asked) and gives their outputs values, or
/// returns false without having done anything. Lets go of a call once it has run. Throws what a kernel throws; what was
/// computed until then stays.
using LazyPlanner = bool (*)(std::span<CallRef> calls);

/// Null: none, every call runs by itself.
void set_lazy_planner(LazyPlanner planner);

// ---- what a planner needs of the scheduler

/// Runs one call by itself. Its inputs have values.
void run_call(CallRecord& call);
/// Gives a node its value.
void publish(Node& node, Storage storage);
/// Gives a node its value in the memory of the first input, if the primitive can see it there.
bool publish_view(const Primitive& primitive, const Params& params, const array& in, Node& node);
/// Whether memory is a sole owner's and lies as an output of `n_bytes` would: it may become that output's.
bool may_take_over(const Storage& s);

}  // namespace mx

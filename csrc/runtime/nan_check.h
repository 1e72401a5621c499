// nan_check.h — finding the operation that made the first NaN. While checks are on, the scheduler looks at what each
// kernel computed; views and operations made of others need no look. Costs a pass over all inputs and outputs.
#pragma once

#include <atomic>
#include <span>
#include <stdexcept>

#include "graph/array.h"

namespace mx {

/// An operation made a NaN of inputs that have none. Python: NanError (FloatingPointError).
struct NanError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

extern std::atomic<bool> nan_checks;
/// Whether evaluation, on any thread, throws NanError.
inline bool checking_nans() { return nan_checks.load(std::memory_order_relaxed); }
inline void set_nan_checks(bool on) { nan_checks = on; }

/// Throws NanError if `outs`, which a kernel has just computed, hold a NaN and no input of the call does. They are not
/// available then. Of a fused program the operation within is found.
void check_nans(CallRecord& call, std::span<array> outs);

}  // namespace mx

#include "graph/marker.h"

#include <limits>

namespace mx {

namespace {
// Serial of the oldest live trace on this thread; the largest number when there is none.
thread_local uint64_t oldest_live = std::numeric_limits<uint64_t>::max();
}  // namespace

const Primitive marker_p = define<NoParams>({
    .name = "marker",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto&, const Call&, int, const array& t) { return t; },
    .vjp = [](auto&, const Call&, int, const array& ct) { return ct; },
    .vmap = [](auto&, const Batch& b) { return b.in(0); },
    .view = [](auto&, const array& in, const Shape&) { return View{in.strides(), 0}; },
});

array mark(const array& x) {
  array m = make_node(marker_p, {}, {x}, x.type());
  m.node()->newest_mark = next_serial();
  if (x.available()) {
    // Ready at once: reading a marked value must not need an evaluation.
    m.node()->storage = x.storage();
    m.node()->available.store(true, std::memory_order_release);
  }
  return m;
}

Arrays mark(const Arrays& xs) {
  Arrays out;
  for (const array& x : xs) out.push_back(mark(x));
  return out;
}

LiveTrace::LiveTrace() : since_(next_serial()), outer_(oldest_live) { oldest_live = std::min(oldest_live, since_); }
LiveTrace::~LiveTrace() { oldest_live = outer_; }

uint64_t oldest_live_trace() { return oldest_live; }
AdoptedTrace::AdoptedTrace(uint64_t oldest) : outer_(std::exchange(oldest_live, oldest)) {}
AdoptedTrace::~AdoptedTrace() { oldest_live = outer_; }

bool must_retain(const Node& node) { return node.newest_mark >= oldest_live; }

}  // namespace mx

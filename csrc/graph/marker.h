// marker.h — the identity nodes by which a transformation knows its own inputs.
//
// A transformation copies each input through a marker, runs the function, and walks from the outputs back to
// its markers. Serials order them: a node remembers the newest marker above it, so a walk for markers made
// since serial s skips every node whose newest is older than s. Nested levels never get confused.
#pragma once

#include "graph/primitive.h"

namespace mx {

extern const Primitive marker_p;

/// The same value under a new identity.
array mark(const array& x);
Arrays mark(const Arrays& xs);

/// While one lives, evaluation on this thread keeps the records of nodes that depend on markers made since:
/// the function being transformed may read values, and the walk still needs its graph.
class LiveTrace {
 public:
  LiveTrace();
  ~LiveTrace();
  LiveTrace(const LiveTrace&) = delete;
  LiveTrace& operator=(const LiveTrace&) = delete;
  /// Serial from which this trace's markers start.
  uint64_t since() const { return since_; }

 private:
  uint64_t since_;
  uint64_t outer_;
};

/// True when a trace on this thread may still walk through `node`.
bool must_retain(const Node& node);

/// Carries the calling thread's live traces to a helper thread that evaluates on its behalf.
uint64_t oldest_live_trace();
class AdoptedTrace {
 public:
  explicit AdoptedTrace(uint64_t oldest);
  ~AdoptedTrace();
  AdoptedTrace(const AdoptedTrace&) = delete;
  AdoptedTrace& operator=(const AdoptedTrace&) = delete;

 private:
  uint64_t outer_;
};

}  // namespace mx

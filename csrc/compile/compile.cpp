// compile.cpp — tracing and replaying. The passes over the traced graph are in simplify.cpp and fuse.cpp.

#include "compile/compile.h"

#include <atomic>

#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/effects.h"
#include "runtime/eval.h"

namespace mx {

namespace {
std::atomic<bool> enabled{true};
}

bool compile_enabled() { return enabled; }
void set_compile_enabled(bool on) { enabled = on; }

CompiledTrace::CompiledTrace(const Function& f, const Types& inputs) {
  {
    LiveTrace trace;
    Arrays sources;
    const char* label = placeholder_label("compile");
    for (const Type& t : inputs) sources.push_back(array::placeholder(t, label));
    Effects effects;
    Arrays outs = f(sources);
    for (const array& token : effects.take()) {
      // In every call, also if nothing of it depends on the arguments.
      bool depends = token.node()->newest_mark >= trace.since() || sources.empty();
      outs.push_back(depends ? token : effect_after(token, sources[0]));
      ++n_effects_;
    }
    Extract piece = extract(outs, sources, trace.since());
    graph_ = std::move(piece.graph);
    captured_ = std::move(piece.captured);
  }
  Arrays constant;
  for (const array& a : captured_) {
    // Outside this trace, is another transformation still at work on what was captured?
    if (!a.available() && must_retain(*a.node())) cacheable_ = false;
    if (a.available() && a.node()->call && must_retain(*a.node())) cacheable_ = false;
    if (a.node()->placeholder) cacheable_ = false;
  }
  if (cacheable_) {
    eval(captured_);
  }
  drop_markers(graph_);
  merge_common_steps(graph_);
  drop_dead_steps(graph_);
  fuse_elementwise(graph_, captured_);
}

Arrays CompiledTrace::operator()(const Arrays& inputs) const {
  Arrays outs = replay(graph_, inputs, captured_);
  if (n_effects_ == 0) return outs;
  auto first = outs.end() - static_cast<ptrdiff_t>(n_effects_);
  Arrays tokens(first, outs.end());
  outs.erase(first, outs.end());
  if (!outs.empty() && !Effects::collecting()) return with_effects(outs, tokens);
  for (const array& token : tokens) add_effect(token);
  return outs;
}

}  // namespace mx

// compile.cpp — tracing, and calling what was traced.

#include "compile/compile.h"

#include <atomic>

#include "compile/compiled_body.h"
#include "compile/simplify.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/effects.h"

namespace mx {

namespace {
std::atomic<bool> enabled{true};
thread_local InlineCompiled::Form inline_form = InlineCompiled::none;
}  // namespace

bool compile_enabled() { return enabled; }
void set_compile_enabled(bool on) { enabled = on; }

InlineCompiled::InlineCompiled(Form form) : outer_(std::exchange(inline_form, form)) {}
InlineCompiled::~InlineCompiled() { inline_form = outer_; }
InlineCompiled::Form InlineCompiled::active() { return inline_form; }

CompiledTrace::CompiledTrace(const Function& f, const Types& inputs) {
  Extract piece;
  size_t n_effects = 0;
  {
    LiveTrace trace;
    InlineCompiled inlined;
    Arrays sources;
    const char* label = placeholder_label("compile");
    for (const Type& t : inputs) sources.push_back(array::placeholder(t, label));
    Effects effects;
    Arrays outs = f(sources);
    for (const array& token : effects.take()) {
      // In every call, also if nothing of it depends on the arguments.
      bool depends = token.node()->newest_mark >= trace.since() || sources.empty();
      outs.push_back(depends ? token : effect_after(token, sources[0]));
      ++n_effects;
    }
    piece = extract(outs, sources, trace.since());
  }
  n_called_ = piece.graph.steps.size();
  GraphWriter w;
  std::vector<int> leaves;
  for (const Type& t : inputs) leaves.push_back(w.input(t));
  for (const array& a : piece.captured) {
    bool live = is_live(a);
    leaves.push_back(live ? w.input(a.type()) : w.constant(a));
    if (live) extras_.push_back(a);
  }
  std::vector<int> outputs = w.add(std::move(piece.graph), leaves);
  Arrays constants;
  Subgraph graph = w.finish(outputs, constants);
  compiled_ = std::make_shared<const Compiled>(std::move(graph), std::move(constants), n_effects);
}

const CompiledBody& CompiledTrace::body() const { return **compiled_; }
const Subgraph& CompiledTrace::graph() const { return body().lowered().graph; }
const Subgraph& CompiledTrace::traced() const { return body().graph(); }
const Arrays& CompiledTrace::captured() const { return body().constants(); }

Arrays CompiledTrace::call(SmallVector<array, 3> inputs) const {
  for (const array& x : extras_) inputs.push_back(x);
  Arrays outs = (*compiled_)(std::move(inputs));
  size_t n_effects = body().n_effects();
  if (n_effects == 0) return outs;
  auto first = outs.end() - static_cast<ptrdiff_t>(n_effects);
  Arrays tokens(first, outs.end());
  outs.erase(first, outs.end());
  if (!outs.empty() && !Effects::collecting()) return with_effects(outs, tokens);
  for (const array& token : tokens) add_effect(token);
  return outs;
}

}  // namespace mx

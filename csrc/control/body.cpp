#include "control/body.h"

#include <algorithm>

#include "compile/compile.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "transforms/jvp.h"
#include "transforms/running_index.h"
#include "transforms/vjp.h"
#include "transforms/vmap_graph.h"

namespace mx {

Arrays Body::operator()(const Arrays& all) const {
  auto n = static_cast<size_t>(graph->n_inputs());
  std::span<const array> arrays(all);
  return replay(*graph, arrays.first(n), arrays.subspan(n));
}

std::shared_ptr<const Subgraph> Body::prepared(std::span<const array> captured) const {
  if (program) return program;
  auto fused = std::make_shared<Subgraph>(*graph);
  fuse_elementwise(*fused, {captured.begin(), captured.end()});
  return fused;
}

void drop_slots(Subgraph& g, const std::vector<int>& gone) {
  auto close = [&](std::vector<int>& slots) {
    for (int& s : slots) s -= static_cast<int>(std::lower_bound(gone.begin(), gone.end(), s) - gone.begin());
  };
  for (Step& s : g.steps) {
    close(s.in);
    close(s.out);
  }
  close(g.outputs);
  g.n_slots -= static_cast<int>(gone.size());
}

Traced trace_body(const Function& f, const Types& inputs, const char* op, bool constants) {
  LiveTrace trace;
  InlineCompiled inlined;
  Arrays sources;
  const char* label = placeholder_label(op);
  for (const Type& t : inputs) sources.push_back(array::placeholder(t, label));
  Effects effects;
  Arrays outs = f(sources);
  // Effects happen when the loop runs, not when reverse mode computes the body again: cotangents do not wait for them.
  if (Arrays tokens = effects.take(); !tokens.empty()) outs = depends(outs, tokens);
  Extract piece = extract(outs, sources, trace.since(), constants);
  drop_markers(piece.graph);
  return {std::move(piece.graph), std::move(piece.captured)};
}

Traced trace_step(const Function& f, Types inputs, const char* op, bool count) {
  inputs.push_back({Dtype::int32, {}});
  bool draws = false;
  auto numbered = [&](const Arrays& in) {
    RunningIndex number(in.back());
    Arrays outs = f({in.begin(), in.end() - 1});
    draws = number.used();
    if (count) outs.push_back(add(in.back(), array(1, Dtype::int32)));
    return outs;
  };
  Traced traced = trace_body(numbered, inputs, op);
  traced.draws = draws;
  return traced;
}

void drop_number(Traced& step, bool count) {
  Subgraph& g = step.graph;
  if (count) {
    g.outputs.pop_back();
    drop_dead_steps(g);
  }
  drop_slots(g, {g.n_inputs() - 1});
  g.input_types.pop_back();
}

Body Traced::body() {
  merge_common_steps(graph);
  drop_dead_steps(graph);
  std::vector<bool> read(static_cast<size_t>(graph.n_slots));
  for (const Step& s : graph.steps) {
    for (int i : s.in) read[static_cast<size_t>(i)] = true;
  }
  for (int o : graph.outputs) read[static_cast<size_t>(o)] = true;
  std::vector<int> unread;
  Types types;
  Arrays arrays;
  for (size_t k = 0; k < captured.size(); ++k) {
    int slot = graph.n_inputs() + static_cast<int>(k);
    if (read[static_cast<size_t>(slot)]) {
      types.push_back(graph.captured_types[k]);
      arrays.push_back(captured[k]);
    } else {
      unread.push_back(slot);
    }
  }
  drop_slots(graph, unread);
  graph.captured_types = std::move(types);
  captured = std::move(arrays);
  auto plain = std::make_shared<Subgraph>(graph), program = std::make_shared<Subgraph>(graph);
  fuse_elementwise(*program, captured);
  return {std::move(plain), std::move(program)};
}

Arrays without_history(std::span<const array> arrays) {
  Arrays plain;
  for (const array& a : arrays) {
    const Storage& s = a.storage();
    plain.push_back(array::wrap(s.buffer, a.type(), s.offset, s.strides));
  }
  return plain;
}

Storage row_of(const Storage& stacked, const Shape& shape, int64_t i) {
  Storage row{stacked.buffer, stacked.offset + i * stacked.strides[0], Strides(stacked.strides.begin() + 1, stacked.strides.end()), true};
  row.row_contiguous = stacked.row_contiguous || is_row_contiguous(without_axis(shape, 0), row.strides);
  return row;
}

std::vector<bool> reached(const Body& body, const std::vector<bool>& from, bool by_tangents) {
  const Subgraph& g = *body.graph;
  std::vector<bool> hit(from);
  hit.resize(static_cast<size_t>(g.n_slots));
  for (const Step& s : g.steps) {
    bool any = false;
    for (size_t i = 0; i < s.in.size(); ++i) {
      any |= hit[static_cast<size_t>(s.in[i])] && (!by_tangents || s.primitive->differentiable_in(static_cast<int>(i)));
    }
    for (size_t k = 0; k < s.out.size(); ++k) hit[static_cast<size_t>(s.out[k])] = any && (!by_tangents || is_inexact(s.types[k].dtype));
  }
  std::vector<bool> outs;
  for (int o : g.outputs) outs.push_back(hit[static_cast<size_t>(o)]);
  return outs;
}

std::vector<bool> reached_in_loop(const Body& body, std::vector<bool>& from, size_t n_carry, bool by_tangents) {
  while (true) {
    std::vector<bool> outs = reached(body, from, by_tangents);
    bool changed = false;
    for (size_t k = 0; k < n_carry; ++k) {
      if (outs[k] && !from[k]) from[k] = changed = true;
    }
    if (!changed) return outs;
  }
}

Moved push_body(const Body& body, const Arrays& all, const Arrays& tangents) {
  LiveTrace trace;
  Arrays inputs(all), marks, ts;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!tangents[i].defined()) continue;
    marks.push_back(inputs[i] = mark(all[i]));
    ts.push_back(tangents[i]);
  }
  Arrays outs = body(inputs);
  Arrays moved = push(outs, marks, ts, trace.since());
  return {std::move(outs), std::move(moved)};
}

Arrays pull_body(const Body& body, const Arrays& all, const Arrays& cotangents, const std::vector<bool>& need) {
  LiveTrace trace;
  Arrays inputs(all), marks;
  for (size_t i = 0; i < all.size(); ++i) {
    if (need[i]) marks.push_back(inputs[i] = mark(all[i]));
  }
  Arrays found = pull(body(inputs), cotangents, marks, trace.since());
  Arrays result(all.size());
  for (size_t i = 0, k = 0; i < all.size(); ++i) {
    if (need[i]) result[i] = found[k++];
  }
  return result;
}

Batched vmap_body(const Body& body, const Arrays& all, const std::vector<bool>& mapped, int64_t size) {
  LiveTrace trace;
  Arrays inputs(all), sources, batched;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!mapped[i]) continue;
    Type one{all[i].dtype(), without_axis(all[i].shape(), 0)};
    sources.push_back(inputs[i] = array::placeholder(one, "vmap"));
    batched.push_back(all[i]);
  }
  Arrays outs = body(inputs), found = vmap_graph(outs, sources, batched, size, trace.since());
  Batched result;
  for (size_t k = 0; k < outs.size(); ++k) {
    result.mapped.push_back(found[k].defined());
    result.outs.push_back(found[k].defined() ? found[k] : outs[k]);
  }
  return result;
}

array with_batch(const array& x, int64_t size) { return broadcast_to(expand_dims(x, {0}), with_axis(x.shape(), size)); }

}  // namespace mx

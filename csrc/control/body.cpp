#include "control/body.h"

#include "compile/compile.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/cast.h"
#include "ops/movement.h"
#include "transforms/jvp.h"
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

TracedBody trace_body(const Function& f, const Types& inputs, const char* op, bool constants) {
  LiveTrace trace;
  Arrays sources;
  const char* label = placeholder_label(op);
  for (const Type& t : inputs) sources.push_back(array::placeholder(t, label));
  Effects effects;
  Arrays outs = f(sources);
  // Effects happen when the loop runs, not when reverse mode computes the body again: cotangents do not wait for them.
  if (Arrays tokens = effects.take(); !tokens.empty()) outs = depends(outs, tokens);
  Extract piece = extract(outs, sources, trace.since(), constants);
  drop_markers(piece.graph);
  merge_common_steps(piece.graph);
  drop_dead_steps(piece.graph);
  auto program = std::make_shared<Subgraph>(piece.graph);
  fuse_elementwise(*program, piece.captured);
  return {{std::make_shared<Subgraph>(std::move(piece.graph)), std::move(program)}, std::move(piece.captured)};
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

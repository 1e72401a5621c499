#include "transforms/checkpoint.h"

#include "graph/effects.h"
#include "graph/marker.h"
#include "ops/cast.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"
#include "transforms/vmap_graph.h"

namespace mx {

namespace {

Arrays replay_all(const Subgraph& graph, std::span<const array> arrays) {
  size_t n = static_cast<size_t>(graph.n_inputs());
  return replay(graph, arrays.first(n), arrays.subspan(n));
}

// The inputs, to be computed only after the cotangents: what is recomputed from them stays out of memory until
// then, and is not taken for a common subexpression of the forward pass.
Arrays after_cotangents(const Call& c, const Outs& cts) {
  return depends(Arrays(c.inputs().begin(), c.inputs().end()), Arrays(cts.begin(), cts.end()));
}

}  // namespace

const Primitive checkpoint_p = define<CheckpointParams>({
    .name = "checkpoint",
    .infer = [](auto& p, const Call&) { return p.graph->output_types(); },
    .pull =
        [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
          Arrays inputs = after_cotangents(c, cts), marks, result(need.size());
          LiveTrace trace;
          for (size_t i = 0; i < need.size(); ++i) {
            if (need[i]) marks.push_back(inputs[i] = mark(inputs[i]));
          }
          Arrays outs = replay_all(*p.graph, inputs);
          Arrays found = pull(outs, {cts.begin(), cts.end()}, marks, trace.since());
          for (size_t i = 0, k = 0; i < need.size(); ++i) {
            if (need[i]) result[i] = found[k++];
          }
          return result;
        },
    .vmap =
        [](auto& p, const Batch& b) -> Outs {
          Arrays inputs;
          BatchAxes axes;
          for (int i = 0; i < b.n_in(); ++i) {
            inputs.push_back(b.raw(i));
            axes.push_back(b.mapped(i) ? std::optional<int>(0) : std::nullopt);
          }
          Function batched = [&](const Arrays& xs) {
            return vmap([&](const Arrays& one) { return replay_all(*p.graph, one); }, xs, axes,
                        [](size_t n) { return BatchAxes(n, 0); });
          };
          return checkpoint(batched, inputs);
        },
    .expand = [](auto& p, const Call& c) -> Outs { return replay_all(*p.graph, c.inputs()); },
});

Arrays checkpoint(const Function& f, const Arrays& inputs) {
  Extract piece;
  {
    LiveTrace trace;
    Arrays marks = mark(inputs);
    Effects effects;
    piece = extract(f(marks), marks, trace.since());
    // Not part of the piece: what happens in the forward pass must not happen again when it is recomputed.
    effects.stop();
    for (const array& token : effects.take()) add_effect(token);
  }
  SmallVector<array, 3> all(inputs.begin(), inputs.end());
  for (const array& a : piece.captured) all.push_back(a);
  Types types = piece.graph.output_types();
  return make_nodes(checkpoint_p, CheckpointParams{std::make_shared<Subgraph>(std::move(piece.graph))}, std::move(all), types);
}

}  // namespace mx

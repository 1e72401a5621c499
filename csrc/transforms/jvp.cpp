// jvp.cpp — forward mode. Walks the graph between a function's markers and its outputs forwards, asking each
// primitive for the tangents of its outputs. The rules are in ops/; missing ones are found in derive.cpp.

#include "transforms/jvp.h"

#include "base/pointer_map.h"
#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "transforms/rules.h"

namespace mx {

Arrays push(const Arrays& outputs, const Arrays& sources, const Arrays& tangents, uint64_t since) {
  PointerMap<array> moving;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (tangents[i].defined()) moving[sources[i].node()] = tangents[i];
  }
  for (CallRecord* call : calls_above(outputs, since)) {
    Arrays ts;
    bool any = false;
    for (const array& in : call->inputs) {
      array* t = moving.find(in.node());
      ts.push_back(t ? *t : array());
      any |= ts.back().defined();
    }
    if (!any) continue;
    Outs moved = push_call(*call, ts);
    for (uint32_t k = 0; k < call->n_out; ++k) {
      const Node* out = call->peek_output(k);
      if (out && moved[k].defined() && is_inexact(moved[k].dtype())) moving[out] = moved[k];
    }
  }
  Arrays result;
  for (const array& out : outputs) {
    array* t = moving.find(out.node());
    result.push_back(t ? *t : array());
  }
  return result;
}

std::pair<Arrays, Arrays> jvp(const Function& f, const Arrays& primals, const Arrays& tangents) {
  if (primals.size() != tangents.size()) {
    throw TransformError(cat("[jvp] ", primals.size(), " primals but ", tangents.size(), " tangents; need one tangent per primal."));
  }
  Arrays ts;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (tangents[i].defined() && tangents[i].shape() != primals[i].shape()) {
      throw TransformError(cat("[jvp] tangent ", i, " has shape ", tangents[i].shape(), ", its primal has shape ", primals[i].shape(),
                               "; need equal shapes."));
    }
    bool moves = tangents[i].defined() && is_inexact(primals[i].dtype());
    ts.push_back(moves ? astype(tangents[i], primals[i].dtype()) : array());
  }
  LiveTrace trace;
  Arrays marks = mark(primals);
  Arrays outs = f(marks);
  Arrays moved = push(outs, marks, ts, trace.since());
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!moved[k].defined()) moved[k] = zeros_like(outs[k]);
  }
  return {std::move(outs), std::move(moved)};
}

}  // namespace mx

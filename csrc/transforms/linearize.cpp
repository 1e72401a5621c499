// linearize.cpp — push() or pull() done once, on placeholders, and taken out as a graph. What in that graph does not
// depend on the placeholders belongs to the point of linearisation: it becomes a captured array. Start at linearize().

#include "transforms/linearize.h"

#include <numeric>

#include "graph/marker.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"

namespace mx {

namespace {

// The part of a graph that depends on its inputs. The other steps (a rule that goes through `expand` makes some) are
// done here, once, instead of in every replay.
Extract without_constant_steps(Extract piece) {
  const Subgraph& old = piece.graph;
  Subgraph g;
  g.input_types = old.input_types;
  g.n_slots = old.n_inputs();
  Arrays captured, constant(static_cast<size_t>(old.n_slots));
  std::vector<int> renamed(static_cast<size_t>(old.n_slots), -1);
  std::iota(renamed.begin(), renamed.begin() + g.n_slots, 0);
  std::move(piece.captured.begin(), piece.captured.end(), constant.begin() + g.n_slots);
  std::vector<const Step*> kept;
  std::vector<bool> moves(constant.size(), false);
  std::fill_n(moves.begin(), old.n_inputs(), true);
  for (const Step& s : old.steps) {
    bool any = std::any_of(s.in.begin(), s.in.end(), [&](int i) { return moves[static_cast<size_t>(i)]; });
    if (any) {
      kept.push_back(&s);
      for (int o : s.out) moves[static_cast<size_t>(o)] = true;
      continue;
    }
    StreamScope scope(s.stream);
    SmallVector<array, 3> in;
    for (int i : s.in) in.push_back(constant[static_cast<size_t>(i)]);
    Arrays outs = make_nodes(*s.primitive, s.params, std::move(in), s.types);
    for (size_t k = 0; k < outs.size(); ++k) constant[static_cast<size_t>(s.out[k])] = std::move(outs[k]);
  }
  auto capture = [&](int slot) {
    auto at = static_cast<size_t>(slot);
    if (moves[at] || renamed[at] >= 0) return;
    renamed[at] = g.n_slots++;
    g.captured_types.push_back(constant[at].type());
    captured.push_back(constant[at]);
  };
  for (const Step* s : kept) std::for_each(s->in.begin(), s->in.end(), capture);
  std::for_each(old.outputs.begin(), old.outputs.end(), capture);
  auto rename = [&](std::vector<int>& slots) {
    for (int& slot : slots) slot = renamed[static_cast<size_t>(slot)];
  };
  for (const Step* s : kept) {
    for (int o : s->out) renamed[static_cast<size_t>(o)] = g.n_slots++;
    g.steps.push_back(*s);
    rename(g.steps.back().in);
    rename(g.steps.back().out);
  }
  g.outputs = old.outputs;
  rename(g.outputs);
  return {std::move(g), std::move(captured)};
}

Types types_of(const Arrays& xs) {
  Types types;
  for (const array& x : xs) types.push_back(x.type());
  return types;
}

}  // namespace

// Takes a linear map out of the graph that it makes of placeholders.
class LinearTrace {
 public:
  LinearTrace(Types from, Types to, const char* label) {
    map_.input_types_ = std::move(from);
    map_.output_types_ = std::move(to);
    for (size_t i = 0; i < map_.input_types_.size(); ++i) {
      const Type& t = map_.input_types_[i];
      inputs.push_back(is_inexact(t.dtype) ? array::placeholder(t, placeholder_label(label)) : array());
      if (!inputs.back().defined()) continue;
      sources_.push_back(inputs.back());
      map_.moving_.push_back(i);
    }
  }

  // `outputs` of these inputs; undefined ones are zero.
  LinearMap take(const Arrays& outputs) {
    Arrays reached;
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (!outputs[k].defined()) continue;
      reached.push_back(outputs[k]);
      map_.reached_.push_back(k);
    }
    Extract piece = without_constant_steps(extract(reached, sources_, trace_.since()));
    map_.graph_ = std::move(piece.graph);
    map_.captured_ = std::move(piece.captured);
    return std::move(map_);
  }

  Arrays inputs;  // One per input type; undefined where nothing can move.

 private:
  LiveTrace trace_;  // before the placeholders: they must be newer
  LinearMap map_;
  Arrays sources_;
};

Arrays LinearMap::operator()(const Arrays& inputs) const {
  if (inputs.size() != input_types_.size()) {
    throw TransformError(cat("[linear map] ", inputs.size(), " arrays came; need ", input_types_.size(), "."));
  }
  Arrays given, outputs(output_types_.size());
  for (size_t i : moving_) {
    const Type& t = input_types_[i];
    if (inputs[i].defined() && inputs[i].shape() != t.shape) {
      throw TransformError(cat("[linear map] input ", i, " has shape ", inputs[i].shape(), "; need ", t.shape, "."));
    }
    given.push_back(inputs[i].defined() ? astype(inputs[i], t.dtype) : zeros(t.shape, t.dtype));
  }
  Arrays found = replay(graph_, given, captured_);
  for (size_t k = 0; k < reached_.size(); ++k) outputs[reached_[k]] = std::move(found[k]);
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (!outputs[k].defined()) outputs[k] = zeros(output_types_[k].shape, output_types_[k].dtype);
  }
  return outputs;
}

namespace {

// Calls f on marks of the primals; `record` makes the map from its outputs, the marks and the trace.
template <class Record>
std::pair<Arrays, LinearMap> traced(const Function& f, const Arrays& primals, Record&& record) {
  Arrays outs;
  LinearMap map;
  {
    LiveTrace trace;
    Arrays marks = mark(primals);
    outs = f(marks);
    map = record(outs, marks, trace);
  }
  // Values that were read during the trace kept their history; now that it is over, they let go of it.
  for (const array& a : map.captured()) {
    if (a.available()) a.eval();
  }
  return {std::move(outs), std::move(map)};
}

}  // namespace

std::pair<Arrays, LinearMap> linearize(const Function& f, const Arrays& primals) {
  return traced(f, primals, [&](const Arrays& outs, const Arrays& marks, const LiveTrace& trace) {
    LinearTrace linear(types_of(primals), types_of(outs), "linearize");
    return linear.take(push(outs, marks, linear.inputs, trace.since()));
  });
}

std::pair<Arrays, LinearMap> vjp_fn(const Function& f, const Arrays& primals) {
  return traced(f, primals, [&](const Arrays& outs, const Arrays& marks, const LiveTrace& trace) {
    LinearTrace linear(types_of(outs), types_of(primals), "vjp_fn");
    return linear.take(pull(outs, linear.inputs, marks, trace.since()));
  });
}

}  // namespace mx

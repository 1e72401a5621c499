#include "graph/subgraph.h"

#include "base/pointer_map.h"
#include "graph/walk.h"

namespace mx {

Types Subgraph::output_types() const {
  std::vector<const Type*> types(static_cast<size_t>(n_slots));
  size_t slot = 0;
  for (const Type& t : input_types) types[slot++] = &t;
  for (const Type& t : captured_types) types[slot++] = &t;
  for (const Step& s : steps) {
    for (size_t k = 0; k < s.out.size(); ++k) types[static_cast<size_t>(s.out[k])] = &s.types[k];
  }
  Types result;
  for (int o : outputs) result.push_back(*types[static_cast<size_t>(o)]);
  return result;
}

Extract extract(const Arrays& outputs, const Arrays& sources, uint64_t since, bool constants) {
  Subgraph g;
  Arrays captured;
  PointerMap<int> slots;
  for (const array& s : sources) {
    slots[s.node()] = g.n_slots++;
    g.input_types.push_back(s.type());
  }
  std::vector<CallRecord*> calls = calls_above(outputs, since, constants);
  // A source made by a marker is where the piece begins: its call is not part of it.
  std::erase_if(calls, [&](CallRecord* c) {
    array out = c->living_output(0);
    return c->n_out == 1 && out.defined() && slots.contains(out.node());
  });
  PointerMap<bool> inside;
  for (CallRecord* c : calls) inside[c] = true;
  auto capture = [&](const array& a) {
    const Node* node = a.node();
    bool newer = node->newest_mark >= since || (constants && node->serial >= since);
    if (slots.contains(node) || (newer && node->call && inside.contains(node->call))) return;
    slots[node] = g.n_slots++;
    g.captured_types.push_back(a.type());
    captured.push_back(a);
  };
  for (CallRecord* c : calls) {
    for (const array& in : c->inputs) capture(in);
  }
  for (const array& out : outputs) capture(out);
  for (CallRecord* c : calls) {
    Step step{c->primitive, c->params, c->stream, {}, {}, {}, c->origin};
    for (const array& in : c->inputs) step.in.push_back(*slots.find(in.node()));
    Types inferred;
    for (uint32_t k = 0; k < c->n_out; ++k) {
      array out = c->living_output(k);
      if (out.defined()) {
        slots[out.node()] = g.n_slots;
        step.types.push_back(out.type());
      } else {
        if (inferred.empty()) inferred = c->primitive->infer(c->params, Call(*c));
        step.types.push_back(inferred[k]);
      }
      step.out.push_back(g.n_slots++);
    }
    g.steps.push_back(std::move(step));
  }
  for (const array& out : outputs) g.outputs.push_back(*slots.find(out.node()));
  return {std::move(g), std::move(captured)};
}

Arrays replay(const Subgraph& g, std::span<const array> inputs, std::span<const array> captured) {
  Arrays slots(static_cast<size_t>(g.n_slots));
  std::copy(inputs.begin(), inputs.end(), slots.begin());
  std::copy(captured.begin(), captured.end(), slots.begin() + g.n_inputs());
  for (const Step& s : g.steps) {
    StreamScope scope(s.stream);
    OriginScope origin(s.origin);
    SmallVector<array, 3> in;
    for (int i : s.in) in.push_back(slots[static_cast<size_t>(i)]);
    if (s.out.size() == 1) {
      slots[static_cast<size_t>(s.out[0])] = make_node(*s.primitive, s.params, std::move(in), s.types[0]);
    } else {
      Arrays outs = make_nodes(*s.primitive, s.params, std::move(in), s.types);
      for (size_t k = 0; k < outs.size(); ++k) slots[static_cast<size_t>(s.out[k])] = std::move(outs[k]);
    }
  }
  Arrays result;
  for (int o : g.outputs) result.push_back(slots[static_cast<size_t>(o)]);
  return result;
}

std::string to_string(const Subgraph& g) {
  std::ostringstream out;
  auto type = [&](const Type& t) { out << t.dtype << t.shape; };
  int slot = 0;
  for (const Type& t : g.input_types) {
    out << '%' << slot++ << ' ';
    type(t);
    out << " = input\n";
  }
  for (const Type& t : g.captured_types) {
    out << '%' << slot++ << ' ';
    type(t);
    out << " = captured\n";
  }
  for (const Step& s : g.steps) {
    for (size_t k = 0; k < s.out.size(); ++k) {
      out << (k ? ", " : "") << '%' << s.out[k] << ' ';
      type(s.types[k]);
    }
    out << " = " << s.primitive->name;
    if (!s.params.empty()) out << '[' << s.params.str() << ']';
    for (int i : s.in) out << " %" << i;
    out << '\n';
  }
  out << "return";
  for (int o : g.outputs) out << " %" << o;
  out << '\n';
  return out.str();
}

}  // namespace mx

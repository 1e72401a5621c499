// pending.cpp — reading a pending graph in one pass. Start at the constructor.

#include "compile/pending.h"

#include "graph/marker.h"
#include "graph/primitive.h"

namespace mx {

Pending::Pending(std::span<CallRef> calls) : calls_(calls) {
  words_.reserve(8 * calls.size() + 8);
  for (size_t i = 0; i < calls.size(); ++i) add(static_cast<int>(i), *calls[i]);
  uint64_t bits = 1;
  for (Value& v : values_) {
    v.escapes |= v.node->refs.load(std::memory_order_acquire) != v.holders || must_retain(*v.node);
    if (v.leaf) continue;
    bits = bits << 1 | v.escapes;
    if (bits >> 63) words_.push_back(std::exchange(bits, 1));
  }
  words_.push_back(bits);
  // What a pending call reads lives until that call has run; only the others must be held here.
  std::erase_if(held_, [&](const array& a) { return !a.defined() || a.available() || values_[static_cast<size_t>(*index_.find(a.node()))].holders > 1; });
  hash_ = words_.size();
  for (uint64_t w : words_) hash_ = detail::mix(hash_, w);
  for (const CallRef& c : calls) hash_ = detail::mix(hash_, c->params.hash());
}

void Pending::add_type(const Node& node) {
  words_.push_back(static_cast<uint64_t>(node.dtype) << 32 | node.shape.size());
  for (int64_t n : node.shape) words_.push_back(static_cast<uint64_t>(n));
}

void Pending::add(int index, CallRecord& c) {
  words_.push_back(static_cast<uint64_t>(c.primitive->id) << 32 | static_cast<uint64_t>(c.inputs.size()) << 16 | c.n_out);
  words_.push_back(static_cast<uint64_t>(c.stream.device.kind) << 32 | static_cast<uint32_t>(c.stream.index));
  SmallVector<Node*, 1> outputs;
  bool retained = false;  // A live transformation may walk to it, and ask for what it read.
  for (uint32_t k = 0; k < c.n_out; ++k) {
    if (c.n_out == 1) {
      // Pending means that an input of another pending call, or who asked for a value, holds it.
      outputs.push_back(c.outputs[0]);
    } else {
      held_.push_back(c.living_output(k));
      outputs.push_back(held_.back().defined() ? held_.back().node() : nullptr);
    }
    retained |= outputs.back() && must_retain(*outputs.back());
  }
  for (const array& in : c.inputs) {
    auto [at, fresh] = index_.insert(in.node());
    if (fresh) {
      // Made by no pending call: it has a value.
      *at = static_cast<int>(values_.size());
      values_.push_back({in.node(), 0, true, static_cast<int>(leaves_.size())});
      leaves_.push_back(*at);
      words_.push_back(~uint64_t(0));
      add_type(*in.node());
    }
    Value& v = values_[static_cast<size_t>(*at)];
    ++v.holders;
    v.escapes |= retained;
    read_.push_back(*at);
    words_.push_back(static_cast<uint64_t>(v.slot) << 1 | v.leaf);
  }
  for (Node* node : outputs) {
    auto slot = static_cast<int>(made_.size());
    if (!node || node->available.load(std::memory_order_acquire)) {
      plain_ &= !node;
      made_.push_back({-1, index});
      words_.push_back(0);
      continue;
    }
    index_[node] = static_cast<int>(values_.size());
    made_.push_back({static_cast<int>(values_.size()), index});
    values_.push_back({node, c.n_out > 1 ? 1u : 0u, false, slot});
    add_type(*node);
    work_ += node->size;
  }
}

Subgraph Pending::graph() const {
  Subgraph g;
  for (int i : leaves_) {
    const Node& node = *values_[static_cast<size_t>(i)].node;
    g.input_types.push_back({node.dtype, node.shape});
  }
  int next = static_cast<int>(leaves_.size());
  size_t read = 0, made = 0;
  for (const CallRef& c : calls_) {
    Step step{c->primitive, c->params, c->stream, {}, {}, {}, {}};
    for (size_t i = 0; i < c->inputs.size(); ++i) {
      const Value& v = values_[static_cast<size_t>(read_[read++])];
      step.in.push_back(v.leaf ? v.slot : static_cast<int>(leaves_.size()) + v.slot);
    }
    Types inferred;
    for (uint32_t k = 0; k < c->n_out; ++k, ++made) {
      int value = made_[made].value;
      if (value >= 0) {
        const Value& v = values_[static_cast<size_t>(value)];
        step.types.push_back({v.node->dtype, v.node->shape});
        if (v.escapes) g.outputs.push_back(next);
      } else {
        if (inferred.empty()) inferred = c->primitive->infer(c->params, Call(*c));
        step.types.push_back(inferred[k]);
      }
      step.out.push_back(next++);
    }
    g.steps.push_back(std::move(step));
  }
  g.n_slots = next;
  return g;
}

}  // namespace mx

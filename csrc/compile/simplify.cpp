// simplify.cpp — GraphWriter, and the passes made of it. Start at GraphWriter::add().

#include "compile/simplify.h"

#include <numeric>

#include "compile/compile.h"
#include "compile/rewrite.h"
#include "graph/marker.h"
#include "ops/elementwise_params.h"

namespace mx {

namespace {

// Whose operands may change places without a change of the result.
bool commutes(const Primitive& p) {
  auto code = elementwise_code(p);
  if (!code || code->arity != 2) return false;
  switch (static_cast<BinaryOp>(code->op)) {
    case BinaryOp::add:
    case BinaryOp::multiply:
    case BinaryOp::equal:
    case BinaryOp::not_equal:
    case BinaryOp::logical_and:
    case BinaryOp::logical_or:
    case BinaryOp::logical_xor:
    case BinaryOp::bitwise_and:
    case BinaryOp::bitwise_or:
    case BinaryOp::bitwise_xor: return true;
    default: return false;
  }
}

size_t hash_step(const Step& s) {
  size_t h = detail::mix(static_cast<size_t>(s.primitive->id), s.params.hash());
  if (s.in.size() == 2 && commutes(*s.primitive)) {
    return detail::mix(detail::mix(h, static_cast<size_t>(std::min(s.in[0], s.in[1]))), static_cast<size_t>(std::max(s.in[0], s.in[1])));
  }
  for (int i : s.in) h = detail::mix(h, static_cast<size_t>(i));
  return h;
}

bool same_operands(const Step& a, const Step& b) {
  if (a.in == b.in) return true;
  return a.in.size() == 2 && b.in.size() == 2 && a.in[0] == b.in[1] && a.in[1] == b.in[0] && commutes(*a.primitive);
}

bool same_step(const Step& a, const Step& b) {
  return a.primitive == b.primitive && a.stream == b.stream && same_operands(a, b) && a.params == b.params && a.types == b.types;
}

}  // namespace

std::optional<double> repeated_number(const array& a) {
  if (!a.available() || a.size() == 0 || is_complex(a.dtype())) return std::nullopt;
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (a.shape()[i] != 1 && a.strides()[i] != 0) return std::nullopt;
  }
  return dispatch(a.dtype(), [&](auto tag) -> std::optional<double> {
    using T = typename decltype(tag)::type;
    T x = *a.data<T>();
    if constexpr (std::is_same_v<T, complex64_t>) {
      return std::nullopt;
    } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      return static_cast<double>(static_cast<float>(x));
    } else {
      double d = static_cast<double>(x);
      // Large 64-bit integers have no double.
      if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
        if (!(std::abs(d) < 0x1p53)) return std::nullopt;
      }
      return d;
    }
  });
}

int GraphWriter::leaf(const Type& type, int constant) {
  leaf_types_.push_back(type);
  values_.push_back({&leaf_types_.back(), -1, constant});
  return static_cast<int>(values_.size()) - 1;
}

int GraphWriter::input(const Type& type) {
  int v = leaf(type, -1);
  inputs_.push_back(v);
  return v;
}

int GraphWriter::constant(const array& a) {
  auto [v, fresh] = constant_values_.insert(a.node());
  if (!fresh) return *v;
  int made = leaf(a.type(), static_cast<int>(constants_.size()));
  *v = made;
  constants_.push_back({a, repeated_number(a)});
  return made;
}

int GraphWriter::filled(double x, const Type& type) {
  array one(x, type.dtype);
  return constant(array::wrap(one.storage().buffer, type, 0, Strides(type.shape.size(), 0)));
}

int* GraphWriter::place_of(size_t hash, const Step& step) {
  size_t mask = table_.size() - 1;
  for (size_t i = (hash ^ (hash >> 29)) & mask;; i = (i + 1) & mask) {
    int s = table_[i];
    if (s < 0) return &table_[i];
    if (hashes_[static_cast<size_t>(s)] == hash && same_step(steps_[static_cast<size_t>(s)], step)) return &table_[i];
  }
}

void GraphWriter::grow() {
  if (2 * (steps_.size() + 1) <= table_.size()) return;
  table_.assign(2 * table_.size(), -1);
  size_t mask = table_.size() - 1;
  for (size_t s = 0; s < steps_.size(); ++s) {
    size_t i = (hashes_[s] ^ (hashes_[s] >> 29)) & mask;
    while (table_[i] >= 0) i = (i + 1) & mask;
    table_[i] = static_cast<int>(s);
  }
}

SmallVector<int, 2> GraphWriter::add(Step step) {
  for (const Rewrite* r : rewrites_of(*step.primitive)) {
    if (!(rewrites_ || r->always) || !rewrite_enabled(*r) || step.out.size() != 1) continue;
    if (std::optional<int> v = r->apply(*this, step)) return {*v};
  }
  grow();
  size_t hash = hash_step(step);
  int* place = place_of(hash, step);
  if (*place >= 0) {
    const std::vector<int>& out = steps_[static_cast<size_t>(*place)].out;
    return {out.begin(), out.end()};
  }
  *place = static_cast<int>(steps_.size());
  for (size_t k = 0; k < step.out.size(); ++k) {
    step.out[k] = static_cast<int>(values_.size());
    values_.push_back({&step.types[k], static_cast<int>(steps_.size()), -1});
  }
  SmallVector<int, 2> out(step.out.begin(), step.out.end());
  hashes_.push_back(hash);
  steps_.push_back(std::move(step));  // the types stay where they are
  return out;
}

int GraphWriter::make(const Primitive& primitive, Params params, std::vector<int> in, Type type, const Step& like) {
  return add({&primitive, std::move(params), like.stream, std::move(in), {0}, {std::move(type)}, like.origin})[0];
}

std::vector<int> GraphWriter::add(Subgraph g, std::span<const int> leaves) {
  std::vector<int> value(static_cast<size_t>(g.n_slots), -1);
  std::copy(leaves.begin(), leaves.end(), value.begin());
  steps_.reserve(steps_.size() + g.steps.size());
  for (Step& s : g.steps) {
    for (int& i : s.in) i = value[static_cast<size_t>(i)];
    SmallVector<int, 2> place(s.out.begin(), s.out.end()), out = add(std::move(s));
    for (size_t k = 0; k < out.size(); ++k) value[static_cast<size_t>(place[k])] = out[k];
  }
  std::vector<int> outputs;
  for (int o : g.outputs) outputs.push_back(value[static_cast<size_t>(o)]);
  return outputs;
}

Subgraph GraphWriter::finish(std::span<const int> outputs, Arrays& captured) { return cut(inputs_, outputs, captured, &steps_); }

Subgraph GraphWriter::cut(std::span<const int> inputs, std::span<const int> outputs, Arrays& captured, std::vector<Step>* take) const {
  enum : uint8_t { unneeded, needed, given };
  std::vector<uint8_t> state(values_.size(), unneeded);
  for (int v : inputs) state[static_cast<size_t>(v)] = given;
  auto want = [&](int v) {
    if (state[static_cast<size_t>(v)] == unneeded) state[static_cast<size_t>(v)] = needed;
  };
  for (int v : outputs) want(v);
  std::vector<size_t> kept;
  for (size_t s = steps_.size(); s-- > 0;) {
    const Step& step = steps_[s];
    if (std::none_of(step.out.begin(), step.out.end(), [&](int o) { return state[static_cast<size_t>(o)] == needed; })) continue;
    for (int i : step.in) want(i);
    kept.push_back(s);
  }
  Subgraph g;
  std::vector<int> slot(values_.size(), -1);
  for (int v : inputs) {
    slot[static_cast<size_t>(v)] = g.n_slots++;
    g.input_types.push_back(type(v));
  }
  captured.clear();
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].constant < 0 || state[v] != needed) continue;
    slot[v] = g.n_slots++;
    g.captured_types.push_back(*values_[v].type);
    captured.push_back(constants_[static_cast<size_t>(values_[v].constant)].value);
  }
  g.steps.reserve(kept.size());
  for (size_t k = kept.size(); k-- > 0;) {
    if (take) g.steps.push_back(std::move((*take)[kept[k]]));
    else g.steps.push_back(steps_[kept[k]]);
    Step& step = g.steps.back();
    for (int& i : step.in) i = slot[static_cast<size_t>(i)];
    for (int& o : step.out) {
      // An output that is an input of the piece is not used.
      int& place = slot[static_cast<size_t>(o)];
      int number = g.n_slots++;
      if (place < 0) place = number;
      o = number;
    }
  }
  for (int v : outputs) g.outputs.push_back(slot[static_cast<size_t>(v)]);
  return g;
}

// ---- passes over a graph as it is

void drop_markers(Subgraph& g) {
  std::vector<int> now(static_cast<size_t>(g.n_slots));
  std::iota(now.begin(), now.end(), 0);
  std::erase_if(g.steps, [&](Step& s) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    if (s.primitive != &marker_p) return false;
    now[static_cast<size_t>(s.out[0])] = s.in[0];
    return true;
  });
  for (int& o : g.outputs) o = now[static_cast<size_t>(o)];
}

void merge_common_steps(Subgraph& g) {
  std::vector<int> now(static_cast<size_t>(g.n_slots));
  std::iota(now.begin(), now.end(), 0);
  std::vector<std::pair<size_t, int>> table(64, {0, -1});  // hash, kept step; open addressing
  std::vector<Step> kept;
  auto place_of = [&](size_t h, auto&& fits) {
    size_t mask = table.size() - 1, i = (h ^ (h >> 29)) & mask;
    while (table[i].second >= 0 && !(table[i].first == h && fits(table[i].second))) i = (i + 1) & mask;
    return &table[i];
  };
  for (Step& s : g.steps) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    size_t h = hash_step(s);
    auto* place = place_of(h, [&](int k) { return same_step(kept[static_cast<size_t>(k)], s); });
    if (place->second >= 0) {
      const Step& t = kept[static_cast<size_t>(place->second)];
      for (size_t k = 0; k < s.out.size(); ++k) now[static_cast<size_t>(s.out[k])] = t.out[k];
      continue;
    }
    *place = {h, static_cast<int>(kept.size())};
    kept.push_back(std::move(s));
    if (2 * kept.size() < table.size()) continue;
    auto old = std::exchange(table, std::vector<std::pair<size_t, int>>(2 * table.size(), {0, -1}));
    for (const auto& entry : old) {
      if (entry.second >= 0) *place_of(entry.first, [](int) { return false; }) = entry;
    }
  }
  for (int& o : g.outputs) o = now[static_cast<size_t>(o)];
  g.steps = std::move(kept);
}

void drop_dead_steps(Subgraph& g) {
  std::vector<bool> used(static_cast<size_t>(g.n_slots));
  for (int o : g.outputs) used[static_cast<size_t>(o)] = true;
  std::vector<Step> kept;
  for (size_t i = g.steps.size(); i-- > 0;) {
    Step& s = g.steps[i];
    if (std::none_of(s.out.begin(), s.out.end(), [&](int o) { return used[static_cast<size_t>(o)]; })) continue;
    for (int in : s.in) used[static_cast<size_t>(in)] = true;
    kept.push_back(std::move(s));
  }
  std::reverse(kept.begin(), kept.end());
  g.steps = std::move(kept);
}

}  // namespace mx

#include "export/sample.h"

#include <cstring>
#include <numeric>

#include "export/steps.h"
#include "ops/cast.h"
#include "ops/cast_params.h"
#include "ops/movement_params.h"
#include "runtime/eval.h"
#include "transforms/checkpoint.h"

namespace mx::exporting {

namespace {

// All of a Field but its numbers.
void describe(const Field& f, std::string& out) {
  out.push_back(static_cast<char>('0' + f.kind));
  if (f.kind == Field::text) out += f.str;
  if (f.kind == Field::list || f.kind == Field::graph) {
    out += '(';
    for (const Field& item : f.items) describe(item, out);
    out += ')';
  }
}

void describe(const Type& t, std::string& out) { out += cat(' ', t.dtype, '/', t.shape.size()); }

// Without the steps whose output is their input: at size 1 a broadcast may change nothing and not be made at all.
void drop_identities(Subgraph& g) {
  std::vector<int> now(static_cast<size_t>(g.n_slots));
  std::iota(now.begin(), now.end(), 0);
  std::vector<Type> types(g.input_types);
  types.insert(types.end(), g.captured_types.begin(), g.captured_types.end());
  types.resize(static_cast<size_t>(g.n_slots));
  for (const Step& s : g.steps) {
    for (size_t k = 0; k < s.out.size(); ++k) types[static_cast<size_t>(s.out[k])] = s.types[k];
  }
  std::erase_if(g.steps, [&](Step& s) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    const Primitive* p = s.primitive;
    if (p != &reshape_p && p != &broadcast_p && p != &transpose_p && p != &slice_p && p != &astype_p) return false;
    if (types[static_cast<size_t>(s.in[0])] != s.types[0]) return false;
    if (p == &transpose_p && s.params.get<TransposeParams>().axes != all_axes(static_cast<int64_t>(s.types[0].shape.size()))) return false;
    if (p == &slice_p) {
      const Shape& steps = s.params.get<SliceParams>().steps;
      if (std::any_of(steps.begin(), steps.end(), [](int64_t x) { return x != 1; })) return false;
    }
    now[static_cast<size_t>(s.out[0])] = s.in[0];
    return true;
  });
  for (int& o : g.outputs) o = now[static_cast<size_t>(o)];
  // Slots in order again.
  std::vector<int> number(static_cast<size_t>(g.n_slots), -1);
  int next = 0;
  for (; next < g.n_inputs() + static_cast<int>(g.captured_types.size()); ++next) number[static_cast<size_t>(next)] = next;
  for (Step& s : g.steps) {
    for (int& i : s.in) i = number[static_cast<size_t>(i)];
    for (int& o : s.out) o = number[static_cast<size_t>(o)] = next++;
  }
  for (int& o : g.outputs) o = number[static_cast<size_t>(o)];
  g.n_slots = next;
}

bool same_captured(const Arrays& a, const Arrays& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same_value(a[i], b[i])) return false;
  }
  return true;
}

// Numbers of `t`, whose trace was `base`, evaluated with the slots of `s`, which has the same structure.
bool same_numbers(const FunctionTrace& t, const Sample& base, const Sample& s) {
  auto hole = t.sizes->holes.begin();
  for (size_t i = 0; i < base.numbers.size(); ++i) {
    Number want = base.numbers[i];
    if (hole != t.sizes->holes.end() && hole->step == want.step && hole->number == want.place) {
      want.n = want.real ? 0 : evaluate(hole->value.x, s.slots);
      want.x = want.real ? evaluate(hole->value, s.slots) : 0;
      ++hole;
    }
    bool same = want.real ? std::bit_cast<uint64_t>(want.x) == std::bit_cast<uint64_t>(s.numbers[i].x) : want.n == s.numbers[i].n;
    if (!same) return false;
  }
  return same_captured(constants_at(*t.sizes, t.captured, s.slots), s.captured);
}

bool same_graph(Subgraph a, Subgraph b);

bool same_params(const Step& a, const Step& b) {
  if (a.params == b.params) return true;
  if (a.primitive == &checkpoint_p) return same_graph(*a.params.get<CheckpointParams>().graph, *b.params.get<CheckpointParams>().graph);
  // Graphs and rules are compared as data.
  Writer x, y;
  x.field(params_field(*a.primitive, a.params));
  y.field(params_field(*b.primitive, b.params));
  return x.bytes() == y.bytes();
}

bool same_graph(Subgraph a, Subgraph b) {
  drop_identities(a);
  drop_identities(b);
  if (a.steps.size() != b.steps.size() || a.outputs != b.outputs) return false;
  if (a.input_types != b.input_types || a.captured_types != b.captured_types) return false;
  for (size_t k = 0; k < a.steps.size(); ++k) {
    const Step &x = a.steps[k], &y = b.steps[k];
    if (x.primitive != y.primitive || x.in != y.in || x.types != y.types || !same_params(x, y)) return false;
  }
  return true;
}

}  // namespace

Sample::Sample(Traced t, std::vector<int64_t> at) : sizes(std::move(at)), graph(std::move(t.graph)), captured(std::move(t.captured)) {
  inputs = graph.input_types;
  eval(captured);
  for (const Type& type : graph.input_types) slots.push_back(type.shape);
  for (const Type& type : graph.captured_types) slots.push_back(type.shape);
  for (size_t k = 0; k < graph.steps.size(); ++k) {
    const Step& s = graph.steps[k];
    Field f = params_field(*s.primitive, s.params);
    std::string text(s.primitive->name);
    for (int i : s.in) text += cat(' ', i);
    for (const Type& type : s.types) {
      describe(type, text);
      slots.push_back(type.shape);
    }
    describe(f, text);
    structure.push_back(std::move(text));
    int place = 0;
    visit_numbers(f, [&](Field& n) { numbers.push_back({static_cast<int>(k), place++, n.kind == Field::real, n.number, n.value}); });
  }
  std::string outputs;
  for (int o : graph.outputs) outputs += cat(' ', o);
  structure.push_back(std::move(outputs));
}

std::string user_of(const Subgraph& g, int slot) {
  for (const Step& s : g.steps) {
    if (std::find(s.in.begin(), s.in.end(), slot) != s.in.end()) return cat("the operation ", s.primitive->name);
  }
  return "the result";
}

std::optional<std::string> difference(const Sample& a, const Sample& b) {
  for (size_t k = 0; k < std::min(a.structure.size(), b.structure.size()); ++k) {
    if (a.structure[k] == b.structure[k]) continue;
    const Subgraph& g = k < a.graph.steps.size() ? a.graph : b.graph;
    return k < g.steps.size() ? cat("the operation ", g.steps[k].primitive->name) : "what it returns";
  }
  if (a.structure.size() != b.structure.size()) return "the number of operations";
  for (size_t i = 0; i < a.captured.size(); ++i) {
    const array &x = a.captured[i], &y = b.captured[i];
    if (x.node() == y.node() || (x.type() == y.type() && x.size() <= kSmallConstant && !is_complex(x.dtype()))) continue;
    if (same_value(x, y)) continue;
    return cat("a constant of shape ", x.shape(), ", used by ", user_of(a.graph, a.graph.n_inputs() + static_cast<int>(i)));
  }
  return std::nullopt;
}

bool same_value(const array& a, const array& b) {
  if (a.node() == b.node()) return true;
  if (a.type() != b.type()) return false;
  array x = contiguous(a).eval(), y = contiguous(b).eval();
  return x.n_bytes() == 0 || std::memcmp(x.bytes(), y.bytes(), x.n_bytes()) == 0;
}

bool agrees(const FunctionTrace& t, const Sample& base, const Sample& s) {
  try {
    if (base.structure == s.structure && base.captured.size() == s.captured.size() && same_numbers(t, base, s)) return true;
    Concrete c = at(t, s.inputs);
    if (!same_graph(c.graph, s.graph)) return false;
    return same_captured(c.captured, s.captured);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace mx::exporting

#include "export/steps.h"

#include <unordered_map>

#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "export/check.h"
#include "primitives.h"

namespace mx::exporting {

namespace {

// Graphs within graphs: checkpoints within custom rules within checkpoints.
constexpr int kDeepest = 16;
// No array has more axes, or a longer one; byte counts and sums of a few sizes stay within int64.
constexpr size_t kMostAxes = 4096;
constexpr int64_t kLongest = int64_t(1) << 56;

array typed(Type t) { return array::placeholder(std::move(t), "import_function"); }

Field indices(const std::vector<int>& slots) {
  Field f = list_field();
  for (int s : slots) f.items.push_back(integer_field(s));
  return f;
}

// A graph in a Field as what it is written as.
void write_graphs(Field& f) {
  for (Field& item : f.items) write_graphs(item);
  if (f.kind != Field::graph || !f.piece) return;
  f.items = {to_field(*f.piece)};
  f.piece = nullptr;
}

void read_graphs(Field& f, int depth) {
  if (f.kind == Field::graph) {
    if (f.items.size() > 1) corrupt("several graphs in one place");
    if (f.items.size() == 1) f.piece = graph_of(f.items[0], depth + 1);
    f.items.clear();
    return;
  }
  for (Field& item : f.items) read_graphs(item, depth);
}

// ---- control flow

// Files write what a body captured among its inputs; the first `n` are what the loop gives.
void split(Body& b, int n) {
  if (!b.graph || n < 0 || n > b.graph->n_inputs()) corrupt("control flow without a body that fits");
  auto g = std::make_shared<Subgraph>(*b.graph);
  g->captured_types.assign(g->input_types.begin() + n, g->input_types.end());
  g->input_types.resize(static_cast<size_t>(n));
  b = {std::move(g), nullptr};
}

Params with_captured(const Primitive& p, Params params) {
  if (&p == &scan_p) {
    ScanLoopParams s = params.get<ScanLoopParams>();
    if (s.n_carry < 0 || s.n_x < 0 || s.n_carry > INT32_MAX - s.n_x) corrupt("a loop of a wrong size");
    split(s.body, s.n_carry + s.n_x);
    return s;
  }
  if (&p == &while_p) {
    WhileParams w = params.get<WhileParams>();
    split(w.cond, w.n_carry);
    split(w.body, w.n_carry);
    return w;
  }
  if (&p == &switch_p) {
    SwitchParams s = params.get<SwitchParams>();
    for (Body& b : s.branches) split(b, s.n_operands);
    return s;
  }
  return params;
}

// ---- custom functions

Field rule_field(const RuleGraph* r) {
  if (!r || !r->graph) return list_field();
  Field given = list_field();
  for (bool b : r->given) given.items.push_back(integer_field(b));
  return list_field({to_field(*r->graph), std::move(given), integer_field(r->n_primals), integer_field(r->first_extra),
                     integer_field(r->n_extra)});
}

RuleGraph rule_of(const Field& f, int n_args, int depth) {
  RuleGraph r;
  if (items_of(f).empty()) return r;
  const std::vector<Field>& items = items_of(f, 5);
  r.graph = graph_of(items[0], depth + 1);
  for (const Field& g : items_of(items[1])) r.given.push_back(index_of(g, 2) != 0);
  r.n_primals = index_of(items[2], n_args + 1);
  r.first_extra = index_of(items[3], n_args + 1);
  r.n_extra = index_of(items[4], n_args - r.first_extra + 1);
  if (r.first_extra < r.n_primals) corrupt("a rule's own arrays lie among the arguments");
  size_t n = static_cast<size_t>(std::count(r.given.begin(), r.given.end(), true));
  if (r.graph->outputs.size() != n) corrupt("a rule's graph has a wrong number of outputs");
  return r;
}

Field custom_field(const CustomParams& p) {
  return list_field({text_field(p.rules->name), integer_field(p.n_args), rule_field(vjp_graph(*p.rules)), rule_field(jvp_graph(*p.rules))});
}

Params custom_of(const Field& f, int depth) {
  const std::vector<Field>& items = items_of(f, 4);
  int n_args = index_of(items[1], 1 << 30);
  RuleGraph vjp = rule_of(items[2], n_args, depth), jvp = rule_of(items[3], n_args, depth);
  return CustomParams{rules_by_graphs(text_of(items[0]), std::move(vjp), std::move(jvp)), n_args};
}

Arrays run_rule(const RuleGraph& r, const Arrays& primals, std::initializer_list<const Arrays*> others) {
  Arrays in(primals.begin(), primals.begin() + r.n_primals);
  for (const Arrays* more : others) in.insert(in.end(), more->begin(), more->end());
  in.insert(in.end(), primals.begin() + r.first_extra, primals.begin() + r.first_extra + r.n_extra);
  for (size_t i = 0; i < in.size(); ++i) {
    const Type& need = r.graph->input_types[i];
    if (in[i].type() != need) {
      throw TransformError(cat("[import_function] a custom rule was exported for ", need.dtype, need.shape, " and got ", in[i].dtype(),
                               in[i].shape(), "."));
    }
  }
  Arrays found = run(*r.graph, in, {}), out;
  size_t k = 0;
  for (bool given : r.given) out.push_back(given ? found[k++] : array());
  return out;
}

}  // namespace

// ---- types

Field to_field(const Type& t) {
  Field f = list_field({text_field(name(t.dtype))});
  for (int64_t size : t.shape) f.items.push_back(integer_field(size));
  return f;
}

Type type_of(const Field& f) {
  const std::vector<Field>& items = items_of(f);
  if (items.empty() || items.size() > kMostAxes) corrupt("a type without a dtype, or with too many axes");
  Type t{Dtype::float32, {}};
  mx::detail::from_field(items[0], t.dtype);
  for (size_t i = 1; i < items.size(); ++i) {
    if (integer_of(items[i]) < 0 || items[i].number > kLongest) corrupt("a size out of range");
    t.shape.push_back(items[i].number);
  }
  return t;
}

Field to_field(const Types& ts) {
  Field f = list_field();
  for (const Type& t : ts) f.items.push_back(to_field(t));
  return f;
}

Types types_of(const Field& f) {
  Types ts;
  for (const Field& t : items_of(f)) ts.push_back(type_of(t));
  return ts;
}

// ---- parameters

bool has_opaque(const Field& f) {
  return f.kind == Field::opaque || std::any_of(f.items.begin(), f.items.end(), has_opaque);
}

Field params_field(const Primitive& p, const Params& params) {
  if (&p == &custom_p) return custom_field(params.get<CustomParams>());
  Field f = params.to_field();
  if (has_opaque(f)) {
    throw ValueError(cat("[export_function] the operation ", p.name, " holds something that cannot be written to a file, such as a function."));
  }
  write_graphs(f);
  return f;
}

Params params_of(const Primitive& p, const Field& f, int depth) {
  if (&p == &custom_p) return custom_of(f, depth);
  Field read(f);
  read_graphs(read, depth);
  return with_captured(p, p.from_field(read));
}

// ---- steps

const Primitive* find_primitive(std::string_view name) {
  static const auto* by_name = [] {
    auto* map = new std::unordered_map<std::string_view, const Primitive*>;
    for (const Primitive* p : all_primitives()) map->emplace(p->name, p);
    return map;
  }();
  auto at = by_name->find(name);
  return at == by_name->end() ? nullptr : at->second;
}

Types checked_types(const Primitive& p, const Params& params, const SmallVector<array, 3>& in) {
  const Check* check = find_check(p);
  if (!check) throw ValueError(cat("the operation ", p.name, " cannot stand in a file"));
  CallRecord record(p, params, in, 1, 0);
  Call call(record);
  (*check)(params, call);
  Types types = p.infer(params, call);
  for (const Type& t : types) {
    for (int64_t size : t.shape) {
      if (size < 0 || size > kLongest) throw ValueError("a size is out of range");
    }
  }
  return types;
}

Field to_field(const Step& s) {
  return list_field({text_field(s.primitive->name), params_field(*s.primitive, s.params), indices(s.in), to_field(s.types)});
}

Step step_of(const Field& f, Arrays& slots, int depth) {
  const std::vector<Field>& items = items_of(f, 4);
  Step s{find_primitive(text_of(items[0])), {}, {}, {}, {}, {}};
  if (!s.primitive) corrupt(cat("there is no operation ", text_of(items[0]).substr(0, 40)));
  SmallVector<array, 3> in;
  for (const Field& i : items_of(items[2])) {
    s.in.push_back(index_of(i, static_cast<int64_t>(slots.size())));
    in.push_back(slots[static_cast<size_t>(s.in.back())]);
  }
  s.types = types_of(items[3]);
  if (!find_check(*s.primitive)) corrupt(cat("the operation ", s.primitive->name, " cannot stand in a file"));
  s.params = params_of(*s.primitive, items[1], depth);
  Types found = checked_types(*s.primitive, s.params, in);
  if (found != s.types) corrupt(cat("the operation ", s.primitive->name, " does not give the types stated"));
  if (s.types.empty()) corrupt(cat("the operation ", s.primitive->name, " gives nothing"));
  for (const Type& t : s.types) {
    s.out.push_back(static_cast<int>(slots.size()));
    slots.push_back(typed(t));
  }
  return s;
}

// ---- graphs

Field to_field(const Subgraph& g) {
  Types types(g.input_types);
  types.insert(types.end(), g.captured_types.begin(), g.captured_types.end());
  Field steps = list_field();
  // Outputs are numbered in order; in a simplified graph they may not be.
  std::vector<int> number(static_cast<size_t>(g.n_slots), -1);
  int next = 0;
  for (size_t i = 0; i < types.size(); ++i) number[i] = next++;
  for (const Step& s : g.steps) {
    Step renamed(s);
    for (int& i : renamed.in) i = number[static_cast<size_t>(i)];
    for (int o : s.out) number[static_cast<size_t>(o)] = next++;
    steps.items.push_back(to_field(renamed));
  }
  std::vector<int> outputs;
  for (int o : g.outputs) outputs.push_back(number[static_cast<size_t>(o)]);
  return list_field({to_field(types), std::move(steps), indices(outputs)});
}

std::shared_ptr<const Subgraph> graph_of(const Field& f, int depth) {
  if (depth > kDeepest) corrupt("graphs are nested too deeply");
  const std::vector<Field>& items = items_of(f, 3);
  auto g = std::make_shared<Subgraph>();
  g->input_types = types_of(items[0]);
  Arrays slots;
  for (const Type& t : g->input_types) slots.push_back(typed(t));
  for (const Field& s : items_of(items[1])) g->steps.push_back(step_of(s, slots, depth));
  g->n_slots = static_cast<int>(slots.size());
  for (const Field& o : items_of(items[2])) g->outputs.push_back(index_of(o, g->n_slots));
  return g;
}

Arrays run(const Subgraph& g, std::span<const array> inputs, std::span<const array> captured) {
  Arrays slots(static_cast<size_t>(g.n_slots));
  std::copy(inputs.begin(), inputs.end(), slots.begin());
  std::copy(captured.begin(), captured.end(), slots.begin() + g.n_inputs());
  for (const Step& s : g.steps) {
    SmallVector<array, 3> in;
    for (int i : s.in) in.push_back(slots[static_cast<size_t>(i)]);
    Arrays outs = make_nodes(*s.primitive, s.params, std::move(in), s.types);
    for (size_t k = 0; k < outs.size(); ++k) slots[static_cast<size_t>(s.out[k])] = std::move(outs[k]);
  }
  Arrays result;
  for (int o : g.outputs) result.push_back(slots[static_cast<size_t>(o)]);
  return result;
}

// ---- rules

Arrays VjpByGraph::operator()(const Arrays& primals, const Arrays& cts, const Arrays& outs) const {
  Arrays found = run_rule(rule, primals, {&cts, &outs});
  found.resize(primals.size());
  return found;
}

Arrays JvpByGraph::operator()(const Arrays& primals, const Arrays& tangents) const {
  Arrays some(tangents.begin(), tangents.begin() + rule.n_primals);
  return run_rule(rule, primals, {&some});
}

std::shared_ptr<const CustomRules> rules_by_graphs(std::string name, RuleGraph vjp, RuleGraph jvp) {
  auto rules = std::make_shared<CustomRules>();
  rules->name = std::move(name);
  if (vjp.graph) rules->vjp = VjpByGraph{std::move(vjp)};
  if (jvp.graph) rules->jvp = JvpByGraph{std::move(jvp)};
  return rules;
}

const RuleGraph* vjp_graph(const CustomRules& rules) {
  auto* by = rules.vjp.target<VjpByGraph>();
  return by ? &by->rule : nullptr;
}

const RuleGraph* jvp_graph(const CustomRules& rules) {
  auto* by = rules.jvp.target<JvpByGraph>();
  return by ? &by->rule : nullptr;
}

}  // namespace mx::exporting

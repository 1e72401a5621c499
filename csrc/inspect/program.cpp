#include "inspect/program.h"

#include <charconv>

#include "compile/compile.h"
#include "compile/program.h"
#include "export/dot.h"
#include "export/trace.h"
#include "graph/effects.h"
#include "graph/marker.h"
#include "runtime/eval.h"
#include "runtime/format.h"
#include "transforms/custom.h"

namespace mx {

namespace {

ReadableProgram read(std::string name, Subgraph graph, const Arrays& captured);

// ---- parameters as text

std::string number(double x) {
  char text[32];
  auto [end, error] = std::to_chars(text, text + sizeof text, x);
  return {text, end};
}

bool is_word(const std::string& s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

std::string quoted(const std::string& s) {
  std::string out = "'";
  for (char c : s) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string text_of(const Field& f);

std::string labelled(const Field& f) { return f.label.empty() ? text_of(f) : cat(f.label, "=", text_of(f)); }

// As Python would write it.
std::string text_of(const Field& f) {
  switch (f.kind) {
    case Field::none: return "None";
    case Field::integer: return f.look == Field::flag ? (f.number ? "True" : "False") : cat(f.number);
    case Field::real: return number(f.value);
    case Field::text: return is_word(f.str) ? f.str : quoted(f.str);
    case Field::graph: return "{...}";
    case Field::opaque: return "...";
    case Field::list: break;
  }
  if (f.look == Field::maybe) return f.items.empty() ? "None" : text_of(f.items[0]);
  std::string out = "(";
  for (const Field& item : f.items) out += cat(out.size() > 1 ? ", " : "", labelled(item));
  return out + (f.items.size() == 1 && f.look != Field::record ? ",)" : ")");
}

bool has_graph(const Field& f) { return f.kind == Field::graph || std::any_of(f.items.begin(), f.items.end(), has_graph); }

// The graphs in a parameter become bodies, named by the way to them: "branches[1]".
void add_bodies(const Field& f, const std::string& path, ProgramStep& step) {
  if (f.kind == Field::graph) {
    if (f.piece) step.bodies.push_back({path, read("", *f.piece, {})});
    return;
  }
  for (size_t i = 0; i < f.items.size(); ++i) {
    const Field& item = f.items[i];
    bool named = f.look == Field::record;
    // A struct around one graph is that graph.
    std::string way = named ? (item.label.empty() || item.kind == Field::graph ? path : cat(path, ".", item.label)) : cat(path, "[", i, "]");
    if (has_graph(item)) add_bodies(item, way, step);
  }
}

// A fused program as a graph: its operations on placeholders.
Extract opened(const Step& s, const Types& in) {
  LiveTrace trace;
  Arrays sources;
  for (const Type& t : in) sources.push_back(array::placeholder(t, "make_program"));
  CallRecord call(*s.primitive, s.params, SmallVector<array, 3>(sources.begin(), sources.end()), static_cast<uint32_t>(s.out.size()), 0);
  Outs outs = s.primitive->expand(s.params, Call(call));
  return extract({outs.begin(), outs.end()}, sources, trace.since());
}

void add_params(const Step& s, const Types& in, ProgramStep& step) {
  if (program_in(*s.primitive, s.params)) {
    Extract e = opened(s, in);
    eval(e.captured);  // its constants: views of single numbers
    step.bodies.push_back({"program", read("", std::move(e.graph), e.captured)});
    return;
  }
  if (s.primitive == &custom_p) {
    const CustomRules& rules = *s.params.get<CustomParams>().rules;
    std::string given;
    auto rule = [&](bool has, const char* name) { given += has ? cat(given.empty() ? "" : ", ", name) : ""; };
    rule(bool(rules.vjp), "vjp");
    rule(bool(rules.jvp), "jvp");
    rule(bool(rules.vmap), "vmap");
    step.params.emplace_back("name", quoted(rules.name));
    step.params.emplace_back("rules", cat("(", given, ")"));
    return;
  }
  Field all = s.params.to_field();
  for (const Field& f : all.items) {
    if (has_graph(f)) {
      add_bodies(f, std::string(f.label), step);
    } else if (f.kind != Field::opaque) {
      step.params.emplace_back(f.label, text_of(f));
    }
  }
}

// ---- from a graph

// The value of an evaluated array that holds one number, perhaps repeated.
std::string value_of(const array& a) {
  if (!a.available() || a.size() == 0) return "";
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (a.shape()[i] != 1 && a.strides()[i] != 0) return "";
  }
  array one = array::wrap(a.storage().buffer, {a.dtype(), {}}, a.storage().offset);
  std::string text = str(one);  // array(0.5, dtype=float32)
  return text.substr(6, text.find(", dtype") - 6);
}

ReadableProgram read(std::string name, Subgraph graph, const Arrays& captured) {
  drop_markers(graph);
  ReadableProgram p;
  p.name = std::move(name);
  for (const Type& t : graph.input_types) p.inputs.push_back({t, "", ""});
  for (size_t i = 0; i < graph.captured_types.size(); ++i) {
    p.captured.push_back({graph.captured_types[i], "", i < captured.size() ? value_of(captured[i]) : ""});
  }
  // Simplified graphs have gaps in their numbers.
  std::vector<int> now(static_cast<size_t>(graph.n_slots), -1);
  int next = 0;
  for (size_t i = 0; i < p.inputs.size() + p.captured.size(); ++i) now[i] = next++;
  for (Step& s : graph.steps) {
    for (int& i : s.in) i = now[static_cast<size_t>(i)];
    for (int& o : s.out) o = now[static_cast<size_t>(o)] = next++;
  }
  for (int& o : graph.outputs) o = now[static_cast<size_t>(o)];
  graph.n_slots = next;
  Types types = slot_types(graph);
  std::vector<Cost> costs = step_costs(graph);
  for (size_t n = 0; n < graph.steps.size(); ++n) {
    const Step& s = graph.steps[n];
    ProgramStep step;
    step.op = s.primitive->name;
    step.in = s.in;
    step.out = s.out;
    step.types = s.types;
    if (s.origin) step.origin = *s.origin;
    Types in;
    for (int i : s.in) in.push_back(types[static_cast<size_t>(i)]);
    add_params(s, in, step);
    step.cost = costs[n];
    p.cost += step.cost;
    p.steps.push_back(std::move(step));
  }
  p.outputs = graph.outputs;
  p.output_types = graph.output_types();
  p.graph = std::move(graph);
  return p;
}

// ---- as text

std::string type_text(const Type& t) {
  std::string out = cat(t.dtype, "[");
  for (size_t i = 0; i < t.shape.size(); ++i) out += cat(i ? ", " : "", t.shape[i]);
  return out + "]";
}

// "/home/me/model.py:12, in the vjp of log" without the folders.
std::string short_origin(const std::string& origin) {
  size_t end = std::min(origin.find(", in the "), origin.size());
  size_t slash = origin.find_last_of("/\\", end);
  return slash == std::string::npos || slash > end ? origin : origin.substr(slash + 1);
}

void write(std::string& out, const ReadableProgram& p, const std::string& indent, bool lines) {
  int n = 0;
  for (const ProgramInput& i : p.inputs) {
    out += cat(indent, "%", n++, " ", type_text(i.type), " = input", i.name.empty() ? "" : " ", i.name, "\n");
  }
  for (const ProgramInput& c : p.captured) {
    out += cat(indent, "%", n++, " ", type_text(c.type), c.value.empty() ? " = captured" : " = constant ", c.value, "\n");
  }
  for (const ProgramStep& s : p.steps) {
    out += indent;
    for (size_t k = 0; k < s.out.size(); ++k) out += cat(k ? ", " : "", "%", s.out[k], " ", type_text(s.types[k]));
    out += cat(" = ", s.op, "(");
    bool first = true;
    auto comma = [&] { return std::exchange(first, false) ? "" : ", "; };
    for (int i : s.in) out += cat(comma(), "%", i);
    for (const auto& [name, value] : s.params) out += cat(comma(), name, name.empty() ? "" : "=", value);
    out += ")";
    if (lines && !s.origin.empty()) out += cat("  # ", short_origin(s.origin));
    out += "\n";
    for (const ProgramBody& b : s.bodies) {
      out += cat(indent, "  ", b.name.empty() ? "body" : b.name, ":\n");
      write(out, b.program, indent + "    ", lines);
    }
  }
  out += cat(indent, "return");
  for (size_t i = 0; i < p.outputs.size(); ++i) out += cat(i ? ", %" : " %", p.outputs[i]);
  out += "\n";
}

void count(const ReadableProgram& p, std::map<std::string, int64_t>& counts) {
  for (const ProgramStep& s : p.steps) {
    ++counts[s.op];
    for (const ProgramBody& b : s.bodies) count(b.program, counts);
  }
}

}  // namespace

std::string ReadableProgram::text(bool lines) const {
  std::string out = cat("program ", name, ": ", steps.size(), steps.size() == 1 ? " step, " : " steps, ", cost.flops, " flops, ", cost.bytes,
                        " bytes\n");
  write(out, *this, "  ", lines);
  return out;
}

std::map<std::string, int64_t> ReadableProgram::counts() const {
  std::map<std::string, int64_t> counts;
  count(*this, counts);
  return counts;
}

std::string ReadableProgram::to_dot() const {
  Arrays arrays;
  std::vector<std::pair<std::string, array>> names;
  for (const ProgramInput& i : inputs) {
    arrays.push_back(array::placeholder(i.type, "to_dot"));
    names.emplace_back(i.name.empty() ? cat("%", arrays.size() - 1) : i.name, arrays.back());
  }
  Arrays constants;
  for (const ProgramInput& c : captured) {
    constants.push_back(array::placeholder(c.type, "to_dot"));
    names.emplace_back(cat("%", arrays.size() + constants.size() - 1, c.value.empty() ? "" : " = ", c.value), constants.back());
  }
  return mx::to_dot(replay(graph, arrays, constants), names);
}

ReadableProgram make_program(std::string name, const Function& f, const Types& inputs, const ProgramOptions& options) {
  exporting::Traced t = exporting::trace_for_reading(f, inputs, "make_program", !options.fused);
  ReadableProgram p = read(std::move(name), std::move(t.graph), t.captured);
  for (size_t i = 0; i < p.inputs.size() && i < options.input_names.size(); ++i) p.inputs[i].name = options.input_names[i];
  return p;
}

Types eval_shape(const Function& f, const Types& inputs) {
  LiveTrace trace;
  Effects none;
  Arrays sources;
  for (const Type& t : inputs) sources.push_back(array::placeholder(t, placeholder_label("eval_shape")));
  Types types;
  for (const array& out : f(sources)) types.push_back(out.type());
  return types;
}

}  // namespace mx

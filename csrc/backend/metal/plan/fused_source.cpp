// fused_source.cpp — see fused_source.h. Values are variables v0, v1, ... of the type that they are computed in; those of float16 and
// bfloat16 are floats, rounded after every instruction. Programs with rows: teams of threads (metal/kernels/lanes.h) pass their
// rows once for each level of reductions that wait for others, and once more for what is written. Column reductions are
// left to reduce.metal, from elements that this kernel stores. Start at source_of().

#include "backend/metal/plan/fused_source.h"

#include <algorithm>
#include <sstream>

#include "backend/metal/plan/prelude.h"
#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rows.h"

namespace mx::metal {

namespace {

constexpr size_t kMostInstructions = 512;

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }

// In memory, and in variables.
const char* stored(Dtype t) {
  constexpr const char* names[] = {"bool", "uchar", "ushort", "uint", "ulong", "char", "short", "int", "long", "half", "bfloat", "float", "", "complex64"};
  return names[static_cast<int>(t)];
}
const char* computed(Dtype t) { return is_half(t) ? "float" : stored(t); }

std::string hex(uint64_t x) {
  std::ostringstream s;
  s << "0x" << std::hex << x;
  return s.str();
}

std::string literal(const Constant& c) {
  uint64_t bits = c.bits;
  switch (c.dtype) {
    case Dtype::bool_: return bits & 0xff ? "true" : "false";
    case Dtype::float16: return cat("float(as_type<half>(ushort(", hex(bits & 0xffff), "u)))");
    case Dtype::bfloat16: return cat("float(as_type<bfloat>(ushort(", hex(bits & 0xffff), "u)))");
    case Dtype::float32: return cat("as_type<float>(", hex(bits & 0xffffffff), "u)");
    case Dtype::complex64: return cat("mx::scalar::make_complex(as_type<float>(", hex(bits & 0xffffffff), "u), as_type<float>(", hex(bits >> 32), "u))");
    default: return cat(stored(c.dtype), "(", hex(size_of(c.dtype) == 8 ? bits : bits & ((uint64_t(1) << (8 * size_of(c.dtype))) - 1)), "ul)");
  }
}

// A column reduction reads elements that were stored; output k is its result.
struct Column {
  size_t value, operand, output;
};

class Printer {
 public:
  explicit Printer(const Program& p) : p_(p), levels_(p.levels()), first_code_(p.inputs.size() + p.constants.size()) {
    if (p.row_axes == 0) std::fill(levels_.begin(), levels_.end(), Level::full);
    at_.assign(p.n_values(), 0);
    for (size_t v = first_code_; v < p.n_values(); ++v) {
      const Instr& i = instr(v);
      for (int k = 0; k < i.n_operands(); ++k) at_[v] = std::max(at_[v], at_[i.operand(k)]);
      if (i.reduce != Reduce::none && !i.columns) ++at_[v];
      n_passes_ = std::max(n_passes_, at_[v]);
    }
  }

  std::string flat() {
    begin_kernel("fused_contiguous");
    parameter("constant ulong& n");
    parameter("constant uint* steps");
    end_parameters();
    constants();
    text_ += "  ulong begin = linear_index(at, grid) * 4;\n  for (ulong i = begin; i < begin + 4 && i < n; ++i) {\n";
    for (size_t k = 0; k < p_.inputs.size(); ++k) load(k, cat("i * steps[", k, "]"), "    ");
    body("    ");
    text_ += "  }\n}\n\n";

    begin_kernel("fused_strided");
    parameter("constant long* layout");
    end_parameters();
    constants();
    text_ += cat("  long width = layout_size(layout, 0), height = layout_size(layout, 1);\n  ulong rest = layout_rest(layout);\n"
                 "  for (ulong z = at.z; z < rest; z += grid.z) {\n    for (long y = at.y; y < height; y += grid.y) {\n"
                 "      Offsets<", p_.inputs.size(), "> o = row_offsets<", p_.inputs.size(), ">(layout, z, y);\n"
                 "      for (long x = at.x; x < width; x += grid.x) {\n        ulong i = (z * ulong(height) + ulong(y)) * ulong(width) + ulong(x);\n");
    for (size_t k = 0; k < p_.inputs.size(); ++k) load(k, cat("o.at[", k, "] + x * layout_stride(layout, ", k, ", 0)"), "        ");
    body("        ");
    text_ += "      }\n    }\n  }\n}\n";
    return std::move(text_);
  }

  std::string rows() {
    text_ += "struct Rows {\n  ulong n_rows, length, n_groups;\n  uint width, one_axis;\n};\n\n";
    begin_kernel("fused_rows", true);
    for (size_t k = 0; k < columns_of(p_).size(); ++k) {
      parameter(cat("device ", stored(instr(columns_of(p_)[k].value).out), "* column", k));
    }
    parameter("constant Rows& rows");
    parameter("constant long* kept");
    parameter("constant long* along");
    text_ += "    uint3 group [[threadgroup_position_in_grid]],\n    uint3 groups [[threadgroups_per_grid]],\n"
             "    uint tid [[thread_index_in_threadgroup]]) {\n";
    for (std::string_view t : scratch_types()) text_ += cat("  threadgroup ", t, " scratch_", t, "[kTeamScratch];\n");
    size_t n = p_.inputs.size();
    text_ += cat("  ulong g = linear_index(group, groups);\n  if (g >= rows.n_groups) return;\n  Team team = make_team(false, rows.width, g, tid);\n"
                 "  bool works = team.row < rows.n_rows;\n  ulong begin = works ? team.lane : rows.length;\n"
                 "  Offsets<", n, "> first = element_offsets<", n, ">(kept, works ? team.row : 0);\n");
    constants();
    for (size_t k = 0; k < n; ++k) {
      if (!in_row(k)) load(k, cat("first.at[", k, "]"), "  ");
    }
    for (int q = 0;; ++q) {
      // What is the same all along a row.
      for (size_t v = first_code_; v < p_.n_values(); ++v) {
        if (!in_row(v) && at_[v] == q && instr(v).reduce == Reduce::none) statement(v, "  ");
      }
      if (q == n_passes_) break;
      pass(q);
    }
    last_pass();
    write_rows();
    text_ += "}\n";
    return std::move(text_);
  }

  static std::vector<Column> columns_of(const Program& p) {
    std::vector<Column> columns;
    size_t first_code = p.inputs.size() + p.constants.size();
    for (size_t k = 0; k < p.outputs.size(); ++k) {
      size_t v = p.outputs[k];
      if (v >= first_code && p.code[v - first_code].columns) columns.push_back({v, p.code[v - first_code].a, k});
    }
    return columns;
  }

 private:
  const Instr& instr(size_t v) const { return p_.code[v - first_code_]; }
  bool in_row(size_t v) const { return (static_cast<uint8_t>(levels_[v]) & static_cast<uint8_t>(Level::per_column)) != 0; }
  /// What is bound next.
  void parameter(std::string_view declaration) { text_ += cat("    ", declaration, " [[buffer(", slot_++, ")]],\n"); }

  void begin_kernel(std::string_view name, bool rows = false) {
    slot_ = 0;
    text_ += cat("[[kernel]] ", rows ? "[[max_total_threads_per_threadgroup(1024)]] " : "", "void ", name, "(\n");
    for (size_t k = 0; k < p_.inputs.size(); ++k) parameter(cat("device const ", stored(p_.inputs[k]), "* in", k));
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      bool column = p_.outputs[k] >= first_code_ && instr(p_.outputs[k]).columns;
      if (column) ++slot_;
      else parameter(cat("device ", stored(p_.dtype(p_.outputs[k])), "* out", k));
    }
  }
  void end_parameters() { text_ += "    uint3 at [[thread_position_in_grid]],\n    uint3 grid [[threads_per_grid]]) {\n"; }

  void constants() {
    for (size_t k = 0; k < p_.constants.size(); ++k) {
      text_ += cat("  const ", computed(p_.constants[k].dtype), " v", p_.inputs.size() + k, " = ", literal(p_.constants[k]), ";\n");
    }
  }
  void load(size_t k, const std::string& at, std::string_view indent) {
    text_ += cat(indent, "const ", computed(p_.inputs[k]), " v", k, " = ", computed(p_.inputs[k]), "(in", k, "[", at, "]);\n");
  }

  // x rounded to dtype t, as a variable of it.
  std::string rounded(Dtype t, const std::string& x) const { return is_half(t) ? cat("float(", stored(t), "(", x, "))") : x; }
  std::string converted(Dtype t, const std::string& x) const {
    return is_half(t) ? cat("float(convert<", stored(t), ">(", x, "))") : cat("convert<", stored(t), ">(", x, ")");
  }
  std::string name(size_t v) const { return cat("v", v); }

  void statement(size_t v, std::string_view indent) {
    const Instr& i = instr(v);
    std::string value, a = name(i.a);
    if (i.cast) {
      value = converted(i.out, a);
    } else if (i.code.arity == 3) {
      value = cat(a, " ? ", name(i.b), " : ", name(i.c));
    } else {
      std::string call = cat("mx::scalar::", elementwise_primitive(i.code).name, "(", a, i.code.arity == 2 ? ", " + name(i.b) : "", ")");
      value = rounded(i.out, call);
    }
    text_ += cat(indent, "const ", computed(i.out), " v", v, " = ", value, ";\n");
  }

  // out[at] = value, in memory's type.
  std::string kept(Dtype t, const std::string& x) const { return is_half(t) ? cat(stored(t), "(", x, ")") : x; }

  void body(std::string_view indent) {
    for (size_t v = first_code_; v < p_.n_values(); ++v) statement(v, indent);
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      text_ += cat(indent, "out", k, "[i] = ", kept(p_.dtype(p_.outputs[k]), name(p_.outputs[k])), ";\n");
    }
  }

  // ---- rows

  std::vector<std::string_view> scratch_types() const {
    std::vector<std::string_view> types;
    for (const Instr& i : p_.code) {
      if (i.reduce == Reduce::none || i.columns) continue;
      std::string_view t = computed(i.out);
      if (std::find(types.begin(), types.end(), t) == types.end()) types.push_back(t);
    }
    return types;
  }

  // Values within rows that `wanted` need, in order.
  std::vector<bool> needed(const std::vector<size_t>& wanted) const {
    std::vector<bool> need(p_.n_values());
    for (size_t v : wanted) need[v] = in_row(v);
    for (size_t v = p_.n_values(); v-- > first_code_;) {
      if (!need[v]) continue;
      for (int k = 0; k < instr(v).n_operands(); ++k) need[instr(v).operand(k)] = need[instr(v).operand(k)] || in_row(instr(v).operand(k));
    }
    return need;
  }

  void loop(const std::vector<bool>& need) {
    size_t n = p_.inputs.size();
    text_ += "  for (ulong i = begin; i < rows.length; i += team.width) {\n";
    if (std::find(need.begin(), need.begin() + static_cast<ptrdiff_t>(n), true) != need.begin() + static_cast<ptrdiff_t>(n)) {
      text_ += cat("    Offsets<", n, "> e;\n    if (rows.one_axis) {\n      for (int k = 0; k < ", n,
                   "; ++k) e.at[k] = long(i) * layout_stride(along, k, 0);\n    } else {\n      e = element_offsets<", n, ">(along, i);\n    }\n");
    }
    for (size_t k = 0; k < n; ++k) {
      if (need[k]) load(k, cat("first.at[", k, "] + e.at[", k, "]"), "    ");
    }
    for (size_t v = first_code_; v < p_.n_values(); ++v) {
      if (need[v]) statement(v, "    ");
    }
  }

  void pass(int q) {
    std::vector<size_t> found, operands;
    for (size_t v = first_code_; v < p_.n_values(); ++v) {
      if (instr(v).reduce == Reduce::none || instr(v).columns || at_[v] != q + 1) continue;
      found.push_back(v);
      operands.push_back(instr(v).a);
    }
    constexpr const char* ops[] = {"", "SumOf", "ProductOf", "LargestOf", "SmallestOf"};
    for (size_t v : found) {
      const Instr& i = instr(v);
      std::string t = computed(i.out), from;
      if (i.reduce == Reduce::sum || i.reduce == Reduce::prod) from = cat("convert<", t, ">(", i.reduce == Reduce::sum ? 0 : 1, ")");
      else from = cat("Extremes<", t, ">::", i.reduce == Reduce::max ? "lowest()" : "highest()");
      text_ += cat("  ", t, " sum", v, " = ", from, ";\n");
    }
    loop(needed(operands));
    for (size_t v : found) {
      const Instr& i = instr(v);
      std::string x = i.in == i.out ? name(i.a) : converted(i.out, name(i.a));
      text_ += cat("    sum", v, " = ", ops[static_cast<int>(i.reduce)], "::of(sum", v, ", ", x, ");\n");
    }
    text_ += "  }\n";
    for (size_t v : found) {
      const Instr& i = instr(v);
      text_ += cat("  const ", computed(i.out), " v", v, " = ",
                   rounded(i.out, cat("combine_team<", ops[static_cast<int>(i.reduce)], ">(sum", v, ", team, scratch_", computed(i.out), ")")), ";\n");
    }
  }

  void last_pass() {
    std::vector<size_t> wanted;
    auto columns = columns_of(p_);
    bool writes = !columns.empty();
    for (size_t v : p_.outputs) {
      if (in_row(v) && !(v >= first_code_ && instr(v).columns)) wanted.push_back(v), writes = true;
    }
    for (const Column& c : columns) wanted.push_back(c.operand);
    if (!writes) return;
    loop(needed(wanted));
    text_ += "    ulong to = team.row * rows.length + i;\n";
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      size_t v = p_.outputs[k];
      if (!in_row(v) || (v >= first_code_ && instr(v).columns)) continue;
      // Inputs of lower level have one row.
      if (levels_[v] == Level::per_column) text_ += cat("    if (team.row == 0) out", k, "[i] = ", kept(p_.dtype(v), name(v)), ";\n");
      else text_ += cat("    out", k, "[to] = ", kept(p_.dtype(v), name(v)), ";\n");
    }
    for (size_t k = 0; k < columns.size(); ++k) {
      const Instr& i = instr(columns[k].value);
      std::string x = i.in == i.out ? name(i.a) : converted(i.out, name(i.a));
      text_ += cat("    column", k, "[to] = ", kept(i.out, x), ";\n");
    }
    text_ += "  }\n";
  }

  void write_rows() {
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      size_t v = p_.outputs[k];
      if (in_row(v)) continue;
      text_ += cat("  if (works && team.lane == 0) out", k, "[team.row] = ", kept(p_.dtype(v), name(v)), ";\n");
    }
  }

  const Program& p_;
  std::vector<Level> levels_;
  size_t first_code_;
  std::vector<int> at_;
  int n_passes_ = 0, slot_ = 0;
  std::string text_;
};

Layout layout_of(const FusedCall& call, size_t begin, size_t end) {
  SmallVector<Strides, 8> cut;
  for (const Place& x : call.inputs) cut.push_back(Strides(x.strides.begin() + begin, x.strides.begin() + end));
  SmallVector<const Strides*, 8> strides;
  for (const Strides& s : cut) strides.push_back(&s);
  return collapse(Shape(call.whole.begin() + begin, call.whole.begin() + end), strides);
}

struct Rows {
  uint64_t n_rows, length, n_groups;
  uint32_t width, one_axis;
};

void bind_inputs(const FusedCall& call, Plan& plan) {
  for (size_t k = 0; k < call.inputs.size(); ++k) bind_place(plan, static_cast<uint8_t>(k), call.inputs[k], false);
}

bool plan_flat(const FusedCall& call, Plan& plan) {
  Layout layout = layout_of(call, 0, call.whole.size());
  if (!fits_inline(layout)) return false;
  std::vector<uint32_t> steps;
  bool strided = false;
  for (size_t k = 0; k < call.inputs.size(); ++k) {
    strided |= !layout.contiguous(k) && !single(layout, k);
    steps.push_back(single(layout, k) ? 0 : 1);
  }
  Grid grid = strided ? strided_grid(layout.shape) : linear_grid(ceil_div(static_cast<uint64_t>(layout.size), 4));
  plan.launch(strided ? "fused_strided" : "fused_contiguous", grid.threads, grid.group).source = static_cast<int>(plan.sources.size()) - 1;
  bind_inputs(call, plan);
  uint8_t slot = static_cast<uint8_t>(call.inputs.size());
  for (size_t k = 0; k < call.out.size(); ++k) plan.output(slot++, k);
  if (strided) {
    plan.values(slot, words(layout));
  } else {
    plan.value(slot++, static_cast<uint64_t>(layout.size));
    plan.values(slot, steps);
  }
  return true;
}

bool plan_rows(const FusedCall& call, Plan& plan) {
  const Program& p = call.program;
  size_t n = call.whole.size(), lead = n - static_cast<size_t>(p.row_axes), first_code = p.inputs.size() + p.constants.size();
  Layout kept = layout_of(call, 0, lead), along = layout_of(call, lead, n);
  if (!fits_inline(kept) || !fits_inline(along)) return false;
  auto n_rows = static_cast<uint64_t>(call.n_rows), length = static_cast<uint64_t>(call.length);
  Teams teams = make_teams(n_rows, length, false);
  plan.launch("fused_rows", teams.grid.threads, teams.grid.group).source = static_cast<int>(plan.sources.size()) - 1;
  bind_inputs(call, plan);
  uint8_t slot = static_cast<uint8_t>(call.inputs.size());
  for (size_t k = 0; k < call.out.size(); ++k, ++slot) {
    size_t v = p.outputs[k];
    if (v < first_code || !p.code[v - first_code].columns) plan.output(slot, k);
  }
  std::vector<Column> columns = Printer::columns_of(p);
  std::vector<uint16_t> elements;
  for (const Column& c : columns) {
    elements.push_back(plan.temporary(n_rows * length * size_of(p.dtype(c.value))));
    plan.writes(slot++, elements.back());
  }
  plan.value(slot++, Rows{n_rows, length, teams.n_groups, teams.width, along.shape.size() == 1});
  plan.values(slot++, words(kept));
  plan.values(slot++, words(along));
  Shape shape{call.n_rows, call.length};
  AxesLayout over = split_axes(shape, {0}, row_strides(shape), reduced_strides(shape, {0}), true);
  for (size_t k = 0; k < columns.size(); ++k) {
    Dtype t = p.dtype(columns[k].value);
    constexpr Reduction ops[] = {Reduction::sum, Reduction::sum, Reduction::prod, Reduction::max, Reduction::min};
    Reduction op = ops[static_cast<int>(p.code[columns[k].value - first_code].reduce)];
    if (!add_reduction(plan, {Binding::temporary, Binding::output, elements[k], columns[k].output, t, t, op}, over)) return false;
  }
  return true;
}

}  // namespace

bool fits_source(const FusedCall& call) {
  const Program& p = call.program;
  if (p.code.size() > kMostInstructions || p.inputs.size() + 2 * p.outputs.size() + 3 > kBufferSlots) return false;
  return std::none_of(p.code.begin(), p.code.end(), [](const Instr& i) { return i.reduce != Reduce::none && size_of(i.out) < 4 && !is_half(i.out); });
}

std::string source_of(const Program& program) {
  Printer printer(program);
  return program.row_axes == 0 ? printer.flat() : printer.rows();
}

bool plan_source(const FusedCall& call, const std::string& source, Plan& plan) {
  plan.sources.push_back({.text = source, .prelude = kPrelude});
  return call.program.row_axes == 0 ? plan_flat(call, plan) : plan_rows(call, plan);
}

}  // namespace mx::metal

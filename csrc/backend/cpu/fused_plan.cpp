// fused_plan.cpp — see fused_plan.h. Start at Planner::run().

#include "backend/cpu/fused_plan.h"

#include <algorithm>
#include <array>
#include <map>

namespace mx::cpu {

namespace {

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }
Dtype held(Dtype t) { return is_half(t) ? Dtype::float32 : t; }

Reduction reduction(Reduce r) {
  switch (r) {
    case Reduce::sum: return Reduction::sum;
    case Reduce::prod: return Reduction::prod;
    case Reduce::max: return Reduction::max;
    default: return Reduction::min;
  }
}

// Combines what a column has so far with a new element.
ElementwiseCode combining(Reduce r, Dtype t) {
  bool boolean = t == Dtype::bool_;
  switch (r) {
    case Reduce::sum: return BinaryOp::add;
    case Reduce::prod: return BinaryOp::multiply;
    case Reduce::max: return boolean ? BinaryOp::logical_or : BinaryOp::maximum;
    default: return boolean ? BinaryOp::logical_and : BinaryOp::minimum;
  }
}

bool differs_in_row(Level l) { return (static_cast<uint8_t>(l) & static_cast<uint8_t>(Level::per_column)) != 0; }

constexpr double kLoad = 0.04;       // Nanoseconds to load or store an element from a cache.
constexpr double kCheap = 0.15;      // What is computed again rather than kept.
constexpr int kNotYet = -1;

class Planner {
 public:
  Planner(const Program& program, const std::vector<Level>& levels, const std::vector<bool>& stream, RowMode mode)
      : p_(program), stream_(stream), mode_(mode), first_code_(p_.inputs.size() + p_.constants.size()), declared_(p_.levels()), levels_(levels) {
    if (p_.row_axes == 0) declared_.assign(p_.n_values(), Level::full);
  }

  RowPlan run() {
    find_levels();
    find_passes();
    find_costs();
    make_phases();
    for (int q = 0; q < n_passes_; ++q) make_pass(q);
    for (Pass& pass : plan_.passes) finish(pass);
    for (Pass& phase : plan_.phases) finish(phase);
    find_conflicts();
    return std::move(plan_);
  }

 private:
  size_t n_values() const { return p_.n_values(); }
  bool is_input(size_t v) const { return v < p_.inputs.size(); }
  bool is_constant(size_t v) const { return !is_input(v) && v < first_code_; }
  const Instr& instr(size_t v) const { return p_.code[v - first_code_]; }
  bool is_reduction(size_t v) const { return v >= first_code_ && instr(v).reduce != Reduce::none; }
  bool is_column(size_t v) const { return is_reduction(v) && instr(v).columns; }
  bool in_row(size_t v) const { return differs_in_row(levels_[v]); }

  // ---- what is computed where

  void find_levels() {
    levels_.resize(first_code_, Level::single);
    for (size_t v = first_code_; v < n_values(); ++v) {
      const Instr& i = instr(v);
      uint8_t level = 0;
      for (int k = 0; k < i.n_operands(); ++k) level |= static_cast<uint8_t>(levels_[i.operand(k)]);
      if (mode_ == RowMode::flat) level = static_cast<uint8_t>(Level::full);
      if (i.reduce != Reduce::none) level = static_cast<uint8_t>(i.columns ? Level::per_column : Level::per_row);
      levels_.push_back(static_cast<Level>(level));
    }
  }

  // at_[v]: the pass that can compute v first or, for a value per row, the phase.
  void find_passes() {
    at_.assign(n_values(), 0);
    for (size_t v = first_code_; v < n_values(); ++v) {
      const Instr& i = instr(v);
      for (int k = 0; k < i.n_operands(); ++k) at_[v] = std::max(at_[v], at_[i.operand(k)]);
      n_passes_ = std::max(n_passes_, at_[v] + (in_row(v) || is_reduction(v) ? 1 : 0));
      if (is_reduction(v) && !is_column(v)) ++at_[v];
    }
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      uint16_t v = p_.outputs[k];
      if (declared_[v] == Level::full) n_passes_ = std::max(n_passes_, at_[v] + 1);
    }
    plan_.phases.resize(static_cast<size_t>(n_passes_) + 1);
    plan_.passes.resize(static_cast<size_t>(n_passes_));
    number_.assign(static_cast<size_t>(2 * n_passes_ + 1), std::vector<int>(n_values(), kNotYet));
  }

  // What it costs to compute a value once more, from inputs, kept values and values per row.
  void find_costs() {
    again_.assign(n_values(), 0);
    for (size_t v = 0; v < n_values(); ++v) {
      if (!in_row(v)) continue;
      again_[v] = kLoad;
      if (v < first_code_) continue;
      again_[v] = cost_of(instr(v));
      for (int k = 0; k < instr(v).n_operands(); ++k) again_[v] += std::min(again_[instr(v).operand(k)], keeps() ? kCheap : 1e9);
    }
  }
  bool keeps() const { return mode_ != RowMode::pieces; }

  // ---- the bodies

  // The number of a value in a body: of a constant, after it was asked for.
  static constexpr int kConstant = 1 << 20, kCode = 2 << 20;

  std::vector<int>& numbers(const Pass& pass) {
    bool phase = &pass >= plan_.phases.data() && &pass < plan_.phases.data() + plan_.phases.size();
    return number_[phase ? static_cast<size_t>(n_passes_ + (&pass - plan_.phases.data())) : static_cast<size_t>(&pass - plan_.passes.data())];
  }
  bool is_phase(const Pass& pass) const { return &pass >= plan_.phases.data() && &pass < plan_.phases.data() + plan_.phases.size(); }

  int add_input(Pass& pass, PlanPlace place, Dtype t, bool scalar) {
    pass.in.push_back(place);
    pass.body.inputs.push_back({t, scalar});
    return static_cast<int>(pass.in.size()) - 1;
  }
  int add_code(Pass& pass, const Instr& i) {
    pass.body.code.push_back(i);
    return kCode + static_cast<int>(pass.body.code.size()) - 1;
  }
  void add_output(Pass& pass, int value, PlanPlace place, bool stream = false) {
    pass.out.push_back(place);
    // Renumbered at the end, like everything else.
    outputs_of_[&pass].push_back({value, stream});
  }

  int constant(Pass& pass, size_t v) {
    int& number = numbers(pass)[v];
    if (number == kNotYet) {
      number = kConstant + static_cast<int>(pass.body.constants.size());
      pass.body.constants.push_back(p_.constants[v - p_.inputs.size()]);
    }
    return number;
  }

  // An instruction whose operands have these numbers; they are put right in finish().
  int emit(Pass& pass, Instr i, const int* operands) {
    operands_of_[&pass].push_back({operands[0], operands[1], operands[2]});
    return add_code(pass, i);
  }
  int emit_cast(Pass& pass, int value, Dtype from, Dtype to) {
    Instr i;
    i.cast = true;
    i.in = from;
    i.out = to;
    const int operands[3] = {value, 0, 0};
    return emit(pass, i, operands);
  }

  void finish(Pass& pass) {
    int n_in = static_cast<int>(pass.body.inputs.size()), n_const = static_cast<int>(pass.body.constants.size());
    auto final = [&](int number) {
      return static_cast<uint16_t>(number >= kCode ? n_in + n_const + number - kCode : number >= kConstant ? n_in + number - kConstant : number);
    };
    for (size_t k = 0; k < pass.body.code.size(); ++k) {
      Instr& i = pass.body.code[k];
      const std::array<int, 3>& from = operands_of_[&pass][k];
      i.a = final(from[0]);
      i.b = i.n_operands() > 1 ? final(from[1]) : 0;
      i.c = i.n_operands() > 2 ? final(from[2]) : 0;
      if (!is_phase(pass)) plan_.cost += cost_of(i);
    }
    for (auto [value, stream] : outputs_of_[&pass]) pass.body.outputs.push_back({final(value), stream});
    for (auto [value, op] : reduced_of_[&pass]) pass.body.reduced.push_back({final(value), op});
    if (!is_phase(pass)) plan_.cost += kLoad * static_cast<double>(pass.in.size() + pass.out.size() + pass.reduced.size());
    plan_.most_operands = std::max({plan_.most_operands, static_cast<int>(pass.in.size()), static_cast<int>(pass.out.size()),
                                    static_cast<int>(pass.reduced.size())});
  }

  // ---- values per row

  uint16_t new_slot(Dtype t, int home) {
    plan_.slots.push_back({t, home});
    return static_cast<uint16_t>(plan_.slots.size() - 1);
  }
  // The output per row that is this value; -1: none.
  int output_by_row(size_t v) const {
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      if (p_.outputs[k] == v && !differs_in_row(declared_[v])) return static_cast<int>(k);
    }
    return -1;
  }

  // The slot of a value per row that is computed by a phase or reduction.
  uint16_t slot(size_t v) {
    if (slot_[v] == kNotYet) slot_[v] = new_slot(p_.dtype(v), output_by_row(v));
    return static_cast<uint16_t>(slot_[v]);
  }

  // A value per row as an operand of a body.
  int row_value(Pass& pass, size_t v) {
    if (is_constant(v)) return constant(pass, v);
    int& number = numbers(pass)[v];
    if (number != kNotYet) return number;
    bool phase = is_phase(pass);
    if (is_input(v)) {
      bool single = levels_[v] == Level::single;
      return number = add_input(pass, {PlanPlace::input, static_cast<uint16_t>(v)}, p_.dtype(v), single || (!phase && mode_ != RowMode::tiny));
    }
    return number = add_input(pass, {PlanPlace::slot, slot(v)}, p_.dtype(v), !phase && mode_ != RowMode::tiny);
  }

  void make_phases() {
    slot_.assign(n_values(), kNotYet);
    raw_.assign(n_values(), kNotYet);
    for (size_t v = first_code_; v < n_values(); ++v) {
      if (in_row(v)) continue;
      Pass& phase = plan_.phases[static_cast<size_t>(at_[v])];
      const Instr& i = instr(v);
      if (i.reduce != Reduce::none) {
        if (!is_half(i.out)) {
          raw_[v] = slot(v);
          continue;
        }
        // Combined in float32 and rounded here.
        raw_[v] = new_slot(Dtype::float32, -1);
        int number = add_input(phase, {PlanPlace::slot, static_cast<uint16_t>(raw_[v])}, Dtype::float32, false);
        numbers(phase)[v] = emit_cast(phase, number, Dtype::float32, i.out);
      } else {
        int operands[3] = {0, 0, 0};
        for (int k = 0; k < i.n_operands(); ++k) operands[k] = row_value(phase, i.operand(k));
        numbers(phase)[v] = emit(phase, i, operands);
      }
      if (needed_elsewhere(v)) add_output(phase, numbers(phase)[v], {PlanPlace::slot, slot(v)});
    }
    // Outputs that are not in their slots' memory: inputs, constants and repeats.
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      size_t v = p_.outputs[k];
      if (differs_in_row(declared_[v])) continue;
      if (v >= first_code_ && plan_.slots[slot(v)].home == static_cast<int>(k)) continue;
      Pass& phase = plan_.phases[static_cast<size_t>(at_[v])];
      add_output(phase, row_value(phase, v), {PlanPlace::output, static_cast<uint16_t>(k)});
    }
  }

  // Whether anything but its own phase reads a value per row.
  bool needed_elsewhere(size_t v) const {
    if (std::find(p_.outputs.begin(), p_.outputs.end(), v) != p_.outputs.end()) return true;
    for (size_t u = v + 1; u < n_values(); ++u) {
      bool reads = false;
      for (int k = 0; k < instr(u).n_operands(); ++k) reads |= instr(u).operand(k) == v;
      if (reads && (in_row(u) || is_reduction(u) || at_[u] != at_[v])) return true;
    }
    return false;
  }

  // ---- passes

  void make_pass(int q) {
    Pass& pass = plan_.passes[static_cast<size_t>(q)];
    for (size_t v = first_code_; v < n_values(); ++v) {
      if (is_reduction(v) && !is_column(v) && at_[v] == q + 1) reduce(pass, q, v);
    }
    bool last = q == n_passes_ - 1;
    for (size_t v = first_code_; v < n_values(); ++v) {
      if (!is_column(v)) continue;
      size_t operand = instr(v).a;
      if (column_done_.size() < n_values()) column_done_.resize(n_values());
      if (column_done_[v] || at_[operand] > q || (!last && numbers(pass)[operand] == kNotYet)) continue;
      column_done_[v] = true;
      add_column(pass, q, v);
    }
    written_.resize(p_.outputs.size());
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      size_t v = p_.outputs[k];
      if (!differs_in_row(declared_[v]) || is_column(v) || written_[k]) continue;
      if (at_[v] > q || (!last && numbers(pass)[v] == kNotYet)) continue;
      written_[k] = true;
      add_output(pass, value(pass, q, v), {PlanPlace::output, static_cast<uint16_t>(k)}, stream_[k]);
    }
  }

  // Operand `v` of pass q.
  int value(Pass& pass, int q, size_t v) {
    if (!in_row(v)) return row_value(pass, v);
    int& number = numbers(pass)[v];
    if (number != kNotYet) return number;
    if (is_input(v)) return number = add_input(pass, {PlanPlace::input, static_cast<uint16_t>(v)}, p_.dtype(v), false);
    int before = computed_in(q, v);
    if (before != kNotYet && keeps() && again_[v] > kCheap) {
      return number = add_input(pass, {PlanPlace::kept, keep(before, v)}, p_.dtype(v), false);
    }
    const Instr& i = instr(v);
    int operands[3] = {0, 0, 0};
    for (int k = 0; k < i.n_operands(); ++k) operands[k] = value(pass, q, i.operand(k));
    return number = emit(pass, i, operands);
  }

  // An earlier pass in whose code the value is.
  int computed_in(int q, size_t v) const {
    for (int e = 0; e < q; ++e) {
      if (number_[static_cast<size_t>(e)][v] >= kCode) return e;
    }
    return kNotYet;
  }

  uint16_t keep(int q, size_t v) {
    if (kept_.size() < n_values()) kept_.resize(n_values(), kNotYet);
    if (kept_[v] == kNotYet) {
      kept_[v] = static_cast<int>(plan_.kept.size());
      plan_.kept.push_back(p_.dtype(v));
      Pass& pass = plan_.passes[static_cast<size_t>(q)];
      add_output(pass, numbers(pass)[v], {PlanPlace::kept, static_cast<uint16_t>(kept_[v])});
    }
    return static_cast<uint16_t>(kept_[v]);
  }

  void reduce(Pass& pass, int q, size_t v) {
    const Instr& i = instr(v);
    int operand = value(pass, q, i.a);
    bool tiny = mode_ == RowMode::tiny;
    Dtype t = i.in;
    if (t != i.out) operand = emit_cast(pass, operand, t, i.out), t = i.out;
    pass.reduced.push_back(static_cast<uint16_t>(raw_[v]));
    if (tiny) {
      if (is_half(t)) operand = emit_cast(pass, operand, t, Dtype::float32);
      add_output(pass, operand, {PlanPlace::staged, static_cast<uint16_t>(pass.staged.size())});
      pass.staged.push_back({reduction(i.reduce), held(t)});
    } else {
      reduced_of_[&pass].push_back({operand, reduction(i.reduce)});
    }
  }

  void add_column(Pass& pass, int q, size_t v) {
    const Instr& i = instr(v);
    auto output = std::find(p_.outputs.begin(), p_.outputs.end(), v) - p_.outputs.begin();
    int operand = value(pass, q, i.a);
    Dtype t = i.in, work = held(i.out);
    if (t != i.out) operand = emit_cast(pass, operand, t, i.out);
    if (is_half(i.out)) operand = emit_cast(pass, operand, i.out, work);
    auto index = static_cast<uint16_t>(plan_.columns.size());
    plan_.columns.push_back({reduction(i.reduce), work, static_cast<uint16_t>(output)});
    int so_far = add_input(pass, {PlanPlace::column, index}, work, false);
    Instr add;
    add.code = combining(i.reduce, work);
    add.in = add.out = work;
    const int operands[3] = {so_far, operand, 0};
    add_output(pass, emit(pass, add, operands), {PlanPlace::column, index});
  }

  // ---- which outputs may take over the memory of which inputs

  void find_conflicts() {
    plan_.last_read.assign(p_.inputs.size(), -1);
    plan_.first_written.assign(p_.outputs.size(), -1);
    for (int q = 0; q < n_passes_; ++q) {
      const Pass& pass = plan_.passes[static_cast<size_t>(q)];
      for (const PlanPlace& place : pass.in) {
        if (place.kind != PlanPlace::input) continue;
        plan_.last_read[place.index] = q;
      }
      for (const PlanPlace& place : pass.out) {
        if (place.kind == PlanPlace::output) plan_.first_written[place.index] = q;
      }
    }
  }

  const Program& p_;
  const std::vector<bool>& stream_;
  RowMode mode_;
  size_t first_code_;
  std::vector<Level> declared_, levels_;
  std::vector<int> at_;
  int n_passes_ = 0;
  std::vector<double> again_;
  std::vector<int> slot_, raw_, kept_;
  std::vector<std::vector<int>> number_;  // Of passes, then of phases: each value's number, with kConstant or kCode.
  std::vector<bool> written_, column_done_;
  std::map<const Pass*, std::vector<std::array<int, 3>>> operands_of_;
  std::map<const Pass*, std::vector<std::pair<int, bool>>> outputs_of_;
  std::map<const Pass*, std::vector<std::pair<int, Reduction>>> reduced_of_;
  RowPlan plan_;
};

}  // namespace

double cost_of(const Instr& i) {
  double scale = size_of(i.out) == 8 || size_of(i.in) == 8 ? 2 : 1;
  if (i.cast) return 0.04 * scale;
  if (i.reduce != Reduce::none) return 0.03 * scale;
  if (i.code.arity == 1) {
    switch (static_cast<UnaryOp>(i.code.op)) {
      case UnaryOp::negative:
      case UnaryOp::abs:
      case UnaryOp::square:
      case UnaryOp::floor:
      case UnaryOp::ceil:
      case UnaryOp::trunc:
      case UnaryOp::rint:
      case UnaryOp::sign:
      case UnaryOp::logical_not:
      case UnaryOp::isnan: return 0.03 * scale;
      case UnaryOp::sqrt:
      case UnaryOp::rsqrt:
      case UnaryOp::reciprocal: return 0.2 * scale;
      default: return 0.4 * scale;
    }
  }
  if (i.code.arity == 2) {
    for (BinaryOp op : {BinaryOp::power, BinaryOp::arctan2, BinaryOp::logaddexp, BinaryOp::remainder, BinaryOp::floor_divide}) {
      if (i.code == ElementwiseCode(op)) return 0.8 * scale;
    }
    if (i.code == ElementwiseCode(BinaryOp::divide)) return 0.2 * scale;
  }
  return 0.03 * scale;
}

RowPlan plan_rows(const Program& program, const std::vector<Level>& levels, const std::vector<bool>& stream, RowMode mode) {
  return Planner(program, levels, stream, mode).run();
}

}  // namespace mx::cpu

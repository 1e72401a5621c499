// fuse_write.cpp — a group of steps as a program. Views within the group, such as a row's sum seen along the row, are
// operands of a lower level; those that something outside reads are made of the program's outputs. Start at write().

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "compile/fuse.h"
#include "ops/cast_params.h"
#include "ops/create_params.h"
#include "ops/matmul_params.h"
#include "ops/movement_params.h"
#include "ops/reduce_params.h"

namespace mx {

namespace {

bool is_view(const Step& s) { return s.primitive == &broadcast_p || s.primitive == &reshape_p; }

// A captured array that holds one number repeated.
std::optional<Constant> repeated(const array& a) {
  if (!a.available() || a.size() == 0) return std::nullopt;
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (a.shape()[i] != 1 && a.strides()[i] != 0) return std::nullopt;
  }
  Constant c{a.dtype(), 0};
  std::memcpy(&c.bits, a.bytes(), a.itemsize());
  return c;
}

}  // namespace

std::optional<Constant> GroupWriter::constant_in(int slot) const {
  if (auto n = numbers_.find(slot); n != numbers_.end()) return n->second.first;
  int c = slot - g_.n_inputs();
  if (c < 0 || static_cast<size_t>(c) >= captured_.size()) return std::nullopt;
  return repeated(captured_[static_cast<size_t>(c)]);
}

void GroupWriter::give(int slot, int number) {
  number_[static_cast<size_t>(slot)] = number;
  touched_.push_back(slot);
}

// One operation by itself has a kernel. Numbers of opened composites are known to programs only.
bool GroupWriter::pays(const Group& group) const {
  int n = 0;
  for (size_t m : group.members) {
    const Step& s = g_.steps[m];
    n += is_view(s) ? 0 : 1;
    for (int in : s.in) {
      if (numbers_.contains(in)) return true;
    }
  }
  return n > 1;
}

// Numbers the inputs and constants, then the results; views have the number of what they see. False if no input
// gives the whole shape.
bool GroupWriter::number_operands(const Group& group, const Product& product, Program& program, Step& fused) {
  std::vector<int> constants;
  if (product.step) {
    give(product.step->out[0], 0);
    fused.in.push_back(product.step->out[0]);
    program.inputs.push_back(product.step->types[0].dtype);
    program.input_levels.push_back(Level::full);
  }
  for (size_t m : group.members) {
    for (int o : g_.steps[m].out) give(o, 0);
  }
  bool whole = product.step != nullptr, levels = false;
  // Something must give the whole shape: a constant array if nothing else does.
  int shape_from = -1;
  for (size_t m : group.members) {
    for (int in : g_.steps[m].in) {
      if (whole || number_[static_cast<size_t>(in)] >= 0 || numbers_.contains(in) || slots_.type_of(in).shape != group.frame.whole) continue;
      if (shape_from < 0 || !constant_in(in)) shape_from = in;
    }
  }
  for (size_t m : group.members) {
    for (int in : g_.steps[m].in) {
      if (number_[static_cast<size_t>(in)] >= 0) continue;
      if (std::optional<Constant> value = in == shape_from ? std::nullopt : constant_in(in)) {
        give(in, 0);
        constants.push_back(in);
        program.constants.push_back(*value);
        continue;
      }
      give(in, static_cast<int>(fused.in.size()));
      fused.in.push_back(in);
      const Type& t = slots_.type_of(in);
      bool full = t.shape == group.frame.whole;
      program.inputs.push_back(t.dtype);
      program.input_levels.push_back(full ? Level::full : Level::per_row);
      whole |= full;
      levels |= !full;
    }
  }
  if (!levels) program.input_levels.clear();
  int next = static_cast<int>(fused.in.size());
  for (int slot : constants) number_[static_cast<size_t>(slot)] = next++;
  for (size_t m : group.members) {
    const Step& s = g_.steps[m];
    number_[static_cast<size_t>(s.out[0])] = is_view(s) ? number_[static_cast<size_t>(s.in[0])] : next++;
  }
  return whole;
}

void GroupWriter::write_instr(const Step& s, const Group& group, Program& program) {
  Instr instr;
  instr.cast = s.primitive == &astype_p;
  if (std::optional<Reduce> reduce = reduction_of(*s.primitive)) {
    instr.reduce = *reduce;
    instr.columns = reduced_row_axes(s, group.frame.whole) < 0;
  } else if (!instr.cast) {
    instr.code = *elementwise_code(*s.primitive);
  }
  // The condition of select comes first: the dtype of the work is that of the last operand.
  instr.in = slots_.type_of(s.in.back()).dtype;
  instr.out = s.types[0].dtype;
  uint16_t* operand[] = {&instr.a, &instr.b, &instr.c};
  for (size_t k = 0; k < s.in.size(); ++k) *operand[k] = static_cast<uint16_t>(number_[static_cast<size_t>(s.in[k])]);
  program.code.push_back(instr);
  if (s.origin) {
    program.origins.resize(program.code.size());
    program.origins.back() = s.origin;
  }
}

// The number of a composite as an array.
int GroupWriter::write_number(int slot, const Step& like, std::vector<Step>& out) {
  const auto& [constant, type] = numbers_.at(slot);
  double x = constant.dtype == Dtype::float64 ? std::bit_cast<double>(constant.bits) : std::bit_cast<float>(static_cast<uint32_t>(constant.bits));
  auto add = [&](const Primitive& p, Params params, std::vector<int> in, Shape shape) {
    int made = g_.n_slots++;
    out.push_back({&p, std::move(params), like.stream, std::move(in), {made}, {{type.dtype, std::move(shape)}}, like.origin});
    return made;
  };
  Shape ones(type.shape.size(), 1);
  int one = add(arange_p, ArangeParams{type.dtype, 1, false, 0, 0, x, 0, x}, {}, {1});
  int seen = add(reshape_p, ShapeParams{ones}, {one}, ones);
  return add(broadcast_p, ShapeParams{type.shape}, {seen}, type.shape);
}

// A program becomes what is done with a product.
void GroupWriter::begin_with(const Product& product, std::shared_ptr<const Program> program, Step& fused) const {
  const Step& m = *product.step;
  FusedMatmulParams params{std::move(program), 1, 1, m.primitive == &addmm_p, product.kept};
  if (params.addend) {
    const auto& p = m.params.get<AddmmParams>();
    params.alpha = p.alpha;
    params.beta = p.beta;
  }
  std::vector<int> in = m.in;
  in.insert(in.end(), fused.in.begin() + 1, fused.in.end());
  fused.in = std::move(in);
  if (product.kept) {
    fused.out.insert(fused.out.begin(), m.out[0]);
    fused.types.insert(fused.types.begin(), m.types[0]);
  }
  fused.primitive = &fused_matmul_p;
  fused.params = std::move(params);
  if (!fused.origin) fused.origin = m.origin;
}

void GroupWriter::write(const Group& group, const Product& product, std::vector<Step>& out) {
  auto program = std::make_shared<Program>();
  const Step& last = g_.steps[group.members.back()];
  Step fused{&fused_p, {}, last.stream, {}, {}, {}, last.origin};
  bool fits = (product.step || pays(group)) && number_operands(group, product, *program, fused);
  if (!fits) {
    for (int slot : std::exchange(touched_, {})) number_[static_cast<size_t>(slot)] = -1;
    for (size_t m : group.members) {
      Step s = g_.steps[m];
      for (int& in : s.in) {
        if (numbers_.contains(in)) in = write_number(in, s, out);
      }
      out.push_back(std::move(s));
    }
    return;
  }
  program->row_axes = group.frame.row_axes;
  for (size_t m : group.members) {
    if (!is_view(g_.steps[m])) write_instr(g_.steps[m], group, *program);
  }
  std::vector<Level> levels = program->levels();
  auto add_output = [&](int value, int slot, const Type& type) {
    program->outputs.push_back(static_cast<uint16_t>(value));
    program->squeezed.push_back(type.shape.size() < group.frame.whole.size());
    fused.out.push_back(slot);
    fused.types.push_back(type);
  };
  std::vector<Step> views;
  for (size_t m : group.members) {
    const Step& s = g_.steps[m];
    int slot = s.out[0], value = number_[static_cast<size_t>(slot)];
    if (!escapes_[static_cast<size_t>(slot)]) continue;
    bool whole = group.frame.row_axes == 0 || levels[static_cast<size_t>(value)] == Level::full || s.types[0].shape != group.frame.whole;
    if (whole) {
      add_output(value, slot, s.types[0]);
      continue;
    }
    // A whole array by its type, but the same all along each row: an output per row, and a view of it.
    int per_row = g_.n_slots++;
    add_output(value, per_row, {s.types[0].dtype, group.frame.per_row()});
    views.push_back({&broadcast_p, ShapeParams{group.frame.whole}, s.stream, {per_row}, {slot}, {s.types[0]}, s.origin});
  }
  if (program->origins.size() != 0) program->origins.resize(program->code.size());
  if (std::find(program->squeezed.begin(), program->squeezed.end(), true) == program->squeezed.end()) program->squeezed.clear();
  for (int slot : std::exchange(touched_, {})) number_[static_cast<size_t>(slot)] = -1;
  if (product.step) {
    begin_with(product, program, fused);
  } else {
    fused.params = FusedParams{program};
  }
  out.push_back(std::move(fused));
  for (Step& view : views) out.push_back(std::move(view));
}

}  // namespace mx

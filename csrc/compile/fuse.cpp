// fuse.cpp — groups of elementwise steps become programs.
//
// Every value has a stage: a step's is the largest of its inputs', and one more if the step is not elementwise.
// Elementwise steps that are connected within one stage form a group: a path that leaves the group passes
// through a step that raises the stage, so it cannot come back, and running the group at once is safe. All
// shapes within a group are equal, since broadcasting is a step of its own. Start at fuse_elementwise().

#include <cstring>
#include <numeric>
#include <optional>
#include <queue>

#include "compile/compile.h"
#include "compile/program.h"
#include "ops/cast.h"
#include "ops/cast_params.h"
#include "ops/movement.h"

namespace mx {

namespace {

// Value numbers of a program are 16 bits wide; far below that, longer groups gain nothing.
constexpr size_t kMaxGroup = 256;

bool fusible(const Step& s) { return s.primitive == &astype_p || elementwise_code(*s.primitive).has_value(); }

// Disjoint sets of steps.
class Groups {
 public:
  explicit Groups(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), size_t(0)); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<size_t> parent_;
};

// Steps that run as one, in order; and the unit of every step.
struct Units {
  std::vector<std::vector<size_t>> members;
  std::vector<size_t> of;
};

struct Values {
  std::vector<int> maker;  ///< Slot -> step that makes it, or -1.
  std::vector<Dtype> dtype;
};

Values values(const Subgraph& g) {
  Values v{std::vector<int>(static_cast<size_t>(g.n_slots), -1), std::vector<Dtype>(static_cast<size_t>(g.n_slots))};
  size_t slot = 0;
  for (const Type& t : g.input_types) v.dtype[slot++] = t.dtype;
  for (const Type& t : g.captured_types) v.dtype[slot++] = t.dtype;
  for (size_t i = 0; i < g.steps.size(); ++i) {
    const Step& s = g.steps[i];
    for (size_t k = 0; k < s.out.size(); ++k) {
      v.maker[static_cast<size_t>(s.out[k])] = static_cast<int>(i);
      v.dtype[static_cast<size_t>(s.out[k])] = s.types[k].dtype;
    }
  }
  return v;
}

Units group(const Subgraph& g, const Values& v) {
  Groups groups(g.steps.size());
  std::vector<int> stage;
  for (size_t i = 0; i < g.steps.size(); ++i) {
    const Step& s = g.steps[i];
    bool light = fusible(s);
    auto joins = [&](int m) {
      const Step& maker = g.steps[static_cast<size_t>(m)];
      return light && fusible(maker) && maker.stream == s.stream;
    };
    int here = 0;
    for (int in : s.in) {
      int m = v.maker[static_cast<size_t>(in)];
      if (m >= 0) here = std::max(here, stage[static_cast<size_t>(m)] + (fusible(g.steps[static_cast<size_t>(m)]) && !joins(m) ? 1 : 0));
    }
    stage.push_back(light ? here : here + 1);
    for (int in : s.in) {
      int m = v.maker[static_cast<size_t>(in)];
      if (m >= 0 && joins(m) && stage[static_cast<size_t>(m)] == here) groups.join(i, static_cast<size_t>(m));
    }
  }
  // A group that is too long is cut in order, so that its parts depend on each other one way only.
  Units units{{}, std::vector<size_t>(g.steps.size())};
  std::vector<size_t> open(g.steps.size(), SIZE_MAX);
  for (size_t i = 0; i < g.steps.size(); ++i) {
    size_t& unit = open[groups.find(i)];
    if (unit == SIZE_MAX || units.members[unit].size() == kMaxGroup) {
      unit = units.members.size();
      units.members.emplace_back();
    }
    units.members[unit].push_back(i);
    units.of[i] = unit;
  }
  return units;
}

// The units in an order that respects their dependencies and otherwise stays close to the original one.
std::vector<size_t> schedule(const Subgraph& g, const Values& v, const Units& units) {
  std::vector<std::vector<size_t>> users(units.members.size());
  std::vector<int> waits(units.members.size());
  for (size_t i = 0; i < g.steps.size(); ++i) {
    for (int in : g.steps[i].in) {
      int m = v.maker[static_cast<size_t>(in)];
      if (m < 0 || units.of[static_cast<size_t>(m)] == units.of[i]) continue;
      users[units.of[static_cast<size_t>(m)]].push_back(units.of[i]);
      ++waits[units.of[i]];
    }
  }
  auto later = [&](size_t a, size_t b) { return units.members[a].back() > units.members[b].back(); };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> ready(later);
  for (size_t u = 0; u < units.members.size(); ++u) {
    if (waits[u] == 0) ready.push(u);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    size_t u = ready.top();
    ready.pop();
    order.push_back(u);
    for (size_t user : users[u]) {
      if (--waits[user] == 0) ready.push(user);
    }
  }
  return order;
}

// Slots that something outside their maker's unit reads.
std::vector<bool> escaping(const Subgraph& g, const Values& v, const Units& units) {
  std::vector<bool> escapes(static_cast<size_t>(g.n_slots));
  for (size_t i = 0; i < g.steps.size(); ++i) {
    for (int in : g.steps[i].in) {
      int m = v.maker[static_cast<size_t>(in)];
      if (m >= 0 && units.of[static_cast<size_t>(m)] != units.of[i]) escapes[static_cast<size_t>(in)] = true;
    }
  }
  for (int o : g.outputs) escapes[static_cast<size_t>(o)] = true;
  return escapes;
}

// A captured array that holds one number repeated, as a constant of a program.
std::optional<Constant> constant(const array& a) {
  if (!a.available() || a.size() == 0) return std::nullopt;
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (a.shape()[i] != 1 && a.strides()[i] != 0) return std::nullopt;
  }
  Constant c{a.dtype(), 0};
  std::memcpy(&c.bits, a.bytes(), a.itemsize());
  return c;
}

// Writes one group of steps as a program.
class ProgramWriter {
 public:
  ProgramWriter(const Subgraph& g, const Values& v, const std::vector<bool>& escapes, const Arrays& captured)
      : g_(g), v_(v), escapes_(escapes), captured_(captured), number_(static_cast<size_t>(g.n_slots), -1) {}

  Step write(const std::vector<size_t>& members) {
    const Step& last = g_.steps[members.back()];
    Step fused{&fused_p, {}, last.stream, {}, {}, {}, last.origin};
    auto program = std::make_shared<Program>();
    std::vector<int> touched = number_operands(members, *program, fused);
    for (size_t m : members) {
      const Step& s = g_.steps[m];
      Instr instr;
      instr.cast = s.primitive == &astype_p;
      if (!instr.cast) instr.code = *elementwise_code(*s.primitive);
      // The condition of select comes first: the dtype of the work is that of the last operand.
      instr.in = v_.dtype[static_cast<size_t>(s.in.back())];
      instr.out = s.types[0].dtype;
      uint16_t* operand[] = {&instr.a, &instr.b, &instr.c};
      for (size_t k = 0; k < s.in.size(); ++k) *operand[k] = static_cast<uint16_t>(number_[static_cast<size_t>(s.in[k])]);
      program->code.push_back(instr);
      if (s.origin && program->origins.empty()) program->origins.resize(members.size());
      if (s.origin) program->origins[program->code.size() - 1] = s.origin;
      if (escapes_[static_cast<size_t>(s.out[0])]) {
        program->outputs.push_back(static_cast<uint16_t>(number_[static_cast<size_t>(s.out[0])]));
        fused.out.push_back(s.out[0]);
        fused.types.push_back(s.types[0]);
      }
    }
    for (int slot : touched) number_[static_cast<size_t>(slot)] = -1;
    fused.params = FusedParams{program};
    return fused;
  }

 private:
  // Gives every slot of the group its value number: inputs, then constants, then results. Returns those slots.
  std::vector<int> number_operands(const std::vector<size_t>& members, Program& program, Step& fused) {
    std::vector<int> touched, constants;
    auto give = [&](int slot, int n) {
      number_[static_cast<size_t>(slot)] = n;
      touched.push_back(slot);
    };
    for (size_t m : members) give(g_.steps[m].out[0], 0);
    for (size_t m : members) {
      for (int in : g_.steps[m].in) {
        if (number_[static_cast<size_t>(in)] >= 0) continue;
        if (std::optional<Constant> value = captured_constant(in)) {
          give(in, 0);
          constants.push_back(in);
          program.constants.push_back(*value);
          continue;
        }
        give(in, static_cast<int>(fused.in.size()));
        fused.in.push_back(in);
        program.inputs.push_back(v_.dtype[static_cast<size_t>(in)]);
      }
    }
    int next = static_cast<int>(fused.in.size());
    for (int slot : constants) number_[static_cast<size_t>(slot)] = next++;
    for (size_t m : members) number_[static_cast<size_t>(g_.steps[m].out[0])] = next++;
    return touched;
  }

  std::optional<Constant> captured_constant(int slot) const {
    int c = slot - g_.n_inputs();
    if (c < 0 || static_cast<size_t>(c) >= captured_.size()) return std::nullopt;
    return constant(captured_[static_cast<size_t>(c)]);
  }

  const Subgraph& g_;
  const Values& v_;
  const std::vector<bool>& escapes_;
  const Arrays& captured_;
  std::vector<int> number_;  ///< Slot -> value number in the program being written, or -1.
};

}  // namespace

const Primitive fused_p = define<FusedParams>({
    .name = "fused",
    .infer =
        [](auto& p, const Call& c) -> Inferred {
          Types types;
          for (uint16_t o : p.program->outputs) types.push_back({p.program->dtype(o), c.in(0).shape()});
          return types;
        },
    // The operations again: transformations of a compiled function go through here.
    .expand =
        [](auto& p, const Call& c) -> Outs {
          const Program& program = *p.program;
          Arrays values(c.inputs().begin(), c.inputs().end());
          const Shape& shape = c.in(0).shape();
          for (const Constant& k : program.constants) {
            array value = array::copy_of(&k.bits, k.dtype, {});
            values.push_back(broadcast_to(value, shape));
          }
          for (const Instr& i : program.code) {
            size_t number = static_cast<size_t>(&i - program.code.data());
            OriginScope origin(program.origins.empty() ? nullptr : program.origins[number]);
            if (i.cast) {
              values.push_back(astype(values[i.a], i.out));
              continue;
            }
            const Primitive& op = elementwise_primitive(i.code);
            SmallVector<array, 3> in{values[i.a]};
            if (i.code.arity > 1) in.push_back(values[i.b]);
            if (i.code.arity > 2) in.push_back(values[i.c]);
            values.push_back(make_node(op, {}, std::move(in), {i.out, shape}));
          }
          Outs outs;
          for (uint16_t o : program.outputs) outs.push_back(values[o]);
          return outs;
        },
    .kind = Kind::elementwise,
});

void fuse_elementwise(Subgraph& g, const Arrays& captured) {
  Values v = values(g);
  Units units = group(g, v);
  std::vector<bool> escapes = escaping(g, v, units);
  ProgramWriter writer(g, v, escapes, captured);
  std::vector<Step> steps;
  for (size_t unit : schedule(g, v, units)) {
    const std::vector<size_t>& members = units.members[unit];
    steps.push_back(members.size() == 1 ? g.steps[members[0]] : writer.write(members));
  }
  g.steps = std::move(steps);
}

}  // namespace mx

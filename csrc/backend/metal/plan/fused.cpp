// fused.cpp — see fused.h. Here: how a call is seen, the choice between the ways, and those that need no compiler. Start at plan_fused().

#include "backend/metal/plan/fused.h"

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "backend/metal/plan/create.h"
#include "backend/metal/plan/elementwise.h"
#include "backend/metal/plan/fused_source.h"
#include "backend/metal/plan/layout.h"
#include "backend/metal/plan/reduce.h"

namespace mx::metal {

namespace {

FusedWay wished() {
  const char* wish = std::getenv("MXFORM_METAL_FUSED");
  std::string_view w = wish ? wish : "";
  if (w == "source") return FusedWay::source;
  if (w == "interpreter") return FusedWay::interpreter;
  if (w == "instructions") return FusedWay::instructions;
#if defined(__APPLE__)
  return FusedWay::automatic;
#else
  // The host double's compiler takes seconds.
  return w == "automatic" ? FusedWay::automatic : FusedWay::interpreter;
#endif
}
std::atomic<FusedWay> chosen{wished()};

// What is kept with a program: whether it ran before, and its source once that was needed.
class Kept final : public Prepared {
 public:
  bool ran() { return ran_.exchange(true, std::memory_order_relaxed); }
  const std::string& source(const Program& p) {
    std::call_once(once_, [&] { source_ = source_of(p); });
    return source_;
  }

 private:
  std::atomic<bool> ran_{false};
  std::once_flag once_;
  std::string source_;
};

Kept& kept_with(const Program& program) {
  Prepared* kept = program.prepared_on_gpu.get();
  return static_cast<Kept&>(kept ? *kept : program.prepared_on_gpu.keep(std::make_unique<Kept>()));
}

bool has_float64(const Program& p) {
  for (size_t v = 0; v < p.n_values(); ++v) {
    if (p.dtype(v) == Dtype::float64) return true;
  }
  for (const Instr& i : p.code) {
    if (i.in == Dtype::float64) return true;
  }
  return false;
}

// The strides of an input over the whole shape, from those that it has.
Strides whole_strides(const Strides& own, Level level, const Shape& whole, int row_axes) {
  if (level == Level::full) return own;
  Strides strides(whole.size(), 0);
  if (level == Level::single) return strides;
  size_t n = whole.size(), k = static_cast<size_t>(row_axes), have = own.size();
  size_t first = level == Level::per_row ? 0 : n - k, end = level == Level::per_row ? n - k : n;
  // Either all axes are there, or those of the level alone.
  size_t skipped = have == n ? 0 : level == Level::per_row ? first : n - have;
  for (size_t i = first; i < end; ++i) strides[i] = own[i - skipped];
  return strides;
}

// An output may have been given the memory of an input. Elements that lie where they are read are written after that; others, and
// inputs that are read again later, are copied first.
bool keep_apart(const Task& task, const Program& program, bool elements_in_place, FusedCall& call, Plan& plan) {
  for (size_t i = 0; i < task.in.size(); ++i) {
    const array& x = task.in[i];
    bool meets = false;
    for (const array& y : task.out) {
      if (x.size() == 0 || x.address() != y.address()) continue;
      meets |= !elements_in_place || program.input_level(i) != Level::full || x.shape() != y.shape() || x.itemsize() != y.itemsize() || !x.row_contiguous();
    }
    if (!meets) continue;
    uint16_t own = plan.temporary(x.n_bytes());
    Strides strides = row_strides(x.shape());
    if (!add_copy(plan, {Binding::temporary, own, 0, strides}, {Binding::input, i, 0, x.strides()}, x.shape(), x.itemsize())) return false;
    call.inputs[i] = {Binding::temporary, own, 0, whole_strides(strides, program.input_level(i), call.whole, program.row_axes)};
  }
  return true;
}

// ---- instruction by instruction

class Instructions {
 public:
  Instructions(const FusedCall& call, Plan& plan) : c_(call), p_(call.program), plan_(plan) {}

  bool run() {
    for (const Place& x : c_.inputs) values_.push_back(x);
    for (const Constant& c : p_.constants) values_.push_back(constant(c));
    for (const Instr& i : p_.code) {
      size_t v = values_.size();
      if (!(i.reduce != Reduce::none ? reduction(i, v) : elements(i, v))) return false;
    }
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      size_t v = p_.outputs[k];
      if (values_[v].kind == Binding::output && values_[v].which == k) continue;
      Shape shape = c_.shape_of(p_.row_axes == 0 ? Level::full : c_.levels[v] == Level::single ? Level::per_row : c_.levels[v]);
      if (!add_copy(plan_, {Binding::output, k, 0, row_strides(shape)}, values_[v], shape, size_of(p_.dtype(v)))) return false;
    }
    return true;
  }

 private:
  // One element, written as bits.
  Place constant(const Constant& c) {
    size_t n = size_of(c.dtype);
    uint16_t where = plan_.temporary(n);
    Dtype bits = n == 1 ? Dtype::uint8 : n == 2 ? Dtype::uint16 : n == 4 ? Dtype::uint32 : Dtype::uint64;
    add_integer(plan_, where, bits, static_cast<int64_t>(c.bits));
    return {Binding::temporary, where, 0, Strides(c_.whole.size(), 0)};
  }

  // Where value v goes: its output if it has one, else memory of its own.
  Place result(size_t v, const Shape& shape) {
    Strides strides = row_strides(shape);
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == 1 && c_.whole[d] != 1) strides[d] = 0;
    }
    Level l = c_.levels[v];
    for (size_t k = 0; k < p_.outputs.size(); ++k) {
      bool same_size = p_.row_axes == 0 || l != Level::single || c_.n_rows == 1;
      if (p_.outputs[k] == v && same_size) return {Binding::output, k, 0, std::move(strides)};
    }
    return {Binding::temporary, plan_.temporary(static_cast<size_t>(std::max<int64_t>(1, n_elems(shape))) * size_of(p_.dtype(v))), 0, std::move(strides)};
  }

  Shape shape_of(size_t v) const { return c_.shape_of(p_.row_axes == 0 ? Level::full : c_.levels[v]); }

  bool elements(const Instr& i, size_t v) {
    Shape shape = shape_of(v);
    SmallVector<Place, 3> in;
    for (int k = 0; k < i.n_operands(); ++k) in.push_back(values_[i.operand(k)]);
    values_.push_back(result(v, shape));
    if (i.cast) return add_elementwise(plan_, kernel_name("cast", i.in), static_cast<int32_t>(i.out), in, values_.back(), shape);
    return add_elementwise(plan_, row_kernel(i.code, i.in, i.out), i.code.op, in, values_.back(), shape);
  }

  bool reduction(const Instr& i, size_t v) {
    Place x = values_[i.a];
    Dtype t = i.in;
    if (combined_in(t) != combined_in(i.out) || (i.reduce != Reduce::sum && i.reduce != Reduce::prod && t != i.out)) {
      // Converted first.
      Shape shape = shape_of(i.a);
      Place cast{Binding::temporary, plan_.temporary(static_cast<size_t>(std::max<int64_t>(1, n_elems(shape))) * size_of(i.out)), 0, row_strides(shape)};
      for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] == 1) cast.strides[d] = 0;
      }
      if (!add_elementwise(plan_, kernel_name("cast", t), static_cast<int32_t>(i.out), std::span(&x, 1), cast, shape)) return false;
      x = std::move(cast);
      t = i.out;
    }
    Axes axes;
    int n = static_cast<int>(c_.whole.size()), k = p_.row_axes;
    for (int d = i.columns ? 0 : n - k; d < (i.columns ? n - k : n); ++d) axes.push_back(d);
    values_.push_back(result(v, shape_of(v)));
    const Place& y = values_.back();
    constexpr Reduction ops[] = {Reduction::sum, Reduction::sum, Reduction::prod, Reduction::max, Reduction::min};
    return add_reduction(plan_, {x.kind, y.kind, x.which, y.which, t, i.out, ops[static_cast<int>(i.reduce)]},
                         split_axes(c_.whole, axes, x.strides, y.strides, true));
  }

  const FusedCall& c_;
  const Program& p_;
  Plan& plan_;
  std::vector<Place> values_;
};

// ---- the interpreter

// As in fused.metal.
constexpr size_t kMaxInputs = 12, kMaxOutputs = 6, kMaxValues = 96;
constexpr uint8_t kInputSlot = 4, kOutputSlot = kInputSlot + kMaxInputs;
enum FunctionConstants : uint32_t { kStrided, kHasInput, kHasOutput = kHasInput + kMaxInputs };
enum Kind : uint8_t { kUnary, kBinary, kSelect, kCast };

struct Step {
  uint8_t kind, op, in, out;
  uint16_t a, b, c, unused = 0;
};
struct Counts {
  uint64_t n;
  uint32_t n_inputs, n_constants, n_steps, n_outputs;
  uint8_t input_dtypes[kMaxInputs] = {}, output_dtypes[kMaxOutputs] = {}, unused[6] = {};
  uint16_t outputs[kMaxOutputs] = {};
  uint16_t more_unused[2] = {};
};

bool fits_interpreter(const Program& p) {
  return p.row_axes == 0 && p.inputs.size() <= kMaxInputs && p.outputs.size() <= kMaxOutputs && p.n_values() <= kMaxValues &&
         p.code.size() * sizeof(Step) <= kMaxInlineBytes;
}

bool interpret(const FusedCall& call, Plan& plan) {
  const Program& p = call.program;
  SmallVector<const Strides*, 12> strides;
  for (const Place& x : call.inputs) strides.push_back(&x.strides);
  Layout layout = collapse(call.whole, strides);
  if (!fits_inline(layout)) return false;
  bool strided = false;
  for (size_t k = 0; k < call.inputs.size(); ++k) strided |= !layout.contiguous(k);
  Grid grid = linear_grid(static_cast<uint64_t>(layout.size));
  plan.launch("fused_interpret", grid.threads, grid.group);
  plan.constant(kStrided, strided);
  for (uint32_t k = 0; k < kMaxInputs; ++k) plan.constant(kHasInput + k, k < p.inputs.size());
  for (uint32_t k = 0; k < kMaxOutputs; ++k) plan.constant(kHasOutput + k, k < p.outputs.size());
  Counts counts{static_cast<uint64_t>(layout.size), static_cast<uint32_t>(p.inputs.size()), static_cast<uint32_t>(p.constants.size()),
                static_cast<uint32_t>(p.code.size()), static_cast<uint32_t>(p.outputs.size())};
  for (size_t k = 0; k < p.inputs.size(); ++k) counts.input_dtypes[k] = static_cast<uint8_t>(p.inputs[k]);
  for (size_t k = 0; k < p.outputs.size(); ++k) {
    counts.outputs[k] = p.outputs[k];
    counts.output_dtypes[k] = static_cast<uint8_t>(p.dtype(p.outputs[k]));
  }
  std::vector<Step> steps;
  for (const Instr& i : p.code) {
    uint8_t kind = i.cast ? kCast : i.code.arity == 1 ? kUnary : i.code.arity == 2 ? kBinary : kSelect;
    steps.push_back({kind, i.code.op, static_cast<uint8_t>(i.in), static_cast<uint8_t>(i.out), i.a, i.b, i.c});
  }
  if (steps.empty()) steps.push_back({});
  std::vector<uint64_t> constants;
  for (const Constant& c : p.constants) constants.push_back(c.bits);
  if (constants.empty()) constants.push_back(0);
  plan.value(0, counts);
  plan.values(1, steps);
  plan.values(2, constants);
  if (strided) plan.values(3, words(layout));
  for (size_t k = 0; k < p.inputs.size(); ++k) bind_place(plan, static_cast<uint8_t>(kInputSlot + k), call.inputs[k], false);
  for (size_t k = 0; k < p.outputs.size(); ++k) plan.output(static_cast<uint8_t>(kOutputSlot + k), k);
  return true;
}

}  // namespace

void set_fused_way(FusedWay way) { chosen.store(way, std::memory_order_relaxed); }
FusedWay fused_way() { return chosen.load(std::memory_order_relaxed); }

Shape FusedCall::shape_of(Level level) const {
  Shape s(whole);
  size_t first_of_row = s.size() - static_cast<size_t>(program.row_axes);
  for (size_t i = 0; i < s.size(); ++i) {
    uint8_t differs = i < first_of_row ? uint8_t(Level::per_row) : uint8_t(Level::per_column);
    if (!(static_cast<uint8_t>(level) & differs)) s[i] = 1;
  }
  return s;
}

bool plan_fused(const Task& task, Plan& plan) {
  const Program& program = *task.params.get<FusedParams>().program;
  if (has_float64(program)) return false;
  FusedCall call{program, program.shape(task.in), {}, program.levels(), task.out};
  if (program.row_axes == 0) std::fill(call.levels.begin(), call.levels.end(), Level::full);
  size_t first_of_row = call.whole.size() - static_cast<size_t>(program.row_axes);
  for (size_t i = 0; i < call.whole.size(); ++i) (i < first_of_row ? call.n_rows : call.length) *= call.whole[i];
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    call.inputs.push_back({Binding::input, i, 0, whole_strides(task.in[i].strides(), program.input_level(i), call.whole, program.row_axes)});
  }
  if (program.row_axes == 0 && call.n_rows == 0) return true;
  FusedWay way = fused_way();
  bool sources = way == FusedWay::source || (way == FusedWay::automatic && kept_with(program).ran());
  bool empty = call.n_rows == 0 || call.length == 0;
  if (sources && !empty && fits_source(call)) return keep_apart(task, program, true, call, plan) && plan_source(call, kept_with(program).source(program), plan);
  if (way != FusedWay::instructions && fits_interpreter(program)) return keep_apart(task, program, true, call, plan) && interpret(call, plan);
  return keep_apart(task, program, false, call, plan) && Instructions(call, plan).run();
}

}  // namespace mx::metal

// fused.cpp — the kernel of fused programs (compile/program.h). What a program needs to run on arrays of some layout is
// prepared once and kept in the program: its passes (fused_plan.h), each as generated code (jit.cpp) or for the tile interpreter
// (fused_tiles.cpp). Programs without rows run here; those with rows in fused_rows.cpp. Start at fused_kernel().

#include "backend/cpu/fused.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/crosswise.h"
#include "backend/cpu/fused_rows.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"
#include "backend/cpu/strided.h"
#include "compile/program.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTile = 1024;    // Elements gathered at a time,
constexpr int64_t kGathered = 1 << 17;  // fewer of many inputs: bytes for all of them.
constexpr double kWorth = 3000;    // Nanoseconds worth a thread.

using Key = SmallVector<uint8_t, 24>;

// A program prepared for one way of running, the levels that its inputs have, and outputs that are streamed.
struct Variant {
  Key key;
  RowPlan plan;
  std::vector<Level> levels;
  int64_t grain = 0;  // Of elements, for flat programs.
  Variant* next = nullptr;
};

// All that a program was prepared for.
class Variants final : public Prepared {
 public:
  Variants() = default;
  ~Variants() override {
    for (Variant* v = first_; v;) delete std::exchange(v, v->next);
  }
  const Variant* find(const Key& key) const {
    for (const Variant* v = first_.load(std::memory_order_acquire); v; v = v->next) {
      if (v->key.size() == key.size() && std::memcmp(v->key.begin(), key.begin(), key.size()) == 0) return v;
    }
    return nullptr;
  }
  const Variant& add(std::unique_ptr<Variant> v) {
    v->next = first_.load(std::memory_order_relaxed);
    while (!first_.compare_exchange_weak(v->next, v.get(), std::memory_order_release, std::memory_order_relaxed)) {
    }
    return *v.release();
  }

 private:
  std::atomic<Variant*> first_{nullptr};
};

void make_code(Pass& pass) {
  if (pass.empty()) return;
  pass.code = generate_code(pass.body);
  if (!pass.code) pass.code = interpret(pass.body);
}

std::unique_ptr<Variant> prepare(const Program& program, const Key& key, RowMode mode) {
  auto v = std::make_unique<Variant>();
  v->key = key;
  size_t n_in = program.inputs.size();
  for (size_t i = 0; i < n_in; ++i) v->levels.push_back(static_cast<Level>(key[1 + i]));
  std::vector<bool> stream;
  for (size_t k = 0; k < program.outputs.size(); ++k) stream.push_back(key[1 + n_in + k] != 0);
  v->plan = plan_rows(program, v->levels, stream, mode);
  for (Pass& pass : v->plan.passes) make_code(pass);
  for (Pass& phase : v->plan.phases) make_code(phase);
  v->grain = std::max<int64_t>(kTile, static_cast<int64_t>(kWorth / v->plan.cost) & ~(kTile - 1));
  return v;
}

const Variant& variant(const Program& program, const Key& key, RowMode mode) {
  auto* variants = static_cast<Variants*>(program.prepared.get());
  if (!variants) variants = static_cast<Variants*>(&program.prepared.keep(std::make_unique<Variants>()));
  const Variant* v = variants->find(key);
  return v ? *v : variants->add(prepare(program, key, mode));
}

// A broadcast may be of a lower level than the program says: the same element all along each row, or everywhere.
Level level_of(const array& x, Level declared, int row_axes) {
  if (declared != Level::full || x.row_contiguous()) return declared;
  const Shape& shape = x.shape();
  bool varies = false, one = false, even = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool within = row_axes == 0 || i >= shape.size() - static_cast<size_t>(row_axes);
    if (shape[i] == 1) continue;
    if (within) one |= x.strides()[i] == 0, varies |= x.strides()[i] != 0;
    else even &= x.strides()[i] == 0;
  }
  if (varies || !one) return declared;
  return even ? Level::single : Level::per_row;
}

// An output may have been given the memory of an input that is read after the output is written, or by other elements.
bool overwrites(const Task& task, const Program& program, const Variant& v, RowMode mode, size_t in, size_t out) {
  if (task.in[in].bytes() != task.out[out].bytes() || task.in[in].size() == 0) return false;
  if (v.levels[in] != Level::full || task.in[in].shape() != task.out[out].shape() || task.in[in].itemsize() != task.out[out].itemsize()) return true;
  if (mode == RowMode::flat) return false;
  bool full = program.row_axes == 0 || program.level(program.outputs[out]) == Level::full;
  return !full || v.plan.first_written[out] < v.plan.last_read[in];
}

array copied(const array& x) {
  auto buffer = std::make_shared<Buffer>();
  std::unique_ptr<std::byte[]> memory(new std::byte[x.n_bytes()]);
  std::memcpy(memory.get(), x.bytes(), x.n_bytes());  // It is row contiguous, as an output's memory.
  buffer->data = memory.get();
  buffer->n_bytes = x.n_bytes();
  BufferRef kept(buffer.get(), [buffer, owned = std::shared_ptr<std::byte[]>(std::move(memory))](Buffer*) mutable { buffer.reset(); });
  return array::wrap(std::move(kept), x.type(), 0);
}

// ---- programs without rows

bool any_streams(const Pass& pass) {
  return std::any_of(pass.body.outputs.begin(), pass.body.outputs.end(), [](const LoopBody::Output& o) { return o.stream; });
}

// False if nothing lies across the others.
bool run_crosswise(const Task& task, std::span<const array> inputs, const Variant& v) {
  const Pass& pass = v.plan.passes[0];
  const Shape& shape = task.out[0].shape();
  std::vector<CrossOperand> operands;
  for (size_t k = 0; k < pass.in.size(); ++k) {
    const array& x = inputs[pass.in[k].index];
    Strides strides = pass.body.inputs[k].scalar ? Strides(shape.size(), 0) : x.strides();
    operands.push_back({x.bytes(), static_cast<int64_t>(x.itemsize()), std::move(strides)});
  }
  for (const PlanPlace& place : pass.out) {
    array& y = task.out[place.index];
    operands.push_back({y.bytes(), static_cast<int64_t>(y.itemsize()), row_strides(y.shape())});
  }
  Crosswise walk(shape, operands, pass.out.size(), true);
  if (!walk.pays()) return false;
  bool streams = any_streams(pass);
  walk.run(v.grain, [&](const void* const* in, void* const* out, int64_t n) { pass.code->run(in, out, nullptr, n); },
           [&] { if (streams) stream_fence(); });
  return true;
}

void run_flat(const Task& task, std::span<const array> inputs, const Variant& v) {
  const Pass& pass = v.plan.passes[0];
  size_t n_in = pass.in.size(), n_out = pass.out.size();
  int64_t size = task.out[0].size();
  struct Operand {
    std::byte* base;
    int64_t itemsize;  // 0 for scalars.
    const Reader* reader;
  };
  SmallVector<Operand, 8> operands;
  SmallVector<Reader, 2> readers;
  readers.reserve(n_in);
  bool direct = true;
  for (size_t k = 0; k < n_in; ++k) {
    const array& x = inputs[pass.in[k].index];
    bool scalar = pass.body.inputs[k].scalar;
    Operand o{x.bytes(), scalar ? 0 : static_cast<int64_t>(x.itemsize()), nullptr};
    if (!scalar && !x.row_contiguous()) {
      readers.push_back(Reader(x));
      if (!readers.back().contiguous()) o.reader = &readers.back(), direct = false;
    }
    operands.push_back(o);
  }
  for (size_t k = 0; k < n_out; ++k) {
    array& y = task.out[pass.out[k].index];
    operands.push_back({y.bytes(), static_cast<int64_t>(y.itemsize()), nullptr});
  }
  if (!direct && run_crosswise(task, inputs, v)) return;
  size_t n = n_in + n_out;
  bool streams = any_streams(pass);
  int64_t tile = std::clamp<int64_t>(kGathered / (8 * std::max<int64_t>(1, static_cast<int64_t>(readers.size()))) & ~int64_t(63), 64, kTile);
  parallel_for(size, v.grain, [&](int64_t begin, int64_t end) {
    constexpr size_t kFew = 24;
    const void* few[kFew];
    Scratch many(n > kFew || !direct ? n * sizeof(void*) + 64 + readers.size() * static_cast<size_t>(tile) * 8 : 0);
    const void** at = n > kFew || !direct ? many.as<const void*>() : few;
    std::byte* room = many.as<std::byte>() + (n * sizeof(void*) + 63) / 64 * 64;
    int64_t step = direct ? end - begin : tile;
    for (int64_t i = begin; i < end; i += step) {
      int64_t m = std::min(step, end - i);
      for (size_t k = 0; k < n; ++k) {
        const Operand& o = operands[k];
        at[k] = o.reader ? o.reader->read(i, m, static_cast<void*>(room + (o.reader - readers.begin()) * tile * 8)) : o.base + i * o.itemsize;
      }
      pass.code->run(at, const_cast<void* const*>(at + n_in), nullptr, m);
    }
    if (streams) stream_fence();
  });
}

}  // namespace

const Pass& flat_pass(const Program& program, std::span<const Level> levels) {
  Key key;
  key.push_back(static_cast<uint8_t>(RowMode::flat));
  for (Level l : levels) key.push_back(static_cast<uint8_t>(l));
  for (size_t k = 0; k < program.outputs.size(); ++k) key.push_back(0);
  return variant(program, key, RowMode::flat).plan.passes[0];
}

void fused_kernel(const Task& task) {
  const Program& program = *task.params.get<FusedParams>().program;
  const Shape& whole = program.shape(task.in);
  size_t n_in = program.inputs.size();
  RowMode mode = RowMode::flat;
  int64_t n_rows = 1, length = 1;
  if (program.row_axes > 0) {
    size_t first_of_row = whole.size() - static_cast<size_t>(program.row_axes);
    for (size_t i = 0; i < whole.size(); ++i) (i < first_of_row ? n_rows : length) *= whole[i];
    mode = choose_mode(program, n_rows, length);
  } else if (task.out[0].size() == 0) {
    return;
  }
  Key key;
  key.push_back(static_cast<uint8_t>(mode));
  for (size_t i = 0; i < n_in; ++i) key.push_back(static_cast<uint8_t>(level_of(task.in[i], program.input_level(i), program.row_axes)));
  for (const array& out : task.out) key.push_back(out.n_bytes() >= kStreamBytes);

  const Variant& v = variant(program, key, mode);

  Arrays own;
  std::span<const array> inputs = task.in;
  for (size_t k = 0; k < task.out.size(); ++k) {
    for (size_t i = 0; i < n_in; ++i) {
      if (!overwrites(task, program, v, mode, i, k)) continue;
      if (own.empty()) own.assign(task.in.begin(), task.in.end());
      own[i] = copied(task.in[i]);
      inputs = own;
    }
  }
  if (mode == RowMode::flat) {
    run_flat(task, inputs, v);
  } else {
    run_rows({task, program, v.plan, mode, whole, n_rows, length, v.levels, inputs});
  }
}

}  // namespace mx::cpu

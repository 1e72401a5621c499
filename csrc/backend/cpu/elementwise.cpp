// elementwise.cpp — runs the loops of loops.h over arrays of any layout.
//
// Contiguous operands go to the loop as they lie. Others are gathered tile by tile into scratch memory that stays
// in the first-level cache; so are float16 and bfloat16, which are converted to float32 there and back.
// Start at run().

#include "backend/cpu/elementwise.h"

#include "backend/cpu/crosswise.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/strided.h"
#include "ops/cast_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTile = 512;
constexpr size_t kMaxInputs = 3;

struct alignas(64) Tile {
  std::byte bytes[kTile * 8];
};

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }

// One operand as a piece of work reads it: contiguous memory, `widen`ed to float32 where that is set.
class Operand {
 public:
  Operand(const array& x, bool compute_in_float)
      : reader_(x), itemsize_(x.itemsize()), widen_(compute_in_float && is_half(x.dtype()) ? find_cast(x.dtype(), Dtype::float32) : nullptr) {}
  bool direct() const { return reader_.contiguous() && !widen_; }
  bool constant() const { return reader_.constant(); }
  /// Elements [begin, begin + n), n <= kTile.
  const void* tile(int64_t begin, int64_t n, Tile& raw, Tile& wide) const {
    const void* x = reader_.read(begin, n, &raw);
    if (!widen_) return x;
    widen_(&x, &wide, n);
    return &wide;
  }
  size_t itemsize() const { return itemsize_; }

 private:
  Reader reader_;
  size_t itemsize_;
  Loop widen_;
};

// False if nothing lies across the others, or a half type is to be converted.
bool run_crosswise(const Task& task, Loop loop, bool in_float, int64_t grain) {
  array& out = task.out[0];
  if (in_float || out.ndim() < 2) return false;
  SmallVector<CrossOperand, kMaxInputs + 1> operands;
  for (const array& x : task.in) operands.push_back({x.bytes(), static_cast<int64_t>(x.itemsize()), x.strides()});
  operands.push_back({out.bytes(), static_cast<int64_t>(out.itemsize()), row_strides(out.shape())});
  Crosswise walk(out.shape(), {operands.begin(), operands.size()}, 1, false);
  if (!walk.pays()) return false;
  walk.run(grain, [&](const void* const* in, void* const* to, int64_t n) { loop(in, to[0], n); });
  return true;
}

// Runs `loop` on all inputs. With `in_float`, half inputs are widened before and a half output is rounded after.
void run(const Task& task, Loop loop, bool in_float, int64_t grain) {
  array& out = task.out[0];
  int64_t size = out.size();
  if (size == 0) return;
  size_t n_in = task.in.size(), out_size = out.itemsize();
  SmallVector<Operand, kMaxInputs> operands;
  bool direct = true;
  for (const array& x : task.in) {
    operands.push_back(Operand(x, in_float));
    direct &= operands.back().direct();
  }
  Loop narrow = in_float && is_half(out.dtype()) ? find_cast(Dtype::float32, out.dtype()) : nullptr;
  std::byte* y = out.bytes();

  if (direct && !narrow) {
    const std::byte* first[kMaxInputs];
    for (size_t k = 0; k < n_in; ++k) first[k] = task.in[k].bytes();
    parallel_for(size, grain, [&](int64_t begin, int64_t end) {
      const void* in[kMaxInputs];
      for (size_t k = 0; k < n_in; ++k) in[k] = first[k] + static_cast<size_t>(begin) * operands[k].itemsize();
      loop(in, y + static_cast<size_t>(begin) * out_size, end - begin);
    });
    return;
  }
  if (run_crosswise(task, loop, in_float, grain)) return;
  parallel_for(size, grain, [&](int64_t begin, int64_t end) {
    Tile raw[kMaxInputs], wide[kMaxInputs], result;
    const void* in[kMaxInputs];
    for (size_t k = 0; k < n_in; ++k) {
      if (operands[k].constant()) in[k] = operands[k].tile(begin, std::min(kTile, end - begin), raw[k], wide[k]);
    }
    for (int64_t i = begin; i < end; i += kTile) {
      int64_t n = std::min(kTile, end - i);
      for (size_t k = 0; k < n_in; ++k) {
        if (!operands[k].constant()) in[k] = operands[k].tile(i, n, raw[k], wide[k]);
      }
      void* to = y + static_cast<size_t>(i) * out_size;
      loop(in, narrow ? &result : to, n);
      const void* from = &result;
      if (narrow) narrow(&from, to, n);
    }
  });
}

// The smallest piece worth a thread.
int64_t grain_of(ElementwiseCode code) {
  constexpr int64_t kLight = 32768, kHeavy = 4096;
  if (code.arity == 1) {
    constexpr bool heavy[] = {
#define UNARY(NAME, ACCEPTS, ...) (Accepts::ACCEPTS == Accepts::Inexact || Accepts::ACCEPTS == Accepts::Floating),
#include "ops/unary.def"
    };
    return heavy[code.op] ? kHeavy : kLight;
  }
  for (BinaryOp op : {BinaryOp::power, BinaryOp::arctan2, BinaryOp::logaddexp, BinaryOp::remainder, BinaryOp::floor_divide}) {
    if (code == ElementwiseCode(op)) return kHeavy;
  }
  return kLight;
}

}  // namespace

void elementwise_kernel(const Task& task) {
  ElementwiseCode code = *elementwise_code(task.primitive);
  Dtype t = task.in.back().dtype();
  bool in_float = is_half(t);
  if (in_float) t = Dtype::float32;
  if (in_float && code == ElementwiseCode(TernaryOp::select)) {
    // Selecting moves bits: no need to look at them.
    in_float = false;
    t = Dtype::uint16;
  }
  run(task, find_loop(code, t), in_float, grain_of(code));
}

void astype_kernel(const Task& task) {
  run(task, find_cast(task.in[0].dtype(), task.out[0].dtype()), false, 32768);
}

}  // namespace mx::cpu

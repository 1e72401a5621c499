// program.h — a fused group of operations as data: what compile/fuse.cpp writes and back ends run.
//
// Values are numbered: first the inputs, then the constants, then one for each instruction in order. An
// instruction names its operands by these numbers and its result has the next one, so code is in SSA form.
// The meaning is that of running each instruction on whole arrays: results are rounded to their dtype after every one.
//
// Every value has a level, which says where it has elements of its own. Without rows (row_axes == 0) inputs are `full`, all of
// one shape (broadcasts may be views with stride 0), or `single`, one element for all; results are full. With rows, a
// program may reduce over the last `row_axes` axes: a row is what these axes span. Then values are
//   full         of the whole shape, which at least one input gives
//   per_row      one element for each row: the shape with `row_axes` ones at its end, or without its last axes
//   per_column   one for each position in a row: the shape with ones in front, or without its first axes; only inputs and
//                the results of column reductions, which nothing but outputs may name
//   single       one element, in any shape of size 1; constants too
// Operands of lower level count for all elements that they stand for, in reductions too.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "graph/primitive.h"
#include "ops/elementwise_params.h"

namespace mx {

/// Bit 0: differs between rows; bit 1: differs within a row. The level of a result is that of its operands, or-ed.
enum class Level : uint8_t { single = 0, per_row = 1, per_column = 2, full = 3 };

enum class Reduce : uint8_t { none, sum, prod, max, min };

/// One operation on up to three operands of dtype `in`, giving dtype `out`. A cast has one operand and no code.
/// The operand `a` of `select` is its condition, a bool; its b and c have dtype `in`.
/// A reduction has one operand and no code; its elements are converted to `out` first (float16 and bfloat16 are combined in
/// float32, and the result is rounded). The result is per row; with `columns`, per column.
struct Instr {
  bool cast = false;
  ElementwiseCode code{};
  Dtype in = Dtype::float32;
  Dtype out = Dtype::float32;
  uint16_t a = 0, b = 0, c = 0;  ///< Value numbers; unused ones are 0.
  Reduce reduce = Reduce::none;
  bool columns = false;          ///< Of a reduction: over rows instead of along them.

  int n_operands() const { return cast || reduce != Reduce::none ? 1 : code.arity; }
  uint16_t operand(int k) const { return k == 0 ? a : k == 1 ? b : c; }
  auto fields() const { return std::tie(cast, code, in, out, a, b, c, reduce, columns); }
  bool operator==(const Instr&) const = default;
};

/// A scalar: the first size_of(dtype) bytes of `bits` (little-endian) are the element.
struct Constant {
  Dtype dtype = Dtype::float32;
  uint64_t bits = 0;

  auto fields() const { return std::tie(dtype, bits); }
  bool operator==(const Constant&) const = default;
};

/// What a backend has made of a program, for the next runs: a base class for its own.
class Prepared {
 public:
  virtual ~Prepared() = default;
};

/// A place for it that any number of threads may fill and read. Copies of a program begin with an empty one.
class PreparedSlot {
 public:
  PreparedSlot() = default;
  PreparedSlot(const PreparedSlot&) {}
  PreparedSlot& operator=(const PreparedSlot&) { return *this; }
  ~PreparedSlot() { delete kept_.load(std::memory_order_relaxed); }
  /// Null until something is kept.
  Prepared* get() const { return kept_.load(std::memory_order_acquire); }
  /// Keeps `made` unless another thread was first. Returns what is kept.
  Prepared& keep(std::unique_ptr<Prepared> made) const {
    Prepared* none = nullptr;
    if (kept_.compare_exchange_strong(none, made.get(), std::memory_order_acq_rel)) return *made.release();
    return *none;
  }

 private:
  mutable std::atomic<Prepared*> kept_{nullptr};
};

struct Program {
  std::vector<Dtype> inputs;
  std::vector<Constant> constants;
  std::vector<Instr> code;
  std::vector<uint16_t> outputs;  ///< Value numbers; may repeat, may name inputs or constants.
  /// Where each instruction's call was made; empty if that was not traced. Not part of the program's identity.
  std::vector<std::shared_ptr<const std::string>> origins = {};
  int row_axes = 0;
  std::vector<Level> input_levels = {};  ///< One for each input; empty: all full.
  /// One for each output, or empty: none. An output per row or per column that lacks the axes it was reduced over.
  std::vector<bool> squeezed = {};
  PreparedSlot prepared = {};         ///< What the CPU backend keeps.
  PreparedSlot prepared_on_gpu = {};  ///< What a GPU's does.

  size_t n_values() const { return inputs.size() + constants.size() + code.size(); }
  /// The dtype of a value.
  Dtype dtype(size_t value) const {
    if (value < inputs.size()) return inputs[value];
    value -= inputs.size();
    return value < constants.size() ? constants[value].dtype : code[value - constants.size()].out;
  }
  Level input_level(size_t input) const { return input_levels.empty() ? Level::full : input_levels[input]; }
  /// The levels of all values.
  std::vector<Level> levels() const;
  Level level(size_t value) const { return levels()[value]; }
  /// The whole shape, from the shapes of the inputs; and the type of output k.
  const Shape& shape(std::span<const array> in) const;
  Type output_type(size_t k, const Shape& whole) const;

  auto fields() const { return std::tie(inputs, constants, code, outputs, row_axes, input_levels, squeezed); }
};

struct FusedParams {
  explicit FusedParams(std::shared_ptr<const Program> p) : program(std::move(p)) {}
  std::shared_ptr<const Program> program;
  auto fields() const { return program->fields(); }
};

/// Runs a program: one input and one output per entry of the program's. The record is in compile/fused.cpp.
extern const Primitive fused_p;

/// A product of matrices and what is computed of its elements: input 0 of the program, which has no rows, is
/// alpha * (a @ b) + beta * c, rounded to its dtype. Inputs: a, b, c if there is an addend, the program's others.
/// Outputs: the product if `kept`, the program's. One of them has the product's dtype. Floating dtypes only.
struct FusedMatmulParams {
  std::shared_ptr<const Program> program;
  double alpha = 1, beta = 1;
  bool addend = false, kept = false;
  size_t first_input() const { return addend ? 3 : 2; }  ///< Of the program's others.
  auto fields() const { return std::tuple_cat(std::tie(alpha, beta, addend, kept), program->fields()); }
};
extern const Primitive fused_matmul_p;

/// The program of a call of one of these; null for other primitives.
const Program* program_in(const Primitive& p, const Params& params);

}  // namespace mx

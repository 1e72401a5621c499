// program.h — a fused group of elementwise operations as data: what compile/fuse.cpp writes and back ends run.
//
// Values are numbered: first the inputs, then the constants, then one for each instruction in order. An
// instruction names its operands by these numbers and its result has the next one, so code is in SSA form.
// All inputs and outputs have one shape (broadcasts are views with stride 0). The meaning is that of running
// each instruction on whole arrays: results are rounded to their dtype after every instruction.
#pragma once

#include <memory>
#include <vector>

#include "graph/primitive.h"
#include "ops/elementwise_params.h"

namespace mx {

/// One operation on up to three operands of dtype `in`, giving dtype `out`. A cast has one operand and no code.
/// The operand `a` of `select` is its condition, a bool; its b and c have dtype `in`.
struct Instr {
  bool cast = false;
  ElementwiseCode code{};
  Dtype in = Dtype::float32;
  Dtype out = Dtype::float32;
  uint16_t a = 0, b = 0, c = 0;  ///< Value numbers; unused ones are 0.

  auto fields() const { return std::tie(cast, code, in, out, a, b, c); }
  bool operator==(const Instr&) const = default;
};

/// A scalar: the first size_of(dtype) bytes of `bits` (little-endian) are the element.
struct Constant {
  Dtype dtype = Dtype::float32;
  uint64_t bits = 0;

  auto fields() const { return std::tie(dtype, bits); }
  bool operator==(const Constant&) const = default;
};

struct Program {
  std::vector<Dtype> inputs;
  std::vector<Constant> constants;
  std::vector<Instr> code;
  std::vector<uint16_t> outputs;  ///< Value numbers; may repeat, may name inputs or constants.
  /// Where each instruction's call was made; empty if that was not traced. Not part of the program's identity.
  std::vector<std::shared_ptr<const std::string>> origins = {};

  size_t n_values() const { return inputs.size() + constants.size() + code.size(); }
  /// The dtype of a value.
  Dtype dtype(size_t value) const {
    if (value < inputs.size()) return inputs[value];
    value -= inputs.size();
    return value < constants.size() ? constants[value].dtype : code[value - constants.size()].out;
  }
  auto fields() const { return std::tie(inputs, constants, code, outputs); }
};

struct FusedParams {
  std::shared_ptr<const Program> program;
  auto fields() const { return program->fields(); }
};

/// Runs a program: one input and one output per entry of the program's. The record is in compile/fuse.cpp.
extern const Primitive fused_p;

}  // namespace mx

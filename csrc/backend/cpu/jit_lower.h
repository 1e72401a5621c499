// jit_lower.h — from a LoopBody to the graph of one step.
#pragma once

#include "backend/cpu/jit_ir.h"
#include "backend/cpu/loop_body.h"

namespace mx::cpu::jit {

/// Where the elements of a reduction are to be found: in memory anyway, or written to a tile for it.
struct ReducedFrom {
  enum Kind : uint8_t { input, output, tile } kind = tile;
  uint16_t index = 0;
};
ReducedFrom reduced_from(const LoopBody& body, size_t k);

/// Adds the body's operations and stores to `graph`; the operands of reductions that go to tiles are outputs behind those of the body.
/// False if there is something in it that is not generated: tiles run it then.
bool lower(const LoopBody& body, Graph& graph);

Dtype dtype_of_value(const LoopBody& body, size_t value);

/// The dtype in which values of dtype t are computed: float32 for float16 and bfloat16.
inline Dtype held(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16 ? Dtype::float32 : t; }

/// Real rows (jit_real.cpp): the result of a row of the tables in float32 or float64; false if there is none.
/// Conditions among the operands and results are masks.
bool real_row(Graph& graph, ElementwiseCode code, Type type, const Id* in, Id& out);

}  // namespace mx::cpu::jit

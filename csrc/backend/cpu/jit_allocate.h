// jit_allocate.h — from a graph to machine code: which values are computed when, and where they are.
#pragma once

#include "backend/cpu/jit_encoder.h"

namespace mx::cpu::jit {

/// The code of a Function for `graph`; empty if it would need too much room.
std::vector<uint8_t> assemble(const Graph& graph, Encoder& encoder);

}  // namespace mx::cpu::jit

// jit.h — the native code generator as tests and tools see it. Everyone else calls generate_code() of loop_body.h.
//
//   jit_lower, jit_real   a LoopBody becomes a graph of vector operations
//   jit_ir, jit_lanes     the graph, and the lane types through which vector_math.h writes to it
//   jit_allocate          order, registers, frame
//   jit_encoder, jit_x86* instructions
//   jit_memory            where code lies
#pragma once

#include "backend/cpu/loop_body.h"

namespace mx::cpu::jit {

enum class InstructionSet : uint8_t { none, avx2, avx512 };

/// The best that this processor has and the generator knows.
InstructionSet best_instruction_set();

/// generate_code() for a set that this processor has.
std::shared_ptr<const LoopCode> generate_code_for(const LoopBody& body, InstructionSet set);

/// The bytes alone, with regular or streaming stores; empty where there is no code.
std::vector<uint8_t> code_bytes(const LoopBody& body, InstructionSet set, bool stream = false);

}  // namespace mx::cpu::jit

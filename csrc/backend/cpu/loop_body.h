// loop_body.h — one pass over elements that lie side by side, as data: what the executor of fused programs (fused.cpp) makes of
// a program's elementwise part, and what two back ends run: the tile interpreter (fused_tiles.cpp) and generated code (jit.cpp).
//
// Values are numbered as in compile/program.h: inputs, then constants, then one for each instruction.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/reduce_loops.h"
#include "compile/program.h"

namespace mx::cpu {

struct LoopBody {
  struct Input {
    Dtype dtype;
    bool scalar;  ///< One element for the whole pass, such as a row's maximum.
  };
  struct Output {
    uint16_t value;
    bool stream;  ///< Written past the caches.
  };
  struct Reduced {
    uint16_t value;
    Reduction op;
  };
  std::vector<Input> inputs;
  std::vector<Constant> constants;
  std::vector<Instr> code;  ///< Elementwise operations and casts only.
  std::vector<Output> outputs;
  std::vector<Reduced> reduced;
};

/// A body made ready by a back end.
class LoopCode {
 public:
  virtual ~LoopCode() = default;
  /// Elements 0 .. n of every input (one for scalars) give elements 0 .. n of every output. An output may be the memory of an
  /// input of the same size of element, otherwise nothing overlaps. `reduced[k]` gets the k-th reduction of these n
  /// elements, in the dtype of its value (float32 for float16 and bfloat16). Any number of threads may run one code at once.
  /// Both back ends reduce in the same order: `row` of reduce_loops.h for pieces of kPiece elements, then `row` over the results in
  /// order, 64 at a time, where the result of one 64 is the first of the next.
  virtual void run(const void* const* in, void* const* out, void* const* reduced, int64_t n) const = 0;
};

/// Generated code, or null where there is none: a dtype or operation that it does not know, a processor without
/// AVX2, a system that refuses executable memory, MXFORM_JIT=0. (jit.cpp)
std::shared_ptr<const LoopCode> generate_code(const LoopBody& body);

/// The same in tiles; every body has one. (fused_tiles.cpp)
std::shared_ptr<const LoopCode> interpret(const LoopBody& body);

}  // namespace mx::cpu

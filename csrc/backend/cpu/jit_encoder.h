// jit_encoder.h — the seam between the code generator and a processor: an Encoder turns nodes whose operands have places
// into instructions. The generator (jit_allocate.cpp) chooses the places and drives it: enter, then nodes that
// are the same in every step, then the bodies of two loops, then finish.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/jit_ir.h"

namespace mx::cpu::jit {

/// Where a value is.
struct Place {
  enum Kind : uint8_t { reg, frame, pool, tile } kind = reg;
  int n = 0;     ///< Register, place in the frame (a vector each), constant, or tile.
  int copy = 0;  ///< Of a tile: which of the unrolled steps.
};

/// Buffers in which one loop leaves values for another: `n` tiles of `length` elements.
struct Tiles {
  int n = 0, length = 0;
};

/// The generated function: elements begin .. end of each output.
using Function = void (*)(const void* const* in, void* const* out, int64_t begin, int64_t end);

class Encoder {
 public:
  virtual ~Encoder() = default;

  int lanes = 0;  ///< Elements in a step.

  // ---- what there is
  /// Two register files: 0 of vectors; 1 of masks where they are bits.
  int file(Type t) const { return bit_masks_ && is_mask(t); }
  /// The registers of a file that values may live in, as bits.
  virtual uint32_t registers(int file) const = 0;
  /// Whether operand k of the node may be in memory.
  virtual bool takes_memory(const Node& node, int k) const = 0;
  /// Whether `rest` steps ask for any number of elements; else end - begin must be a multiple of `lanes`.
  virtual bool masks_tails() const = 0;

  // ---- code, in this order
  /// `scalars`: which inputs are. `repairs`: whether there is any repair.
  virtual void enter(const std::vector<bool>& scalars, int n_out, bool repairs, Tiles tiles) = 0;
  /// If there are tiles: all loops up to end_tiles() run for the elements of one, then of the next. Each loop begins with next_loop().
  virtual void begin_tiles() = 0;
  virtual void next_loop() = 0;
  virtual void end_tiles() = 0;
  /// A loop with steps of `unroll * lanes` elements; runs while that many are left.
  virtual void begin_main(int unroll) = 0;
  virtual void end_main() = 0;
  /// A loop with steps of `lanes` elements, or of what is left.
  virtual void begin_rest() = 0;
  virtual void end_rest() = 0;
  /// The end of the function. The code is complete, and independent of where it lies.
  virtual std::vector<uint8_t>& finish(int frame_slots) = 0;

  // ---- between them
  /// The number of a constant in the pool.
  virtual int pool(Type t, uint64_t bits) = 0;
  /// The node's value to register `to`. It may be the register of an operand that is not needed afterwards. `copy`: which of
  /// the unrolled steps.
  virtual void emit(const Node& node, int to, const Place* in, int copy) = 0;
  virtual void store(const Graph::Store& s, Type t, int from, int copy) = 0;
  virtual void load(Type t, int to, Place from) = 0;
  /// A constant to a register.
  virtual void load_constant(Type t, uint64_t bits, int to) = 0;
  virtual void save(Type t, int from, Place to) = 0;

 protected:
  bool bit_masks_ = false;
};

std::unique_ptr<Encoder> make_avx512_encoder(int lanes);
std::unique_ptr<Encoder> make_avx2_encoder(int lanes);

}  // namespace mx::cpu::jit

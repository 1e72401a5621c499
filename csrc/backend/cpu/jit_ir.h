// jit_ir.h — what the code generator works on: straight-line code over vectors, in SSA form, for one step of a loop.
//
// A node's number is its place in Graph::nodes; operands have smaller numbers. Equal nodes are one node: add() finds
// the earlier one. What a processor lacks is made of what it has as nodes are added (jit_ir.cpp), so encoders know few
// operations. All lanes of a step are computed alike; a step has as many lanes as the widest type's register holds.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "base/dtype.h"

namespace mx::cpu::jit {

/// What a lane holds. m32 and m64 are truth values beside lanes of 4 and 8 bytes: one bit each in AVX-512, whole lanes elsewhere.
enum class Type : uint8_t { f32, i32, f64, i64, m32, m64 };

constexpr int lane_size(Type t) { return t == Type::f64 || t == Type::i64 || t == Type::m64 ? 8 : 4; }
constexpr bool is_mask(Type t) { return t == Type::m32 || t == Type::m64; }
constexpr bool is_float(Type t) { return t == Type::f32 || t == Type::f64; }

enum class Op : uint8_t {
  input,     ///< The next elements of input `imm`, from memory of dtype `memory`.
  scalar,    ///< The one element of input `imm`.
  constant,  ///< `bits` in every lane; for masks 0 or 1.
  add, sub, mul, div, min, max, fma, fnma, fms, sqrt,  ///< a * b + c, c - a * b, a * b - c.
  round,     ///< To a whole number; imm: Rounding.
  scale,     ///< a * 2^b.
  and_, or_, xor_, andn,  ///< Of bits; andn: ~a & b.
  iadd, isub, imul, imin, imax, umin, umax,
  shl, shr, sar,       ///< By imm.
  shlv, shrv, sarv,    ///< By lanes; as if the count were unsigned and the number infinitely wide.
  compare,   ///< Of floating numbers; imm: Compare.
  icompare, ucompare,  ///< Of integers, signed and unsigned.
  mask_and, mask_or, mask_xor, mask_not,
  select,    ///< a ? b : c.
  convert,   ///< From the type `from` to `type`; between integers and floats to nearest.
  truncate,  ///< From the floating type `from` to an integer; not representable: the lowest (unsigned: the highest) number.
  uconvert, utruncate, ///< The same for unsigned integers.
  round_half,          ///< The nearest float16, as float32.
  resize,    ///< A mask for lanes of the other size.
  repair,    ///< (rare, x, y): y, with bits(x) where rare. (rare, x1, x2, y) for two arguments.
};

enum class Rounding : uint8_t { nearest, down, up, zero };
enum class Compare : uint8_t { eq, ne, lt, le, gt, ge, unordered };  ///< ne is true with NaN.

struct Node {
  Op op{};
  Type type{};
  Type from{};
  Dtype memory = Dtype::float32;
  uint8_t n_in = 0;
  bool invariant = false;  ///< The same in every step.
  uint16_t imm = 0;
  uint32_t in[4] = {};
  uint64_t bits = 0;
};

using Id = uint32_t;

/// What a processor's encoder can do by itself. Without these, add() composes.
struct Features {
  bool bit_masks = false;   ///< Masks are bits in registers of their own, of no width.
  bool scale = false;
  bool wide_integers = false;  ///< imul, sar, minima, conversions of 8-byte integers, unsigned compares and conversions.
};

class Graph {
 public:
  explicit Graph(Features f);

  Id add(Op op, Type type, std::initializer_list<Id> in, uint16_t imm = 0);
  Id constant(Type type, uint64_t bits);
  Id convert(Op op, Type from, Type to, Id a);
  Id leaf(Op op, Type type, Dtype memory, uint16_t index);
  Id repair(Type type, std::initializer_list<Id> in, const void* function);

  // Composed where the processor has them not.
  Id scale(Type type, Id a, Id n);
  Id shift(Op op, Type type, Id a, int count);
  Id compare(Op op, Compare c, Type of, Id a, Id b);
  Id select(Type type, Id mask, Id a, Id b);
  Id mask(Id m, Type type);  ///< m as a mask for lanes of `type`'s size.
  Id to_int(Type from, Id a);
  Id to_float(Type to, Id a);
  Id of_float(Type type, double x);  ///< A constant.

  struct Store {
    Id value;
    Dtype memory;
    uint16_t output;
    bool stream;
  };
  std::vector<Node> nodes;
  std::vector<Store> stores;
  const Features features;
  bool refused = false;  ///< Something that this processor cannot do was asked for.

  bool is_constant(Id i) const { return nodes[i].op == Op::constant; }
  /// Lanes of 8 bytes are among the values, so that a step has half as many.
  bool wide() const { return wide_; }

 private:
  /// x where the node is -x; else the node itself.
  Id negated(Id i) const;
  Id insert(const Node& n);
  void grow();
  std::vector<uint32_t> table_;  // Hash table of node numbers + 1.
  bool wide_ = false;
};

}  // namespace mx::cpu::jit

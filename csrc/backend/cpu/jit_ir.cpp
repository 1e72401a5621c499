// jit_ir.cpp — see jit_ir.h. Nodes are hashed as they are added; the composed operations follow.

#include "backend/cpu/jit_ir.h"

#include <bit>
#include <cstring>

namespace mx::cpu::jit {

namespace {

uint32_t hash(const Node& n) {
  uint64_t h = (uint64_t(n.op) << 32) ^ (uint64_t(n.type) << 40) ^ (uint64_t(n.from) << 44) ^ (uint64_t(n.memory) << 48) ^ n.imm;
  for (int k = 0; k < n.n_in; ++k) h = (h ^ n.in[k]) * 0x9e3779b97f4a7c15u;
  h = (h ^ n.bits) * 0x9e3779b97f4a7c15u;
  return static_cast<uint32_t>(h >> 32);
}

bool same(const Node& a, const Node& b) {
  return a.op == b.op && a.type == b.type && a.from == b.from && a.memory == b.memory && a.n_in == b.n_in && a.imm == b.imm &&
         a.bits == b.bits && std::memcmp(a.in, b.in, sizeof a.in) == 0;
}

bool commutes(Op op) {
  switch (op) {
    case Op::add:
    case Op::mul:
    case Op::fma:
    case Op::fnma:
    case Op::fms:
    case Op::and_:
    case Op::or_:
    case Op::xor_:
    case Op::iadd:
    case Op::imul:
    case Op::imin:
    case Op::imax:
    case Op::umin:
    case Op::umax: return true;
    default: return false;
  }
}

}  // namespace

Graph::Graph(Features f) : features(f) {
  nodes.reserve(256);
  table_.assign(1024, 0);
}

void Graph::grow() {
  table_.assign(table_.size() * 4, 0);
  size_t mask = table_.size() - 1;
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    size_t at = hash(nodes[i]) & mask;
    while (table_[at]) at = (at + 1) & mask;
    table_[at] = i + 1;
  }
}

Id Graph::insert(const Node& n) {
  size_t mask = table_.size() - 1, at = hash(n) & mask;
  for (; table_[at]; at = (at + 1) & mask) {
    if (same(nodes[table_[at] - 1], n)) return table_[at] - 1;
  }
  nodes.push_back(n);
  Node& added = nodes.back();
  added.invariant = added.op != Op::input;
  for (int k = 0; k < n.n_in; ++k) added.invariant &= nodes[n.in[k]].invariant;
  if (lane_size(n.type) == 8 || (n.n_in && lane_size(n.from) == 8)) wide_ = true;
  auto id = static_cast<Id>(nodes.size() - 1);
  table_[at] = id + 1;
  if (nodes.size() * 2 > table_.size()) grow();
  return id;
}

Id Graph::negated(Id i) const {
  const Node& n = nodes[i];
  uint64_t sign = lane_size(n.type) == 8 ? uint64_t(1) << 63 : uint64_t(1) << 31;
  return n.op == Op::xor_ && is_constant(n.in[1]) && nodes[n.in[1]].bits == sign ? n.in[0] : i;
}

Id Graph::add(Op op, Type type, std::initializer_list<Id> in, uint16_t imm) {
  Node n;
  n.op = op;
  n.type = type;
  n.imm = imm;
  for (Id i : in) n.in[n.n_in++] = i;
  if (op == Op::fma && negated(n.in[2]) != n.in[2]) {
    n.op = op = Op::fms;
    n.in[2] = negated(n.in[2]);
  }
  // Constants second: there they can be read from memory.
  if (commutes(op) && is_constant(n.in[0]) && !is_constant(n.in[1])) std::swap(n.in[0], n.in[1]);
  return insert(n);
}

Id Graph::constant(Type type, uint64_t bits) {
  Node n;
  n.op = Op::constant;
  // Numbers of equal bits are one constant.
  n.type = type == Type::i32 ? Type::f32 : type == Type::i64 ? Type::f64 : type;
  n.bits = n.type == Type::f32 ? bits & 0xffffffffu : bits;
  if (is_mask(type)) {
    n.bits = bits & 1;
    if (features.bit_masks) n.type = Type::m32;
  }
  return insert(n);
}

Id Graph::of_float(Type type, double x) {
  return type == Type::f32 ? constant(type, std::bit_cast<uint32_t>(static_cast<float>(x))) : constant(type, std::bit_cast<uint64_t>(x));
}

Id Graph::leaf(Op op, Type type, Dtype memory, uint16_t index) {
  Node n;
  n.op = op;
  n.type = type;
  n.memory = memory;
  n.imm = index;
  return insert(n);
}

Id Graph::convert(Op op, Type from, Type to, Id a) {
  bool integers = from == Type::i32 || from == Type::i64 || to == Type::i32 || to == Type::i64;
  bool easy = op == Op::convert ? (from == Type::i32 || (to == Type::i32 && from == Type::f32) || !integers)
                                : op == Op::truncate && to == Type::i32;
  refused |= !features.wide_integers && !easy;
  Node n;
  n.op = op;
  n.type = to;
  n.from = from;
  n.in[n.n_in++] = a;
  return insert(n);
}

Id Graph::repair(Type type, std::initializer_list<Id> in, const void* function) {
  Node n;
  n.op = Op::repair;
  n.type = type;
  for (Id i : in) n.in[n.n_in++] = i;
  n.in[0] = mask(n.in[0], type);
  n.bits = reinterpret_cast<uint64_t>(function);
  return insert(n);
}

Id Graph::mask(Id m, Type type) {
  if (features.bit_masks || lane_size(nodes[m].type) == lane_size(type)) return m;
  Type to = lane_size(type) == 8 ? Type::m64 : Type::m32;
  if (is_constant(m)) return constant(to, nodes[m].bits);
  return add(Op::resize, to, {m});
}

Id Graph::select(Type type, Id m, Id a, Id b) {
  if (is_constant(m)) return nodes[m].bits ? a : b;
  if (a == b) return a;
  if (is_mask(type)) {
    Id on = add(Op::mask_and, type, {m, a});
    return add(Op::mask_or, type, {on, add(Op::mask_and, type, {add(Op::mask_not, type, {m}), b})});
  }
  return add(Op::select, type, {mask(m, type), a, b});
}

Id Graph::shift(Op op, Type type, Id a, int count) {
  auto n = static_cast<uint16_t>(count);
  if (count == 0) return a;
  if (op == Op::sar && type == Type::i64 && !features.wide_integers) {
    Id sign = constant(type, uint64_t(1) << (63 - count));
    return add(Op::isub, type, {add(Op::xor_, type, {add(Op::shr, type, {a}, n), sign}), sign});
  }
  return add(op, type, {a}, n);
}

Id Graph::compare(Op op, Compare c, Type of, Id a, Id b) {
  Type m = lane_size(of) == 8 && !features.bit_masks ? Type::m64 : Type::m32;
  if (is_constant(a) && !is_constant(b)) {
    std::swap(a, b);
    c = c == Compare::lt ? Compare::gt : c == Compare::le ? Compare::ge : c == Compare::gt ? Compare::lt : c == Compare::ge ? Compare::le : c;
  }
  Node n;
  n.op = op;
  n.type = m;
  n.from = of;
  n.n_in = 2;
  n.in[0] = a;
  n.in[1] = b;
  n.imm = static_cast<uint16_t>(c);
  if (op == Op::compare || features.bit_masks) return insert(n);
  // Vectors of integers: equal and greater, signed, are all there is.
  if (op == Op::ucompare && c != Compare::eq && c != Compare::ne) {
    Id sign = constant(of, of == Type::i64 ? uint64_t(1) << 63 : uint64_t(1) << 31);
    n.in[0] = a = add(Op::xor_, of, {a, sign});
    n.in[1] = b = add(Op::xor_, of, {b, sign});
  }
  n.op = Op::icompare;
  bool negate = c == Compare::ne || c == Compare::le || c == Compare::ge;
  if (c == Compare::lt || c == Compare::ge) std::swap(n.in[0], n.in[1]);
  n.imm = static_cast<uint16_t>(c == Compare::eq || c == Compare::ne ? Compare::eq : Compare::gt);
  Id y = insert(n);
  return negate ? add(Op::mask_not, m, {y}) : y;
}

// Adding 1.5 * 2^52 puts a whole number into the low bits of a double, and back.
constexpr double kMagic = 0x1.8p52;

Id Graph::to_int(Type from, Id a) {
  if (from == Type::f32) return convert(Op::convert, from, Type::i32, a);
  if (features.wide_integers) return convert(Op::convert, from, Type::i64, a);
  Id magic = of_float(from, kMagic);
  return add(Op::isub, Type::i64, {add(Op::add, from, {a, magic}), magic});
}

Id Graph::to_float(Type to, Id a) {
  if (to == Type::f32) return convert(Op::convert, Type::i32, to, a);
  if (features.wide_integers) return convert(Op::convert, Type::i64, to, a);
  Id magic = of_float(to, kMagic);
  return add(Op::sub, to, {add(Op::iadd, Type::i64, {a, magic}), magic});
}

Id Graph::scale(Type type, Id a, Id n) {
  if (features.scale) return add(Op::scale, type, {a, n});
  // In two steps, each by a power of two that is a normal number; the first is exact.
  if (type == Type::f32) {
    Type t = Type::i32;
    Id all = to_int(type, n), half = shift(Op::sar, t, all, 1), bias = constant(t, 127);
    Id rest = add(Op::isub, t, {all, half});
    Id y = add(Op::mul, type, {a, shift(Op::shl, t, add(Op::iadd, t, {half, bias}), 23)});
    return add(Op::mul, type, {y, shift(Op::shl, t, add(Op::iadd, t, {rest, bias}), 23)});
  }
  Type t = Type::i64;
  Id half = add(Op::round, type, {add(Op::mul, type, {n, of_float(type, 0.5)})}, static_cast<uint16_t>(Rounding::down));
  Id bias = constant(t, 1023), rest = add(Op::sub, type, {n, half});
  Id y = add(Op::mul, type, {a, shift(Op::shl, t, add(Op::iadd, t, {to_int(type, half), bias}), 52)});
  return add(Op::mul, type, {y, shift(Op::shl, t, add(Op::iadd, t, {to_int(type, rest), bias}), 52)});
}

}  // namespace mx::cpu::jit

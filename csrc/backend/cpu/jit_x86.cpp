// jit_x86.cpp — see jit_x86.h. First bytes, then operations. The shape of a function is in jit_x86_function.cpp.

#include "backend/cpu/jit_x86.h"

#include <algorithm>
#include <cstring>

namespace mx::cpu::jit {

// ---- bytes

void X86Encoder::grow() {
  size_t n = here();
  code_.resize(std::max<size_t>(code_.size() * 2, 1 << 13));
  at_ = code_.data() + n;
  end_ = code_.data() + code_.size();
}
void X86Encoder::word32(int32_t x) {
  std::memcpy(at_, &x, 4);
  at_ += 4;
}
void X86Encoder::word64(uint64_t x) {
  std::memcpy(at_, &x, 8);
  at_ += 8;
}

void X86Encoder::modrm(int reg, const Operand& rm, int scale, int immediate_bytes) {
  int r = (reg & 7) << 3;
  if (!rm.memory()) {
    byte(0xc0 | r | (rm.reg & 7));
    return;
  }
  if (rm.pool >= 0) {
    byte(r | 5);
    fixups_.push_back({here(), rm.pool, immediate_bytes});
    word32(0);
    return;
  }
  int small = rm.disp / scale;
  bool exact = rm.disp % scale == 0 && small >= -128 && small < 128;
  int mod = rm.disp == 0 && (rm.base & 7) != rbp ? 0 : exact ? 1 : 2;
  if (rm.index != no_gpr || (rm.base & 7) == rsp) {
    byte(mod << 6 | r | 4);
    int index = rm.index == no_gpr ? static_cast<int>(rsp) : rm.index;  // rsp stands for none.
    byte(rm.shift << 6 | (index & 7) << 3 | (rm.base & 7));
  } else {
    byte(mod << 6 | r | (rm.base & 7));
  }
  if (mod == 1) byte(small & 0xff);
  if (mod == 2) word32(rm.disp);
}

namespace {
int bit(int x, int n) { return x < 0 ? 0 : x >> n & 1; }
}  // namespace

void X86Encoder::vex(Opcode c, int bytes, int reg, int vvvv, const Operand& rm, int imm) {
  int r = bit(reg, 3), x = rm.memory() ? bit(rm.index, 3) : 0, b = rm.memory() ? bit(rm.base, 3) : bit(rm.reg, 3);
  int rest = (~vvvv & 15) << 3 | (bytes == 32) << 2 | c.prefix;
  if (c.map == 1 && c.w == 0 && !x && !b) {
    byte(0xc5);
    byte(!r << 7 | rest);
  } else {
    byte(0xc4);
    byte(!r << 7 | !x << 6 | !b << 5 | c.map);
    byte(c.w << 7 | rest);
  }
  byte(c.op);
  modrm(reg, rm, 1, imm >= 0);
  if (imm >= 0) byte(imm);
}

void X86Encoder::vector(Opcode c, int reg, int vvvv, const Operand& rm, const Form& f) {
  if (!evex_) {
    vex(c, f.bytes, reg, vvvv, rm, f.imm);
    return;
  }
  bool broadcast = rm.pool >= 0 && f.memory == 0;
  int x = rm.memory() ? bit(rm.index, 3) : bit(rm.reg, 4), b = rm.memory() ? bit(rm.base, 3) : bit(rm.reg, 3);
  byte(0x62);
  byte(!bit(reg, 3) << 7 | !x << 6 | !b << 5 | !bit(reg, 4) << 4 | c.map);
  byte(c.w << 7 | (~vvvv & 15) << 3 | 4 | c.prefix);
  byte(f.zeroing << 7 | (f.bytes == 64 ? 2 : f.bytes == 32) << 5 | broadcast << 4 | !bit(vvvv, 4) << 3 | f.k);
  byte(c.op);
  modrm(reg, rm, broadcast ? f.element : f.memory ? f.memory : f.bytes, f.imm >= 0);
  if (f.imm >= 0) byte(f.imm);
}

void X86Encoder::gpr_op(int op, int reg, int rm, bool wide) {
  int rex = 0x40 | wide << 3 | bit(reg, 3) << 2 | bit(rm, 3);
  if (rex != 0x40) byte(rex);
  byte(op);
  byte(0xc0 | (reg & 7) << 3 | (rm & 7));
}
void X86Encoder::gpr_memory(int op, int reg, int base, int disp) {
  Operand m;
  m.base = base;
  m.disp = disp;
  byte(0x48 | bit(reg, 3) << 2 | bit(base, 3));
  byte(op);
  modrm(reg, m, 1, 0);
}
void X86Encoder::gpr_load(int to, int base, int disp) { gpr_memory(0x8b, to, base, disp); }
void X86Encoder::gpr_store(int base, int disp, int from) { gpr_memory(0x89, from, base, disp); }
void X86Encoder::lea(int to, int base, int disp) { gpr_memory(0x8d, to, base, disp); }
void X86Encoder::gpr_imm(int digit, int rm, int32_t imm) {
  bool small = imm >= -128 && imm < 128;
  byte(0x48 | bit(rm, 3));
  byte(small ? 0x83 : 0x81);
  byte(0xc0 | digit << 3 | (rm & 7));
  if (small) byte(imm & 0xff);
  else word32(imm);
}
void X86Encoder::mov_imm64(int to, uint64_t x) {
  byte(0x48 | bit(to, 3));
  byte(0xb8 | (to & 7));
  word64(x);
}
void X86Encoder::push(int r) {
  if (r >= 8) byte(0x41);
  byte(0x50 | (r & 7));
}
void X86Encoder::pop(int r) {
  if (r >= 8) byte(0x41);
  byte(0x58 | (r & 7));
}
size_t X86Encoder::jump(int condition) {
  if (condition < 0) {
    byte(0xe9);
  } else {
    byte(0x0f);
    byte(0x80 | condition);
  }
  word32(0);
  return here();
}
void X86Encoder::patch(size_t jump, size_t target) {
  auto distance = static_cast<int32_t>(static_cast<int64_t>(target) - static_cast<int64_t>(jump));
  std::memcpy(&code_[jump - 4], &distance, 4);
}
void X86Encoder::align(size_t to) {
  // 0F 1F with a displacement: eight bytes that do nothing.
  static constexpr uint8_t kNothing[8] = {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0};
  size_t n = (to - here() % to) % to;
  for (; n >= 8; n -= 8) {
    std::memcpy(at_, kNothing, 8);
    at_ += 8;
  }
  for (; n > 0; --n) byte(0x90);
}

int X86Encoder::pool(Type t, uint64_t bits) {
  pool_.push_back({t, bits});
  return static_cast<int>(pool_.size()) - 1;
}

// ---- operands

Operand X86Encoder::operand(const Place& p) const {
  if (p.kind == Place::reg) return Operand::of(p.n);
  if (p.kind == Place::frame) return at_frame(spill_base() + 64 * p.n);
  Operand o;
  if (p.kind == Place::tile) {
    o.base = r14;
    o.index = rdx;
    o.shift = tile_stride() == 8 ? 3 : 2;
    o.disp = p.n * tile_bytes() + p.copy * lanes * tile_stride();
    return o;
  }
  o.pool = p.n;
  return o;
}

Operand X86Encoder::element(bool output, int k, int size, int copy) {
  Operand o;
  o.base = bases_[output][static_cast<size_t>(k)];
  if (o.base == no_gpr) {
    gpr_load(rax, output ? rsi : rdi, 8 * k);
    o.base = rax;
  }
  o.index = rdx;
  o.shift = size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
  o.disp = copy * lanes * size;
  return o;
}

bool X86Encoder::takes_memory(const Node& node, int k) const {
  switch (node.op) {
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::min:
    case Op::max:
    case Op::scale:
    case Op::and_:
    case Op::or_:
    case Op::xor_:
    case Op::andn:
    case Op::iadd:
    case Op::isub:
    case Op::imul:
    case Op::imin:
    case Op::imax:
    case Op::umin:
    case Op::umax:
    case Op::shlv:
    case Op::shrv:
    case Op::sarv:
    case Op::compare:
    case Op::icompare:
    case Op::ucompare: return k == 1;
    case Op::fma:
    case Op::fnma:
    case Op::fms: return true;
    case Op::select: return k == 1;
    case Op::mask_and:
    case Op::mask_or:
    case Op::mask_xor: return !bit_masks_ && k == 1;
    default: return false;
  }
}

// ---- operations

void X86Encoder::binary(Opcode c, Type t, int to, const Place* in, int imm) { vector(c, to, in[0].n, operand(in[1]), form(t, imm)); }
void X86Encoder::unary(Opcode c, Type t, int to, const Place* in, int imm) { vector(c, to, 0, operand(in[0]), form(t, imm)); }

void X86Encoder::move(Type t, int to, const Operand& from) {
  if (!from.memory() && from.reg == to) return;
  if (evex_ && from.pool >= 0) {
    Form f = form(t);
    f.memory = lane_size(t);
    vector({2, 1, static_cast<uint8_t>(lane_size(t) == 8 ? 0x19 : 0x18), w(t)}, to, 0, from, f);
    return;
  }
  vector({1, 0, static_cast<uint8_t>(from.memory() ? 0x10 : 0x28)}, to, 0, from, form(t));
}

// The three forms overwrite a factor (132, 213) or the summand (231); the last operand may be in memory.
void X86Encoder::fma(const Node& node, int to, const Place* in) {
  Place a = in[0], b = in[1], c = in[2];
  auto is = [&](const Place& p) { return p.kind == Place::reg && p.n == to; };
  // Opcodes of a * b + c; those of a * b - c and c - a * b stand behind.
  auto op = [&](int plain, const Place& middle, const Place& last) {
    int code = plain + (node.op == Op::fms ? 2 : node.op == Op::fnma ? 4 : 0);
    vector({2, 1, static_cast<uint8_t>(code), w(node.type)}, to, middle.n, operand(last), form(node.type));
  };
  if (!is(c) && is(b)) std::swap(a, b);
  if (!is(c) && is(a)) {
    if (b.kind != Place::reg) op(0x98, c, b);
    else op(0xa8, b, c);
    return;
  }
  move(node.type, to, operand(c));
  if (a.kind != Place::reg) std::swap(a, b);
  op(0xb8, a, b);
}

void X86Encoder::emit(const Node& node, int to, const Place* in, int copy) {
  room();
  Type t = node.type;
  bool wide = lane_size(t) == 8;
  uint8_t pd = is_float(t) && wide;  // The prefix that tells doubles from floats.
  auto choose = [&](int narrow_op, int wide_op) { return static_cast<uint8_t>(wide ? wide_op : narrow_op); };
  switch (node.op) {
    case Op::input: {
      int size = static_cast<int>(mx::size_of(node.memory));
      load_input(node, to, element(false, node.imm, size, copy));
      return;
    }
    case Op::scalar: return load_scalar(node, to);
    case Op::add: return binary({1, pd, 0x58, we(t)}, t, to, in);
    case Op::mul: return binary({1, pd, 0x59, we(t)}, t, to, in);
    case Op::sub: return binary({1, pd, 0x5c, we(t)}, t, to, in);
    case Op::min: return binary({1, pd, 0x5d, we(t)}, t, to, in);
    case Op::div: return binary({1, pd, 0x5e, we(t)}, t, to, in);
    case Op::max: return binary({1, pd, 0x5f, we(t)}, t, to, in);
    case Op::sqrt: return unary({1, pd, 0x51, we(t)}, t, to, in);
    case Op::fma:
    case Op::fnma:
    case Op::fms: return fma(node, to, in);
    case Op::round: {
      static constexpr int kMode[] = {8, 9, 10, 11};  // Without a signal for inexact results.
      return unary({3, 1, choose(0x08, 0x09), we(t)}, t, to, in, kMode[node.imm]);
    }
    case Op::and_: return binary({1, 1, 0xdb, we(t)}, t, to, in);
    case Op::andn: return binary({1, 1, 0xdf, we(t)}, t, to, in);
    case Op::or_: return binary({1, 1, 0xeb, we(t)}, t, to, in);
    case Op::xor_: return binary({1, 1, 0xef, we(t)}, t, to, in);
    case Op::iadd: return binary({1, 1, choose(0xfe, 0xd4), we(t)}, t, to, in);
    case Op::isub: return binary({1, 1, choose(0xfa, 0xfb), we(t)}, t, to, in);
    case Op::imul: return binary({2, 1, 0x40, w(t)}, t, to, in);
    case Op::imin: return binary({2, 1, 0x39, we(t)}, t, to, in);
    case Op::umin: return binary({2, 1, 0x3b, we(t)}, t, to, in);
    case Op::imax: return binary({2, 1, 0x3d, we(t)}, t, to, in);
    case Op::umax: return binary({2, 1, 0x3f, we(t)}, t, to, in);
    case Op::shl: return vector({1, 1, choose(0x72, 0x73), we(t)}, 6, to, operand(in[0]), form(t, node.imm));
    case Op::shr: return vector({1, 1, choose(0x72, 0x73), we(t)}, 2, to, operand(in[0]), form(t, node.imm));
    case Op::sar: return vector({1, 1, 0x72, we(t)}, 4, to, operand(in[0]), form(t, node.imm));
    case Op::shlv: return binary({2, 1, 0x47, w(t)}, t, to, in);
    case Op::shrv: return binary({2, 1, 0x45, w(t)}, t, to, in);
    case Op::sarv: return binary({2, 1, 0x46, w(t)}, t, to, in);
    case Op::round_half: {
      vector({3, 1, 0x1d}, in[0].n, 0, Operand::of(scratch()), form(t, 0));
      return vector({2, 1, 0x13}, to, 0, Operand::of(scratch()), form(t));
    }
    case Op::convert:
    case Op::truncate:
    case Op::uconvert:
    case Op::utruncate: return convert(node, to, in);
    case Op::repair: return repair(node, to, in);
    default: return special(node, to, in, copy);
  }
}

// Conversions change the size of lanes: their length is that of the longer operand.
void X86Encoder::convert(const Node& node, int to, const Place* in) {
  struct Row {
    Op op;
    Type from, to;
    Opcode code;
  };
  using enum Type;
  static constexpr Row kRows[] = {
      {Op::convert, f32, f64, {1, 0, 0x5a}},     {Op::convert, f64, f32, {1, 1, 0x5a, 1}},   {Op::convert, i32, f32, {1, 0, 0x5b}},
      {Op::convert, f32, i32, {1, 1, 0x5b}},     {Op::convert, i32, f64, {1, 2, 0xe6}},      {Op::convert, f64, i32, {1, 3, 0xe6, 1}},
      {Op::truncate, f32, i32, {1, 2, 0x5b}},    {Op::truncate, f64, i32, {1, 1, 0xe6, 1}},  {Op::convert, i32, i64, {2, 1, 0x25}},
      {Op::uconvert, i32, i64, {2, 1, 0x35}},    {Op::convert, i64, i32, {2, 2, 0x35}},      {Op::convert, i64, f64, {1, 2, 0xe6, 1}},
      {Op::convert, f64, i64, {1, 1, 0x7b, 1}},  {Op::truncate, f64, i64, {1, 1, 0x7a, 1}},  {Op::convert, i64, f32, {1, 0, 0x5b, 1}},
      {Op::convert, f32, i64, {1, 1, 0x7b}},     {Op::truncate, f32, i64, {1, 1, 0x7a}},     {Op::uconvert, i32, f32, {1, 3, 0x7a}},
      {Op::uconvert, i64, f32, {1, 3, 0x7a, 1}}, {Op::uconvert, i32, f64, {1, 2, 0x7a}},     {Op::uconvert, i64, f64, {1, 2, 0x7a, 1}},
      {Op::utruncate, f32, i32, {1, 0, 0x78}},   {Op::utruncate, f64, i32, {1, 0, 0x78, 1}}, {Op::utruncate, f32, i64, {1, 1, 0x78}},
      {Op::utruncate, f64, i64, {1, 1, 0x78, 1}},
  };
  for (const Row& r : kRows) {
    if (r.op != node.op || r.from != node.from || r.to != node.type) continue;
    Opcode c = r.code;
    c.w &= evex_;
    Form f;
    f.bytes = lanes * std::max(lane_size(r.from), lane_size(r.to));
    bool narrows = r.from == i64 && r.to == i32;  // The one whose operands are the other way round.
    if (narrows) vector(c, in[0].n, 0, Operand::of(to), f);
    else vector(c, to, 0, Operand::of(in[0].n), f);
    return;
  }
}

// One element, converted as load_input would, in all lanes.
void X86Encoder::load_scalar(const Node& node, int to) {
  gpr_load(rax, rdi, 8 * node.imm);
  Operand at;
  at.base = rax;
  Form f = form(node.type);
  int size = static_cast<int>(mx::size_of(node.memory));
  f.memory = size;
  if (size >= 4) {
    vector({2, 1, static_cast<uint8_t>(size == 8 ? 0x19 : 0x18), static_cast<uint8_t>(evex_ && size == 8)}, to, 0, at, f);
    return;
  }
  bool is_signed = node.memory == Dtype::int8 || node.memory == Dtype::int16;
  byte(0x0f);  // movzx or movsx eax, [rax]
  byte((size == 2 ? 0xb7 : 0xb6) | is_signed << 3);
  byte(0);
  if (node.memory == Dtype::bool_) return broadcast_mask(to);
  if (node.memory == Dtype::bfloat16) {
    byte(0xc1);  // shl eax, 16
    byte(0xe0);
    byte(16);
  }
  Form one;
  one.bytes = 16;
  vector({1, 1, 0x6e}, to, 0, Operand::of(rax), one);
  if (node.memory == Dtype::float16) vector({2, 1, 0x13}, to, 0, Operand::of(to), one);
  vector({2, 1, 0x18}, to, 0, Operand::of(to), form(node.type));
}

}  // namespace mx::cpu::jit

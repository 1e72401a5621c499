// jit_x86_avx2.cpp — the encoder for AVX2 with FMA and F16C: 16 registers, masks as whole lanes, constants as whole vectors in
// memory. There are no masked loads of short elements, so it takes whole steps only; callers copy the last elements.

#include "backend/cpu/jit_x86.h"

namespace mx::cpu::jit {

namespace {

constexpr int kScratch = 15;

class Avx2Encoder final : public X86Encoder {
 public:
  explicit Avx2Encoder(int n) : X86Encoder(false) { lanes = n; }

  uint32_t registers(int file) const override { return file ? 0 : 0x7fffu; }
  bool masks_tails() const override { return false; }

  void load(Type t, int to, Place from) override {
    room();
    move(t, to, operand(from));
  }
  void save(Type t, int from, Place to) override {
    room();
    vector({1, 0, 0x11}, from, 0, operand(to), form(t));
  }
  void load_constant(Type t, uint64_t bits, int to) override {
    room();
    if (bits == 0) vector({1, 1, 0xef}, to, to, Operand::of(to), form(t));
    else if (is_mask(t)) vector({1, 1, 0x76}, to, to, Operand::of(to), form(t));
  }

  void store(const Graph::Store& s, Type t, int from, int copy) override {
    room();
    int size = static_cast<int>(mx::size_of(s.memory));
    Operand to = element(true, s.output, size, copy);
    if (size >= 4) {
      vector({1, w(t), static_cast<uint8_t>(s.stream && !rest_ ? 0x2b : 0x11)}, from, 0, to, form(t));
      return;
    }
    if (s.memory == Dtype::float16) {
      vector({3, 1, 0x1d}, from, 0, to, form(t, 0));
      return;
    }
    if (s.memory == Dtype::bfloat16) {
      vector({1, 1, 0x72}, 2, kScratch, Operand::of(from), form(t, 16));
      from = kScratch;
    }
    // Packing saturates, which changes nothing here, and works within the halves of a register.
    bool is_signed = s.memory == Dtype::bool_ || s.memory == Dtype::int8 || s.memory == Dtype::int16;
    if (is_signed) vector({1, 1, 0x6b}, kScratch, from, Operand::of(from), form(t));  // vpackssdw
    else vector({2, 1, 0x2b}, kScratch, from, Operand::of(from), form(t));            // vpackusdw
    if (lanes == 8) vector({3, 1, 0x00, 1}, kScratch, 0, Operand::of(kScratch), form(t, 0x08));  // vpermq
    Form half;
    half.bytes = 16;
    if (size == 1) {
      vector({1, 1, static_cast<uint8_t>(is_signed ? 0x63 : 0x67)}, kScratch, kScratch, Operand::of(kScratch), half);  // vpack(s|u)swb
      if (s.memory == Dtype::bool_) vector({2, 1, 0x1c}, kScratch, 0, Operand::of(kScratch), half);                     // vpabsb
    }
    int bytes = size * lanes;
    if (bytes == 16) vector({1, 2, 0x7f}, kScratch, 0, to, half);       // vmovdqu
    else if (bytes == 8) vector({1, 1, 0xd6}, kScratch, 0, to, half);   // vmovq
    else vector({1, 1, 0x7e}, kScratch, 0, to, half);                   // vmovd
  }

 protected:
  int scratch() const override { return kScratch; }

  void load_input(const Node& node, int to, const Operand& from) override {
    Type t = node.type;
    Form f = form(t);
    switch (node.memory) {
      case Dtype::float16: return vector({2, 1, 0x13}, to, 0, from, f);
      case Dtype::bfloat16:
        vector({2, 1, 0x33}, to, 0, from, f);
        return vector({1, 1, 0x72}, 6, to, Operand::of(to), form(t, 16));
      case Dtype::bool_:
        vector({2, 1, 0x31}, to, 0, from, f);
        vector({1, 1, 0xef}, kScratch, kScratch, Operand::of(kScratch), f);
        return vector({1, 1, 0x66}, to, to, Operand::of(kScratch), f);  // vpcmpgtd
      case Dtype::uint8: return vector({2, 1, 0x31}, to, 0, from, f);
      case Dtype::int8: return vector({2, 1, 0x21}, to, 0, from, f);
      case Dtype::uint16: return vector({2, 1, 0x33}, to, 0, from, f);
      case Dtype::int16: return vector({2, 1, 0x23}, to, 0, from, f);
      default: return vector({1, w(t), 0x10}, to, 0, from, f);
    }
  }
  void broadcast_mask(int to) override {
    byte(0xf7), byte(0xd8);  // neg eax
    Form one;
    one.bytes = 16;
    vector({1, 1, 0x6e}, to, 0, Operand::of(rax), one);
    vector({2, 1, 0x58}, to, 0, Operand::of(to), form(Type::m32));  // vpbroadcastd
  }

  void special(const Node& node, int to, const Place* in, int) override {
    // Ordered but for `ne`, and quiet.
    static constexpr int kCompare[] = {0, 4, 0x11, 0x12, 0x1e, 0x1d, 3};
    Type t = node.type;
    bool wide = lane_size(t) == 8;
    auto choose = [&](int narrow_op, int wide_op) { return static_cast<uint8_t>(wide ? wide_op : narrow_op); };
    switch (node.op) {
      case Op::compare: return binary({1, static_cast<uint8_t>(wide), 0xc2}, t, to, in, kCompare[node.imm]);
      case Op::icompare: {
        bool equal = node.imm == static_cast<int>(Compare::eq);
        uint8_t map = wide ? 2 : 1;
        return binary({map, 1, equal ? choose(0x76, 0x29) : choose(0x66, 0x37)}, t, to, in);
      }
      case Op::mask_and: return binary({1, 1, 0xdb}, t, to, in);
      case Op::mask_or: return binary({1, 1, 0xeb}, t, to, in);
      case Op::mask_xor: return binary({1, 1, 0xef}, t, to, in);
      case Op::mask_not:
        vector({1, 1, 0x76}, kScratch, kScratch, Operand::of(kScratch), form(t));
        return vector({1, 1, 0xef}, to, kScratch, operand(in[0]), form(t));
      case Op::select:  // vblendv: the second operand where the mask is not set
        return vector({3, 1, choose(0x4a, 0x4b)}, to, in[2].n, operand(in[1]), form(t, in[0].n << 4));
      case Op::resize: {
        Form f;
        f.bytes = 32;
        if (wide) return vector({2, 1, 0x25}, to, 0, Operand::of(in[0].n), f);  // vpmovsxdq
        f.imm = 1;
        vector({3, 1, 0x39}, in[0].n, 0, Operand::of(kScratch), f);  // vextracti128
        f.bytes = 16;
        f.imm = 0x88;
        return vector({1, 0, 0xc6}, to, in[0].n, Operand::of(kScratch), f);  // vshufps: the even ones
      }
      default: return;
    }
  }

  void test_mask(int mask, Type t) override {
    read(mask, t);
    gpr_op(0x85, rax, rax, false);
  }
  void read_mask(int, Type) override {}  // As test_mask left it.

  void save_all() override { all(0x11); }
  void restore_all() override { all(0x10); }

 private:
  // vmovmskps, vmovmskpd
  void read(int mask, Type t) { vector({1, w(t), 0x50}, rax, 0, Operand::of(mask), form(t)); }
  void all(uint8_t op) {
    Form f;
    f.bytes = 32;
    for (int v = 0; v < 16; ++v) vector({1, 0, op}, v, 0, at_frame(kSavedVectors + 64 * v), f);
  }
};

}  // namespace

std::unique_ptr<Encoder> make_avx2_encoder(int lanes) { return std::make_unique<Avx2Encoder>(lanes); }

}  // namespace mx::cpu::jit

// jit_x86_avx512.cpp — the encoder for AVX-512 (F, BW, DQ, VL): 32 registers, masks as bits in registers of their own,
// constants spread by the instruction that uses them, tails by masked loads and stores. k1 has the lanes in use.

#include "backend/cpu/jit_x86.h"

namespace mx::cpu::jit {

namespace {

constexpr int kLanesInUse = 1;
constexpr int kScratch = 31;

// Predicates as they are numbered for floats (quiet; ordered but for `ne`) and for integers.
constexpr int kFloatCompare[] = {0, 4, 0x11, 0x12, 0x1e, 0x1d, 3};
constexpr int kIntCompare[] = {0, 4, 1, 2, 6, 5};

class Avx512Encoder final : public X86Encoder {
 public:
  explicit Avx512Encoder(int n) : X86Encoder(true) {
    lanes = n;
    bit_masks_ = true;
  }
  // k0 cannot mask; k1 is taken.
  uint32_t registers(int file) const override { return file ? 0xfcu : 0x7fffffffu; }
  bool masks_tails() const override { return true; }

  void enter(const std::vector<bool>& scalars, int n_out, bool repairs, Tiles tiles) override {
    X86Encoder::enter(scalars, n_out, repairs, tiles);
    use_lanes();
  }

  void load(Type t, int to, Place from) override {
    room();
    if (is_mask(t)) vex({1, 0, 0x90}, 16, to, 0, operand(from), -1);
    else move(t, to, operand(from));
  }
  void save(Type t, int from, Place to) override {
    room();
    if (is_mask(t)) vex({1, 0, 0x91}, 16, from, 0, operand(to), -1);
    else vector({1, 0, 0x11}, from, 0, operand(to), form(t));
  }
  void load_constant(Type t, uint64_t bits, int to) override {
    room();
    if (is_mask(t)) {
      masks(bits ? 0x46 : 0x47, to, to, to);  // xnor, xor
    } else if (bits == 0) {
      Form f;
      f.bytes = 16;  // Zeroes the rest.
      vector({1, 1, 0xef}, to, to, Operand::of(to), f);
    }
  }

  void store(const Graph::Store& s, Type t, int from, int copy) override {
    room();
    int size = static_cast<int>(mx::size_of(s.memory));
    Operand to = element(true, s.output, size, copy);
    Form f = form(t);
    f.k = rest_ ? kLanesInUse : 0;
    f.memory = lanes * size;
    if (size >= 4) {
      bool stream = s.stream && !rest_;
      vector({1, w(t), static_cast<uint8_t>(stream ? 0x2b : 0x11), w(t)}, from, 0, to, f);
    } else if (s.memory == Dtype::float16) {
      f.imm = 0;
      vector({3, 1, 0x1d}, from, 0, to, f);
    } else if (s.memory == Dtype::bool_) {
      Form bytes;
      bytes.bytes = 16;
      vector({2, 2, 0x28}, kScratch, 0, Operand::of(from), bytes);            // vpmovm2b: 0 or -1
      vector({2, 1, 0x1c}, kScratch, 0, Operand::of(kScratch), bytes);        // vpabsb
      if (lanes == 16 || rest_) {
        f.bytes = 16;
        f.memory = 16;
        vector({1, 3, 0x7f}, kScratch, 0, to, f);                             // vmovdqu8
      } else {
        bytes.memory = 8;
        vector({1, 1, 0xd6, 1}, kScratch, 0, to, bytes);                      // vmovq
      }
    } else if (s.memory == Dtype::bfloat16) {
      vector({1, 1, 0x72}, 2, kScratch, Operand::of(from), form(t, 16));
      vector({2, 2, 0x33}, kScratch, 0, to, f);
    } else {
      vector({2, 2, static_cast<uint8_t>(size == 1 ? 0x31 : 0x33)}, from, 0, to, f);  // vpmovdb, vpmovdw
    }
  }

 protected:
  int scratch() const override { return kScratch; }

  void before_rest() override {
    // The lowest end - here bits: more than a step's only if there is another step to come.
    gpr_op(0x89, rcx, rax);
    gpr_op(0x29, rdx, rax);
    byte(0x41), byte(0xba), word32(-1);             // mov r10d, -1
    vex({2, 0, 0xf5}, 16, r10, rax, Operand::of(r10), -1);  // bzhi r10d, r10d, eax
    vex({1, static_cast<uint8_t>(lanes == 8), 0x92}, 16, kLanesInUse, 0, Operand::of(r10), -1);
  }

  void load_input(const Node& node, int to, const Operand& from) override {
    Type t = node.type;
    int size = static_cast<int>(mx::size_of(node.memory));
    Form f = form(t);
    f.k = rest_ ? kLanesInUse : 0;
    f.zeroing = rest_;
    f.memory = lanes * size;
    switch (node.memory) {
      case Dtype::float16: return vector({2, 1, 0x13}, to, 0, from, f);
      case Dtype::bfloat16:
        vector({2, 1, 0x33}, to, 0, from, f);
        return vector({1, 1, 0x72}, 6, to, Operand::of(to), form(t, 16));
      case Dtype::bool_:
        f.bytes = lanes * 4;
        vector({2, 1, 0x31}, kScratch, 0, from, f);
        return vector({2, 1, 0x27}, to, kScratch, Operand::of(kScratch), form(Type::i32));  // vptestmd
      case Dtype::uint8: return vector({2, 1, 0x31}, to, 0, from, f);
      case Dtype::int8: return vector({2, 1, 0x21}, to, 0, from, f);
      case Dtype::uint16: return vector({2, 1, 0x33}, to, 0, from, f);
      case Dtype::int16: return vector({2, 1, 0x23}, to, 0, from, f);
      default: return vector({1, w(t), 0x10, w(t)}, to, 0, from, f);
    }
  }
  void broadcast_mask(int to) override {
    byte(0xf7), byte(0xd8);  // neg eax
    vex({1, 0, 0x92}, 16, to, 0, Operand::of(rax), -1);
  }

  void special(const Node& node, int to, const Place* in, int) override {
    Type t = node.type;
    auto two = [&](uint8_t op) { masks(op, to, in[0].n, in[1].n); };
    switch (node.op) {
      case Op::scale: return binary({2, 1, 0x2c, w(t)}, t, to, in);
      case Op::compare: return binary({1, w(node.from), 0xc2, w(node.from)}, node.from, to, in, kFloatCompare[node.imm]);
      case Op::icompare: return binary({3, 1, 0x1f, w(node.from)}, node.from, to, in, kIntCompare[node.imm]);
      case Op::ucompare: return binary({3, 1, 0x1e, w(node.from)}, node.from, to, in, kIntCompare[node.imm]);
      case Op::mask_and: return two(0x41);
      case Op::mask_or: return two(0x45);
      case Op::mask_xor: return two(0x47);
      case Op::mask_not: return vex({1, 0, 0x44}, 16, to, 0, Operand::of(in[0].n), -1);
      case Op::select: {
        Form f = form(t);
        f.k = in[0].n;
        return vector({2, 1, 0x65, w(t)}, to, in[2].n, operand(in[1]), f);  // vblendm
      }
      default: return;
    }
  }

  void test_mask(int mask, Type) override {
    // kortest sets the zero flag where both are zero, ktest where they share no bit.
    uint8_t narrow = lanes == 8;
    if (rest_) vex({1, narrow, 0x99}, 16, mask, 0, Operand::of(kLanesInUse), -1);
    else vex({1, narrow, 0x98}, 16, mask, 0, Operand::of(mask), -1);
  }
  void read_mask(int mask, Type) override { vex({1, static_cast<uint8_t>(lanes == 8), 0x93}, 16, rax, 0, Operand::of(mask), -1); }

  void save_all() override { all(0x91, 0x11); }
  void restore_all() override { all(0x90, 0x10); }

 private:
  // Two masks: VEX with the bit that says 256 elsewhere.
  void masks(uint8_t op, int to, int a, int b) { vex({1, 0, op}, 32, to, a, Operand::of(b), -1); }
  void use_lanes() { masks(0x46, kLanesInUse, kLanesInUse, kLanesInUse); }
  void all(uint8_t mask_op, uint8_t vector_op) {
    for (int k = 1; k < 8; ++k) vex({1, 0, mask_op}, 16, k, 0, at_frame(kSavedMasks + 8 * k), -1);
    Form f;
    f.bytes = 64;
    for (int v = 0; v < 32; ++v) vector({1, 0, vector_op}, v, 0, at_frame(kSavedVectors + 64 * v), f);
  }
};

}  // namespace

std::unique_ptr<Encoder> make_avx512_encoder(int lanes) { return std::make_unique<Avx512Encoder>(lanes); }

}  // namespace mx::cpu::jit

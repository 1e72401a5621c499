// jit_x86.h — what the encoders of AVX2 and AVX-512 share: the assembler, the frame of a function, its loops, and the
// operations that differ only in the prefix. What differs is in jit_x86_avx2.cpp and jit_x86_avx512.cpp.
//
// Registers of generated code: rdi, rsi the arrays of pointers; rdx the element reached; rcx the end; r11 the last element
// at which the main loop may begin a step; rax, r10 scratch; the pointers themselves in kBases, as far as they go. With tiles
// rcx is the end of the tile, r15 that of all elements, and r14 leads from an element's number to its place in the tiles.
// The highest vector register is scratch. rsp is aligned to 64 bytes; rbp leads back.
#pragma once

#include "backend/cpu/jit_encoder.h"

namespace mx::cpu::jit {

enum Gpr : int { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, no_gpr = -1 };

/// An operand that may be in memory.
struct Operand {
  int reg = -1;       ///< A vector register, or
  int base = no_gpr;  ///< [base + index * 2^shift + disp], or a constant if pool >= 0.
  int index = no_gpr;
  int shift = 0;
  int disp = 0;
  int pool = -1;
  bool memory() const { return reg < 0; }
  static Operand of(int reg) { return {reg}; }
};

/// Escape bytes (0F, 0F38, 0F3A are 1, 2, 3), prefix (none, 66, F3, F2 are 0 .. 3), opcode, the bit W.
struct Opcode {
  uint8_t map, prefix, op, w = 0;
};

class X86Encoder : public Encoder {
 public:
  bool takes_memory(const Node& node, int k) const override;
  void enter(const std::vector<bool>& scalars, int n_out, bool repairs, Tiles tiles) override;
  void begin_tiles() override;
  void next_loop() override;
  void end_tiles() override;
  void begin_main(int unroll) override;
  void end_main() override;
  void begin_rest() override;
  void end_rest() override;
  std::vector<uint8_t>& finish(int frame_slots) override;
  int pool(Type t, uint64_t bits) override;
  void emit(const Node& node, int to, const Place* in, int copy) override;

 protected:
  explicit X86Encoder(bool evex) : evex_(evex) {}

  /// One vector instruction of `bytes` (16, 32, 64): reg and rm as in the manuals, vvvv the middle operand (0 if there is
  /// none). imm < 0: no immediate. `element`: the size of a constant's element.
  struct Form {
    int bytes = 0;
    int imm = -1;
    int element = 4;
    int k = 0;             ///< Masked by this register,
    bool zeroing = false;  ///< and zero elsewhere.
    int memory = 0;        ///< Bytes that a memory operand has, if not a whole vector.
  };
  void vector(Opcode c, int reg, int vvvv, const Operand& rm, const Form& f);
  void vex(Opcode c, int bytes, int reg, int vvvv, const Operand& rm, int imm);

  /// What differs; false if this encoder does not know it.
  virtual void special(const Node& node, int to, const Place* in, int copy) = 0;
  virtual void before_rest() {}
  virtual void save_all() = 0;     ///< Every register that the loops use, to the frame; and back.
  virtual void restore_all() = 0;
  virtual void test_mask(int mask, Type t) = 0;  ///< Clears the zero flag if a lane in use is set.
  virtual void read_mask(int mask, Type t) = 0;  ///< The bits to eax; test_mask came before.
  virtual int scratch() const = 0;
  virtual void load_input(const Node& node, int to, const Operand& from) = 0;
  virtual void broadcast_mask(int to) = 0;       ///< From eax, 0 or 1.

  /// A three-operand instruction: to = in[0] op in[1].
  void binary(Opcode c, Type t, int to, const Place* in, int imm = -1);
  void unary(Opcode c, Type t, int to, const Place* in, int imm = -1);
  void fma(const Node& node, int to, const Place* in);
  void convert(const Node& node, int to, const Place* in);
  void move(Type t, int to, const Operand& from);
  void repair(const Node& node, int to, const Place* in);

  Operand operand(const Place& p) const;
  Operand at_frame(int disp) const {
    Operand o;
    o.base = rsp;
    o.disp = disp + shift_;
    return o;
  }
  /// Element `copy * lanes` further of an input or output, of this size; may load the pointer to rax.
  Operand element(bool output, int k, int size, int copy);
  int bytes_of(Type t) const { return lanes * lane_size(t); }
  Form form(Type t, int imm = -1) const {
    Form f;
    f.bytes = bytes_of(t);
    f.imm = imm;
    f.element = lane_size(t);
    return f;
  }
  /// W for this type where it says the size of elements.
  uint8_t w(Type t) const { return lane_size(t) == 8; }
  /// W where only AVX-512 heeds it.
  uint8_t we(Type t) const { return evex_ && lane_size(t) == 8; }

  // Plain instructions.
  void byte(int b) { *at_++ = static_cast<uint8_t>(b); }
  /// Room for the instructions of a node; everything that is called from outside begins with it.
  void room() {
    if (end_ - at_ < kLongestNode) grow();
  }
  static constexpr int kLongestNode = 2048;
  void word32(int32_t x);
  void word64(uint64_t x);
  /// op reg, [base + disp], of 8 bytes.
  void gpr_memory(int op, int reg, int base, int disp);
  void gpr_load(int to, int base, int disp);          ///< mov to, [base + disp]
  void gpr_store(int base, int disp, int from);       ///< mov [base + disp], from
  void gpr_op(int op, int reg, int rm, bool wide = true);  ///< op r/m, r between registers
  void gpr_imm(int digit, int rm, int32_t imm);       ///< add (0), and (4), sub (5), cmp (7) rm, imm
  void lea(int to, int base, int disp);
  void mov_imm64(int to, uint64_t x);
  void push(int r);
  void pop(int r);
  /// Jumps with 32-bit displacements, to be joined with patch().
  size_t jump(int condition);  ///< -1: always
  void patch(size_t jump, size_t target);
  size_t here() const { return static_cast<size_t>(at_ - code_.data()); }
  void align(size_t to);

  const bool evex_;
  bool rest_ = false;    ///< Within the loop whose last step is short.
  /// The frame: what repairs save; where the tile begins; tiles; slots.
  int tile_base() const { return repairs_ ? kRepairArea : 0; }
  int tile_bytes() const { return (tiles_.length + 2 * lanes) * tile_stride(); }
  int tile_stride() const { return lanes * 4 == (evex_ ? 64 : 32) ? 4 : 8; }
  int spill_base() const { return tile_base() + (tiles_.n ? 64 + (tiles_.n * tile_bytes() + 63) / 64 * 64 : 0); }
  // Within the repair area: x1, x2, y, then saved registers.
  static constexpr int kArgs = 0, kSavedGpr = 3 * 64, kSavedMasks = 4 * 64 + 64, kSavedVectors = 6 * 64, kRepairArea = 38 * 64;

 private:
  static constexpr int kBases[] = {r8, r9, rbx, r12, r13, r14, r15};
  struct PoolEntry {
    Type type;
    uint64_t bits;
  };
  struct Fixup {
    size_t at;
    int entry, behind;  // Bytes of the instruction behind the displacement.
  };
  struct Repair {
    size_t jump, back;
    Node node;
    int to, args[2], mask;
  };
  void modrm(int reg, const Operand& rm, int scale, int immediate_bytes);
  void leave();
  void emit_repairs();
  void load_scalar(const Node& node, int to);

  void grow();
  std::vector<uint8_t> code_;
  uint8_t *at_ = nullptr, *end_ = nullptr;
  std::vector<PoolEntry> pool_;
  std::vector<Fixup> fixups_;
  std::vector<Repair> repair_list_;
  std::vector<int> bases_[2];  // Of inputs and outputs; no_gpr: to be loaded each time.
  Tiles tiles_;
  int unroll_ = 1, shift_ = 0;
  bool repairs_ = false;
  size_t frame_size_at_ = 0, skip_ = 0, loop_ = 0, tiles_done_ = 0, next_tile_ = 0;
};

}  // namespace mx::cpu::jit

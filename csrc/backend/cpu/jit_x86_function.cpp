// jit_x86_function.cpp — the shape of a generated function for x86 (jit_x86.h): its frame, its loops, constants behind the code,
// and calls for the few lanes that need them.

#include <cstring>

#include "backend/cpu/jit_x86.h"

namespace mx::cpu::jit {

enum Condition { kNotZero = 5, kLess = 12, kNotLess = 13, kNotGreater = 14, kGreater = 15 };

constexpr int kSavedAcross[] = {rbx, r12, r13, r14, r15};

void X86Encoder::enter(const std::vector<bool>& scalars, int n_out, bool repairs, Tiles tiles) {
  room();
  repairs_ = repairs;
  tiles_ = tiles;
  for (int b : {0xf3, 0x0f, 0x1e, 0xfa}) byte(b);  // endbr64: indirect calls may come here.
  push(rbp);
  gpr_op(0x89, rsp, rbp);
  for (int r : kSavedAcross) push(r);
  // The frame, page by page, so that a full stack is noticed where it ends.
  byte(0xb8);  // mov eax, its size
  word32(0);
  frame_size_at_ = here() - 4;
  for (int b : {0x48, 0x3d, 0x00, 0x10, 0x00, 0x00}) byte(b);        // again: cmp rax, 4096
  for (int b : {0x76, 20}) byte(b);                                  // jbe done
  for (int b : {0x48, 0x81, 0xec, 0x00, 0x10, 0x00, 0x00}) byte(b);  // sub rsp, 4096
  for (int b : {0x48, 0x83, 0x0c, 0x24, 0x00}) byte(b);              // or qword [rsp], 0
  for (int b : {0x48, 0x2d, 0x00, 0x10, 0x00, 0x00}) byte(b);        // sub rax, 4096
  for (int b : {0xeb, 0xe4}) byte(b);                                // jmp again
  gpr_op(0x29, rax, rsp);                                            // done:
  gpr_imm(4, rsp, -64);
  size_t next = 0, n_bases = std::size(kBases) - (tiles.n ? 2 : 0);
  auto take = [&](bool output, size_t k) {
    bool free = next < n_bases;
    bases_[output].push_back(free ? kBases[next] : static_cast<int>(no_gpr));
    if (free) gpr_load(kBases[next++], output ? rsi : rdi, static_cast<int>(8 * k));
  };
  for (size_t k = 0; k < scalars.size(); ++k) {
    if (scalars[k]) bases_[0].push_back(no_gpr);
    else take(false, k);
  }
  for (int k = 0; k < n_out; ++k) take(true, static_cast<size_t>(k));
}

void X86Encoder::leave() {
  for (int b : {0xc5, 0xf8, 0x77}) byte(b);  // vzeroupper
  lea(rsp, rbp, -8 * static_cast<int>(std::size(kSavedAcross)));
  for (size_t k = std::size(kSavedAcross); k-- > 0;) pop(kSavedAcross[k]);
  pop(rbp);
  byte(0xc3);
}

void X86Encoder::begin_tiles() {
  room();
  gpr_op(0x89, rcx, r15);
  gpr_store(rsp, tile_base(), rdx);
  next_tile_ = here();
  gpr_load(rdx, rsp, tile_base());
  gpr_op(0x39, r15, rdx);
  tiles_done_ = jump(kNotLess);
  // The end of the tile or of everything.
  lea(rcx, rdx, tiles_.length);
  gpr_op(0x39, r15, rcx);
  for (int b : {0x49, 0x0f, 0x4f, 0xcf}) byte(b);  // cmovg rcx, r15
  gpr_op(0x89, rdx, rax);
  for (int b : {0x48, 0xc1, 0xe0, tile_stride() == 8 ? 3 : 2}) byte(b);  // shl rax
  lea(r14, rsp, tile_base() + 64);
  gpr_op(0x29, rax, r14);
}
void X86Encoder::next_loop() {
  room();
  gpr_load(rdx, rsp, tile_base());
}
void X86Encoder::end_tiles() {
  room();
  gpr_store(rsp, tile_base(), rcx);
  patch(jump(-1), next_tile_);
  patch(tiles_done_, here());
}

void X86Encoder::begin_main(int unroll) {
  rest_ = false;
  room();
  unroll_ = unroll;
  lea(r11, rcx, -unroll * lanes);
  gpr_op(0x39, r11, rdx);
  skip_ = jump(kGreater);
  align(32);
  loop_ = here();
}
void X86Encoder::end_main() {
  room();
  gpr_imm(0, rdx, unroll_ * lanes);
  gpr_op(0x39, r11, rdx);
  patch(jump(kNotGreater), loop_);
  patch(skip_, here());
}
void X86Encoder::begin_rest() {
  room();
  gpr_op(0x39, rcx, rdx);
  skip_ = jump(kNotLess);
  loop_ = here();
  rest_ = true;
  before_rest();
}
void X86Encoder::end_rest() {
  room();
  gpr_imm(0, rdx, lanes);
  gpr_op(0x39, rcx, rdx);
  patch(jump(kLess), loop_);
  patch(skip_, here());
}

std::vector<uint8_t>& X86Encoder::finish(int frame_slots) {
  room();
  leave();
  emit_repairs();
  room();
  int32_t frame = spill_base() + 64 * frame_slots + 64;
  std::memcpy(&code_[frame_size_at_], &frame, 4);
  align(64);
  // Constants: single elements that instructions spread, or whole vectors where they cannot. Wide ones first, so that each is aligned.
  std::vector<size_t> where(pool_.size());
  for (int size : {8, 4}) {
    for (size_t k = 0; k < pool_.size(); ++k) {
      if (lane_size(pool_[k].type) != size) continue;
      where[k] = here();
      room();
      int times = evex_ ? 1 : lanes;
      uint64_t bits = is_mask(pool_[k].type) ? uint64_t(0) - pool_[k].bits : pool_[k].bits;
      for (int t = 0; t < times; ++t) {
        if (size == 8) word64(bits);
        else word32(static_cast<int32_t>(bits));
      }
    }
  }
  for (const Fixup& f : fixups_) {
    auto distance = static_cast<int32_t>(static_cast<int64_t>(where[static_cast<size_t>(f.entry)]) - static_cast<int64_t>(f.at) - 4 - f.behind);
    std::memcpy(&code_[f.at], &distance, 4);
  }
  code_.resize(here());
  return code_;
}

// ---- repairs: a test and a jump; what is done then stands behind the function

void X86Encoder::repair(const Node& node, int to, const Place* in) {
  int n_args = node.n_in - 2;
  move(node.type, to, operand(in[n_args + 1]));
  test_mask(in[0].n, node.type);
  Repair r{jump(kNotZero), here(), node, to, {in[1].n, n_args == 2 ? in[2].n : in[1].n}, in[0].n};
  repair_list_.push_back(r);
}

namespace {

template <class R>
void repair_one(const void* function, uint32_t rare, const R* x, const R*, R* y) {
  auto f = reinterpret_cast<R (*)(R)>(reinterpret_cast<uintptr_t>(function));
  for (int lane = 0; rare; ++lane, rare >>= 1) {
    if (rare & 1) y[lane] = f(x[lane]);
  }
}
template <class R>
void repair_two(const void* function, uint32_t rare, const R* a, const R* b, R* y) {
  auto f = reinterpret_cast<R (*)(R, R)>(reinterpret_cast<uintptr_t>(function));
  for (int lane = 0; rare; ++lane, rare >>= 1) {
    if (rare & 1) y[lane] = f(a[lane], b[lane]);
  }
}

uint64_t helper(int kind) {
  switch (kind) {
    case 0: return reinterpret_cast<uint64_t>(&repair_one<float>);
    case 1: return reinterpret_cast<uint64_t>(&repair_two<float>);
    case 2: return reinterpret_cast<uint64_t>(&repair_one<double>);
    default: return reinterpret_cast<uint64_t>(&repair_two<double>);
  }
}

constexpr int kGpr[] = {rcx, rdx, rsi, rdi, r8, r9, r11};

}  // namespace

void X86Encoder::emit_repairs() {
  std::vector<size_t> calls[4];
  for (const Repair& r : repair_list_) {
    room();
    patch(r.jump, here());
    Type t = r.node.type;
    Opcode store{1, 0, 0x11};
    read_mask(r.mask, t);
    vector(store, r.args[0], 0, at_frame(kArgs), form(t));
    vector(store, r.args[1], 0, at_frame(kArgs + 64), form(t));
    vector(store, r.to, 0, at_frame(kArgs + 128), form(t));
    mov_imm64(r10, r.node.bits);
    byte(0xe8);  // call
    word32(0);
    calls[(t == Type::f64) * 2 + (r.node.n_in == 4)].push_back(here());
    move(t, r.to, at_frame(kArgs + 128));
    patch(jump(-1), r.back);
  }
  for (int kind = 0; kind < 4; ++kind) {
    if (calls[kind].empty()) continue;
    room();
    for (size_t c : calls[kind]) patch(c, here());
    shift_ = 8;  // The return address.
    for (size_t k = 0; k < std::size(kGpr); ++k) gpr_store(rsp, 8 + kSavedGpr + 8 * static_cast<int>(k), kGpr[k]);
    save_all();
    for (int b : {0xc5, 0xf8, 0x77}) byte(b);  // vzeroupper
    gpr_op(0x89, r10, rdi);
    gpr_op(0x89, rax, rsi, false);
    lea(rdx, rsp, 8 + kArgs);
    lea(rcx, rsp, 8 + kArgs + 64);
    lea(r8, rsp, 8 + kArgs + 128);
    mov_imm64(rax, helper(kind));
    gpr_imm(5, rsp, 8);
    byte(0xff);  // call rax
    byte(0xd0);
    gpr_imm(0, rsp, 8);
    restore_all();
    for (size_t k = 0; k < std::size(kGpr); ++k) gpr_load(kGpr[k], rsp, 8 + kSavedGpr + 8 * static_cast<int>(k));
    byte(0xc3);
    shift_ = 0;
  }
}

}  // namespace mx::cpu::jit

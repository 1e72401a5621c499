// runtime_fibers.cpp — the switch between stacks in assembler, and the stacks' memory.
#include "runtime_fibers.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>

#if defined(__x86_64__)
asm(R"(
.text
.globl mx_fiber_switch
.type mx_fiber_switch, @function
mx_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mx_fiber_switch, .-mx_fiber_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl mx_fiber_switch
.type mx_fiber_switch, %function
mx_fiber_switch:
  stp x29, x30, [sp, #-160]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #160
  ret
.size mx_fiber_switch, .-mx_fiber_switch
)");
#else
#error "the host's Metal machine knows x86-64 and aarch64"
#endif

namespace mx::metal::host {

Stacks::Stacks() : guarded_(kCount) {
  void* p = mmap(nullptr, kBytes * kCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(p);
  give_all();
}

Stacks::~Stacks() { munmap(memory_, kBytes * kCount); }

void Stacks::give_all() {
  free_.clear();
  for (int i = int(kCount); i-- > 0;) free_.push_back(i);
}

int Stacks::take() {
  int stack = free_.back();
  free_.pop_back();
  if (!guarded_[stack]) {
    mprotect(memory_ + stack * kBytes, size_t(sysconf(_SC_PAGESIZE)), PROT_NONE);
    guarded_[stack] = true;
  }
  return stack;
}

void* Stacks::prepare(int stack, void (*entry)()) {
  // Tops at different distances from a page's end: else the busy parts of all stacks would share a few cache sets.
  char* top = memory_ + (stack + 1) * kBytes - stack * 832 % 16384;
#if defined(__x86_64__)
  void** sp = reinterpret_cast<void**>(top) - 1;  // as after a call: 8 below a multiple of 16
  *sp = nullptr;                                  // the end of the chain of callers
  *--sp = reinterpret_cast<void*>(entry);
  sp -= 6;
  std::memset(sp, 0, 6 * sizeof(void*));
#else
  char* sp = top - 160;
  std::memset(sp, 0, 160);
  reinterpret_cast<void**>(sp)[1] = reinterpret_cast<void*>(entry);  // x30
#endif
  return sp;
}

}  // namespace mx::metal::host

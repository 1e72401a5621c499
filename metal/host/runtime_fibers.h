// runtime_fibers.h — stacks for threads that wait for each other, and the switch from one to another.
#pragma once

#include <cstddef>
#include <vector>

namespace mx::metal::host {

/// Saves the registers that a function must keep on the stack, stores the stack pointer to *save and goes on at `to`.
extern "C" void mx_fiber_switch(void** save, void* to);

/// Stacks that are used again and again. Below each lies a page that nobody may touch.
class Stacks {
 public:
  static constexpr size_t kBytes = 256 << 10;
  static constexpr size_t kCount = 1024;

  Stacks();
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  int take();
  void give(int stack) { free_.push_back(stack); }
  void give_all();
  /// Where to switch to, so that `entry` is called on the stack. It must not return.
  void* prepare(int stack, void (*entry)());
  const char* begin() const { return memory_; }
  const char* end() const { return memory_ + kBytes * kCount; }

 private:
  char* memory_;
  std::vector<int> free_;
  std::vector<bool> guarded_;
};

}  // namespace mx::metal::host

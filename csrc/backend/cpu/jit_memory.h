// jit_memory.h — memory for generated code. It is written first and made executable then, never both at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mx::cpu::jit {

/// Code that may be called. Gives its memory back when it is destroyed.
class ExecutableCode {
 public:
  /// A copy of `n` bytes of code; null where the system refuses executable memory. Safe on any thread, and in a forked process.
  static std::unique_ptr<ExecutableCode> make(const uint8_t* code, size_t n);
  ~ExecutableCode();
  ExecutableCode(const ExecutableCode&) = delete;
  ExecutableCode& operator=(const ExecutableCode&) = delete;
  const void* address() const { return address_; }

 private:
  ExecutableCode(void* address, size_t n) : address_(address), n_bytes_(n) {}
  void* address_;
  size_t n_bytes_;  ///< Whole pages.
};

/// For tests: pretend that the system refuses executable memory.
void refuse_executable_memory(bool refuse);

}  // namespace mx::cpu::jit

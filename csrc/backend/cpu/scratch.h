// scratch.h — memory that a kernel needs only while it runs. Each thread keeps its last blocks for the next
// kernel, because fresh pages cost more than most kernels take.
#pragma once

#include <cstddef>

namespace mx::cpu {

class Scratch {
 public:
  /// At least `n_bytes` of uninitialised memory, aligned to 64 bytes. Throws MemoryError.
  explicit Scratch(size_t n_bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }

 private:
  void* block_;
  size_t n_bytes_;
};

}  // namespace mx::cpu

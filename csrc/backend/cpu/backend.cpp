// backend.cpp — the CPU as a backend: memory from the system, kernels from the table, work done at once on
// the calling thread and the pool (pool.h).

#include "backend/cpu/kernels.h"
#include "backend/cpu/system_memory.h"

namespace mx::cpu {

namespace {

class SystemMemory final : public RawMemory {
 public:
  void* allocate(size_t n_bytes) override { return system_allocate(n_bytes); }
  void free(void* block, size_t) override { system_free(block); }
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(RawMemory& memory) : allocator_(memory) {}
  const char* name() const override { return "CPU"; }
  CachingAllocator& allocator() override { return allocator_; }
  bool has_kernel(const Primitive& primitive) const override { return find_kernel(primitive) != nullptr; }
  void run(const Task& task, Stream) override { find_kernel(task.primitive)(task); }
  void synchronize(Stream) override {}

 private:
  CachingAllocator allocator_;
};

}  // namespace

/// The CPU's backend. Its memory comes from `memory`, or from the system; the first call decides.
Backend& instance(RawMemory* memory) {
  // Never destroyed: arrays held by static objects return their memory after main.
  static Backend& backend = *new CpuBackend(memory ? *memory : *new SystemMemory);
  return backend;
}

}  // namespace mx::cpu

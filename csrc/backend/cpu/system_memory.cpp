#include "backend/cpu/system_memory.h"

#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mx::cpu {

namespace {
constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t(2) << 20;
}  // namespace

void* system_allocate(size_t n_bytes) {
  size_t alignment = n_bytes >= kHugePage ? kHugePage : kCacheLine;
  size_t rounded = (n_bytes + alignment - 1) & ~(alignment - 1);
  if (rounded < n_bytes) return nullptr;
  void* block = std::aligned_alloc(alignment, rounded ? rounded : alignment);
#if defined(__linux__)
  // Faulting in 4 KB pages costs more than writing the result. A refusal does not matter.
  if (block && alignment == kHugePage) madvise(block, rounded, MADV_HUGEPAGE);
#endif
  return block;
}

void system_free(void* block) { std::free(block); }

}  // namespace mx::cpu

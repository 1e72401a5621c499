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
  void* block = nullptr;
  if (posix_memalign(&block, alignment, n_bytes)) return nullptr;
#if defined(__linux__)
  // Faulting in 4 KB pages costs more than writing the result. The rest beyond the last whole large page stays in
  // small ones, so that no more memory is taken than is counted. A refusal does not matter.
  if (alignment == kHugePage) madvise(block, n_bytes & ~(kHugePage - 1), MADV_HUGEPAGE);
#endif
  return block;
}

void system_free(void* block) { std::free(block); }

}  // namespace mx::cpu

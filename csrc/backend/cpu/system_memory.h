// system_memory.h — blocks from the operating system, in large pages where that pays.
#pragma once

#include <cstddef>

namespace mx::cpu {

/// At least `n_bytes`, aligned to a cache line, or to 2 MB in large pages from that size on; null if there is none.
void* system_allocate(size_t n_bytes);
void system_free(void* block);

}  // namespace mx::cpu

// stream.h — writing results that are too large for the caches. Ordinary stores first read the memory that they
// overwrite; streaming ones do not, which saves a third of the traffic of a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace mx::cpu {

/// Outputs from this size on are better streamed: nobody will find them in a cache.
constexpr size_t kStreamBytes = size_t(32) << 20;

/// memcpy past the caches. Call stream_fence() on the same thread before another may read the result.
inline void stream_copy(void* to, const void* from, size_t n_bytes) {
#if defined(__x86_64__)
  auto* t = static_cast<std::byte*>(to);
  auto* f = static_cast<const std::byte*>(from);
  size_t head = (64 - reinterpret_cast<uintptr_t>(t) % 64) % 64;
  if (n_bytes >= head + 64) {
    std::memcpy(t, f, head);
    size_t i = head;
    for (; i + 64 <= n_bytes; i += 64) {
      for (size_t q = 0; q < 64; q += 16) {
        _mm_stream_si128(reinterpret_cast<__m128i*>(t + i + q), _mm_loadu_si128(reinterpret_cast<const __m128i*>(f + i + q)));
      }
    }
    std::memcpy(t + i, f + i, n_bytes - i);
    return;
  }
#endif
  std::memcpy(to, from, n_bytes);
}

inline void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace mx::cpu

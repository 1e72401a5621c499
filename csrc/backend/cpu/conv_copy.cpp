// conv_copy.cpp — see conv_copy.h. A call of memcpy for each line would cost as much as the line.

#include "backend/cpu/conv_copy.h"

#include <cstring>

#include "backend/cpu/clones.h"

namespace mx::cpu {

namespace {

typedef char Vector __attribute__((vector_size(64)));

MX_INLINE void move_vector(const std::byte* from, std::byte* to) {
  Vector v;
  std::memcpy(&v, from, sizeof(v));
  std::memcpy(to, &v, sizeof(v));
}

// The bytes for which `n` has this bit; q moves on.
template <int64_t kBytes>
MX_INLINE void move_part(const std::byte* from, std::byte* to, int64_t n, int64_t& q) {
  if (n & kBytes) {
    std::memcpy(to + q, from + q, kBytes);
    q += kBytes;
  }
}

}  // namespace

MX_CLONES void copy_lines(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t lines, int64_t n) {
  if (n >= 64) {
    // The last vector of a line may overlap the one before.
    for (int64_t i = 0; i < lines; ++i, from += from_step, to += to_step) {
      for (int64_t q = 0; q + 64 <= n; q += 64) move_vector(from + q, to + q);
      if (n % 64) move_vector(from + n - 64, to + n - 64);
    }
    return;
  }
  for (int64_t i = 0; i < lines; ++i, from += from_step, to += to_step) {
    int64_t q = 0;
    move_part<32>(from, to, n, q);
    move_part<16>(from, to, n, q);
    move_part<8>(from, to, n, q);
    move_part<4>(from, to, n, q);
    move_part<2>(from, to, n, q);
  }
}

}  // namespace mx::cpu

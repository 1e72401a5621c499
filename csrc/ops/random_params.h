// random_params.h — random bits as a backend sees them.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// Input: keys, uint32 (..., 2). Output: (...) + shape, unsigned integers of `width` bytes, where each key
/// gives the bits of one block of `shape`.
struct RandomBitsParams {
  Shape shape;
  int width;
  auto fields() const { return std::tie(shape, width); }
};

extern const Primitive random_bits_p;

/// What a word of 32 random bits becomes: a number in [0, 1); a standard normal one; minus the logarithm of an
/// exponentially distributed one.
enum class Distribution : uint8_t { unit, normal, gumbel };

/// Input: keys, uint32 (..., 2). Output: (...) + shape, float32.
struct RandomDrawParams {
  Shape shape;
  Distribution from;
  auto fields() const { return std::tie(shape, from); }
};

extern const Primitive random_draw_p;

/// Inputs: keys, uint32 (..., 2), and data, int64 (...). Output: new keys.
extern const Primitive fold_in_p;

/// Threefry-2x32 with 20 rounds: the bits of counter (c0, c1) under key (k0, k1).
/// Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
struct Threefry {
  uint32_t k0, k1;
  struct Words {
    uint32_t a, b;
  };
  constexpr Words operator()(uint32_t c0, uint32_t c1) const {
    constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t k[3] = {k0, k1, k0 ^ k1 ^ 0x1bd11bdau};
    uint32_t a = c0 + k[0], b = c1 + k[1];
    for (uint32_t i = 0; i < 5; ++i) {
      for (int r : rotations[i % 2]) {
        a += b;
        b = (b << r | b >> (32 - r)) ^ a;
      }
      a += k[(i + 1) % 3];
      b += k[(i + 2) % 3] + i + 1;
    }
    return {a, b};
  }
};

}  // namespace mx

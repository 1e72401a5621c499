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

}  // namespace mx

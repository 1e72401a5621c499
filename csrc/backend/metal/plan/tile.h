// tile.h — the pieces of a matrix product that a threadgroup makes (metal/kernels/tile.h), with what they cost: from here both
// launches and the figures of docs/metal_kernels.md are made.
#pragma once

#include <cstdint>
#include <string>

#include "backend/metal/plan/launch.h"

namespace mx::metal {

struct Tile {
  int bm, bn, bk, wm, wn;

  uint32_t threads() const { return static_cast<uint32_t>(wm * wn) * kSimdWidth; }
  /// Accumulators of a thread, one float each.
  int accumulators() const { return bm * bn / static_cast<int>(threads()); }
  /// Multiplications of 8x8 matrices for each 8x8 matrix that is read from threadgroup memory.
  double products_per_load() const {
    double m = bm / (8.0 * wm), n = bn / (8.0 * wn);
    return m * n / (m + n);
  }
  /// Rows of n elements in threadgroup memory are 16 bytes longer.
  static int padded(int n, size_t itemsize) { return n + 16 / static_cast<int>(itemsize); }
  /// Of an operand of `rows` rows, whichever way it lies.
  int piece_elems(int rows, size_t itemsize) const { return std::max(rows * padded(bk, itemsize), bk * padded(rows, itemsize)); }
  /// Two pieces of both operands.
  size_t threadgroup_bytes(size_t itemsize) const {
    return 2 * itemsize * static_cast<size_t>(piece_elems(bm, itemsize) + piece_elems(bn, itemsize));
  }
  std::string name() const { return cat(bm, "x", bn); }
};

/// Barriers for each piece of the inner dimension.
constexpr int kBarriersPerPiece = 1;

constexpr Tile kLargeTile{64, 64, 16, 2, 2}, kSmallTile{32, 32, 16, 2, 2};

}  // namespace mx::metal

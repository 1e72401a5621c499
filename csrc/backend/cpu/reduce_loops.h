// reduce_loops.h — the innermost loops of reductions, for one dtype and one operation each.
//
// Sums are taken in a fixed tree: 64 lanes (32 of 8 bytes) that are added pairwise at the end. The result depends
// on n only, never on the CPU or on threads. Longer sums are cut in pieces and added pairwise by reduce.cpp.
#pragma once

#include "base/dtype.h"

namespace mx::cpu {

enum class Reduction : uint8_t { sum, prod, max, min };

/// The most elements that `row` should be given, so that rounding errors stay those of a tree.
constexpr int64_t kPiece = 1024;

struct ReduceLoops {
  size_t size;  ///< Bytes of an element.
  /// acc[0 .. n) = what changes nothing: 0, 1, the lowest, the highest value.
  void (*identity)(void* acc, int64_t n);
  /// *acc = x[0] op x[1] op ... op x[n-1].
  void (*row)(const void* x, int64_t n, void* acc);
  /// acc[j] = acc[j] op x[j] op x[stride + j] op ..., over `rows` rows, for j < n.
  void (*column)(const void* x, int64_t stride, int64_t rows, int64_t n, void* acc);
};

/// The loops of one operation. max and min: every dtype but float16 and bfloat16, NaN wins. sum and prod: 32 bits
/// and more (signed integers as unsigned ones). float16 and bfloat16 are to be converted to float32 first.
const ReduceLoops& reduce_loops(Reduction op, Dtype t);

}  // namespace mx::cpu

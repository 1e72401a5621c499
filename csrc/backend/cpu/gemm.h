// gemm.h — products of matrices that lie anywhere: any strides, one or many at a time. Other kernels
// (convolution, attention, factorisations) may use it; matmul.cpp turns arrays into these calls.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/half.h"

namespace mx::cpu {

/// What products of S are summed in.
template <class S>
using Accumulator = std::conditional_t<std::is_same_v<S, double>, double, float>;

/// What is done to a result once its elements are complete and rounded, while they are in a cache: `run` may change elements
/// [row, row + rows) x [col, col + cols). `c` points at the first of them, in the result, rows are c_row elements apart. Every element
/// comes exactly once, in no particular order and on several threads.
struct Epilogue {
  void (*run)(void* context, void* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) = nullptr;
  void* context = nullptr;
  int64_t first_row = 0;  ///< Number that row 0 of the result has for `run`.
  explicit operator bool() const { return run != nullptr; }
  void operator()(void* c, int64_t c_row, int64_t row, int64_t rows, int64_t col, int64_t cols) const {
    run(context, c, c_row, first_row + row, rows, col, cols);
  }
};

/// out (m, n) = alpha * a (m, k) · b (k, n) + beta * c (m, n). Strides are in elements; out's rows are contiguous
/// and overlap nothing that is read, except that c may be out. Half types are summed in float and rounded once.
template <class S>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const S* a = nullptr;
  int64_t a_row = 0, a_col = 0;
  const S* b = nullptr;
  int64_t b_row = 0, b_col = 0;
  S* out = nullptr;
  int64_t out_row = 0;
  Accumulator<S> alpha = 1, beta = 0;
  const S* c = nullptr;  ///< Null: no addend.
  int64_t c_row = 0, c_col = 0;
  Epilogue epilogue = {};  ///< Comes last.

  bool plain() const { return alpha == 1 && !c; }
};

/// S is float, double, float16_t or bfloat16_t. Runs on the pool where it pays; the result does not depend on
/// the number of threads.
template <class S>
void gemm(const Gemm<S>& g);

extern template void gemm(const Gemm<float>&);
extern template void gemm(const Gemm<double>&);
extern template void gemm(const Gemm<float16_t>&);
extern template void gemm(const Gemm<bfloat16_t>&);

}  // namespace mx::cpu

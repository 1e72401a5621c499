// gemm_tiles.h — the inner loops of matrix products, as a table of functions for each instruction set.
// The tables are made by gemm_baseline.cpp, gemm_avx2.cpp and gemm_avx512*.cpp from the templates in gemm_tiles.inl;
// gemm.cpp picks one at run time and does the rest.
#pragma once

#include <cstdint>

#include "base/half.h"

namespace mx::cpu {

constexpr int kMaxTileVectors = 4;
constexpr int kMaxTileRows = 14;

/// c (rows, vectors * lanes) = or += a (rows, k) · b (k, vectors * lanes). Rows of b and c are contiguous.
/// Each element is summed over k in order with one rounding a step (where the machine has such a multiply-add).
template <class T>
using TileFn = void (*)(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c, int64_t c_row,
                        bool add);

/// The same where of the last vector only the first `last` columns are there, in b (if the table `reads_parts`; else the
/// rest is readable) and in c.
template <class T>
using PartTileFn = void (*)(int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b, int64_t b_row, T* c, int64_t c_row, bool add,
                            int last);

/// A tile whose k is in several pieces: each brings its own a and b.
template <class T>
struct ChainLink {
  const T *a, *b;
  int64_t k;
};
template <class T>
using ChainFn = void (*)(int64_t n, const ChainLink<T>* links, int64_t a_row, int64_t a_col, int64_t b_row, T* c, int64_t c_row, bool add);

/// out[4 * i + j] = x_i · w_j over k contiguous elements, for 4 rows of w and the rows of x that the table's
/// index says.
template <class T, class S>
using DotsFn = void (*)(int64_t k, const T* x, int64_t x_row, const S* w, int64_t w_row, T* out);

constexpr int kMaxDotRows = 4;

template <class T>
struct TileKernels {
  int lanes;                         ///< Elements in a vector.
  int widest;                        ///< Vectors in the widest tile.
  int vectors;                       ///< Vectors in the tile that is best for wide matrices.
  int rows[kMaxTileVectors + 1];     ///< Most rows of a tile of so many vectors.
  TileFn<T> tile[kMaxTileVectors + 1][kMaxTileRows + 1];  ///< By vectors and rows.
  ChainFn<T> chain[kMaxTileVectors + 1][kMaxTileRows + 1];
  PartTileFn<T> part_tile[kMaxTileVectors + 1][kMaxTileRows + 1];
  bool reads_parts;  ///< Whether part tiles are quick with a b that ends with its columns.
  /// out = alpha * out + beta * c; c may be null. Rounds after each operation.
  void (*combine)(int64_t rows, int64_t cols, T alpha, T* out, int64_t out_row, T beta, const T* c, int64_t c_row, int64_t c_col);
  DotsFn<T, T> dots[kMaxDotRows + 1];
  DotsFn<T, float16_t> dots_f16[kMaxDotRows + 1];    ///< Only where T is float.
  DotsFn<T, bfloat16_t> dots_bf16[kMaxDotRows + 1];  ///< Only where T is float.
  void (*widen_f16)(const float16_t* from, float* to, int64_t n);
  void (*widen_bf16)(const bfloat16_t* from, float* to, int64_t n);
  void (*narrow_f16)(const float* from, float16_t* to, int64_t n);  ///< To nearest even.
  void (*narrow_bf16)(const float* from, bfloat16_t* to, int64_t n);
};

/// The best table for the processor we run on. T is float or double.
template <class T>
const TileKernels<T>& tile_kernels();
template <>
const TileKernels<float>& tile_kernels<float>();
template <>
const TileKernels<double>& tile_kernels<double>();

/// Tiles that take two bfloat16 elements, adjacent in k, for each float of a and b, and count k in pairs; only
/// the tiles of the table are there. Null if the processor has no such instruction. It flushes subnormal
/// numbers to zero.
const TileKernels<float>* pair_tile_kernels();

/// What every processor of this architecture has.
extern const TileKernels<float> tiles_baseline_f32;
extern const TileKernels<double> tiles_baseline_f64;
#if defined(__x86_64__)
extern const TileKernels<float> tiles_avx2_f32;  ///< With FMA and F16C.
extern const TileKernels<double> tiles_avx2_f64;
extern const TileKernels<float> tiles_avx512_f32;
extern const TileKernels<double> tiles_avx512_f64;
extern const TileKernels<float> tiles_avx512_bf16_pairs;
#endif

}  // namespace mx::cpu

// gather_matmul.metal — sums of products of chosen matrices, products with masked blocks, and products over segments of the inner
// dimension; pieces of 32x32 by tile.h. Products of chosen pairs are gemm.metal's and gemv.metal's.
// Planned by backend/metal/plan/gather_matmul.cpp.

#include "elements.h"
#include "strided.h"
#include "tile.h"

constant bool kAlongA [[function_constant(0)]];
constant bool kAlongB [[function_constant(1)]];
constant bool kVectorA [[function_constant(2)]];
constant bool kVectorB [[function_constant(3)]];
constant bool kOut [[function_constant(4)]];      // Masks that there are,
constant bool kLhs [[function_constant(5)]];
constant bool kRhs [[function_constant(6)]];
constant bool kFactors [[function_constant(7)]];  // and whether some are numbers;
constant bool kOutBool [[function_constant(8)]];  // which ones are not.
constant bool kLhsBool [[function_constant(9)]];
constant bool kRhsBool [[function_constant(10)]];

struct SetParams {
  long a_row, a_k, b_k, b_col;
  long a_step, b_step, a_count, b_count;  // Of chosen matrices; a_step: also from segment to segment.
  long index_stride[3];                   // Of the indices of a, b and the results.
  long segment_stride, bound_stride;
  long mask_row[3], mask_col[3];          // Of the masks of the result, a and b.
  int m, n, k, count;                     // count: pairs, or segments,
  int n_out;                              // and results of an example.
  int block;
  int tiles_m, tiles_n, swizzle;
};

constexpr constant int kSide = 32;
constexpr constant int kDepth = 16;
constexpr constant int kThreads = 128;

template <typename T>
using Piece = Product<T, kSide, kSide, kDepth, 2, 2>;
template <typename T>
using Loader = Dense<T, kSide, kDepth, kThreads>;

template <typename T>
struct PieceOut {
  device T* out;
  int rows, cols, n;

  void put(int row, int col, float x, float y) const thread {
    if (row >= rows) return;
    if (col < cols) out[long(row) * n + col] = T(x);
    if (col + 1 < cols) out[long(row) * n + col + 1] = T(y);
  }
};

#define SET_ARGUMENTS(T)                                  \
  device const T* a [[buffer(0)]],                        \
  device const T* b [[buffer(1)]],                        \
  device T* out [[buffer(2)]],                            \
  constant SetParams& p [[buffer(3)]],                    \
  constant long* batch [[buffer(4)]],                     \
  threadgroup T* shared [[threadgroup(0)]],               \
  uint3 group [[threadgroup_position_in_grid]],           \
  uint index [[thread_index_in_threadgroup]],             \
  uint lane [[thread_index_in_simdgroup]],                \
  uint simd [[simdgroup_index_in_threadgroup]]

// Loaders of both operands for the piece at (row, col), from inner position k0 on. With vectors only where k0 allows.
template <typename T>
inline void start_left(thread Loader<T>& left, device const T* a, int row, int k0, constant SetParams& p, uint index) {
  left.start(a + row * p.a_row + k0 * p.a_k, p.a_row, p.a_k, 0, min(kSide, p.m - row), kAlongA, kVectorA && (!kAlongA || k0 % 4 == 0), index);
}
template <typename T>
inline void start_right(thread Loader<T>& right, device const T* b, int col, int k0, constant SetParams& p, uint index) {
  right.start(b + col * p.b_col + k0 * p.b_k, p.b_col, p.b_k, 0, min(kSide, p.n - col), kAlongB, kVectorB && (!kAlongB || k0 % 4 == 0), index);
}
template <typename T>
inline void finish(thread Piece<T>& piece, device T* out, int row, int col, constant SetParams& p, uint simd, uint lane) {
  PieceOut<T> to = {out + long(row) * p.n + col, min(kSide, p.m - row), min(kSide, p.n - col), p.n};
  piece.write(to, simd, lane);
}

// Result o of an example is the sum of the products of the pairs that have it as their target. Operands of the batch: a, b, and the
// three indices.
template <typename T>
[[kernel]] void gather_mm_sums(
    SET_ARGUMENTS(T),
    device const long* a_index [[buffer(5)]],
    device const long* b_index [[buffer(6)]],
    device const long* target [[buffer(7)]],
    device Status* status [[buffer(8)]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int row = place.row * kSide, col = place.col * kSide, result = int(group.z % uint(p.n_out));
  Offsets<5> at = element_offsets<5>(batch, group.z / uint(p.n_out));
  Piece<T> piece;
  piece.clear();
  for (int i = 0; i < p.count; ++i) {
    long to = checked_position(target[at.at[4] + i * p.index_stride[2]], p.n_out, 2, status);
    long from_a = checked_position(a_index[at.at[2] + i * p.index_stride[0]], p.a_count, 0, status);
    long from_b = checked_position(b_index[at.at[3] + i * p.index_stride[1]], p.b_count, 1, status);
    if (to != result) continue;
    Loader<T> left, right;
    start_left(left, a + at.at[0] + from_a * p.a_step, row, 0, p, index);
    start_right(right, b + at.at[1] + from_b * p.b_step, col, 0, p, index);
    multiply_pieces<T, kDepth>(piece, left, right, p.k, shared, simd);
  }
  finish(piece, out + long(group.z) * p.m * p.n, row, col, p, simd, lane);
}

// The factor of a block: a boolean, or a T.
template <typename T>
inline float mask_factor(device const uchar* mask, bool is_bool, long offset) {
  if (is_bool) return mask[offset] != 0 ? 1.0f : 0.0f;
  return float(reinterpret_cast<device const T*>(mask)[offset]);
}

// Operands of the batch: a, b, and the masks of the result, a and b.
template <typename T>
[[kernel]] void block_masked_mm(
    SET_ARGUMENTS(T),
    device const uchar* of_out [[buffer(5), function_constant(kOut)]],
    device const uchar* of_lhs [[buffer(6), function_constant(kLhs)]],
    device const uchar* of_rhs [[buffer(7), function_constant(kRhs)]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int row = place.row * kSide, col = place.col * kSide, i = row / p.block, j = col / p.block;
  Offsets<5> at = element_offsets<5>(batch, group.z);
  float whole = 1.0f;
  if (kOut) whole = mask_factor<T>(of_out, kOutBool, at.at[2] + i * p.mask_row[0] + j * p.mask_col[0]);
  Piece<T> piece;
  piece.clear();
  int blocks = whole == 0.0f ? 0 : (p.k + p.block - 1) / p.block;
  for (int q = 0; q < blocks;) {
    // Blocks of one factor side by side are one product.
    float factor = 0.0f;
    int begin = q;
    for (; q < blocks; ++q) {
      float lhs = 1.0f, rhs = 1.0f;
      if (kLhs) lhs = mask_factor<T>(of_lhs, kLhsBool, at.at[3] + i * p.mask_row[1] + q * p.mask_col[1]);
      if (kRhs) rhs = mask_factor<T>(of_rhs, kRhsBool, at.at[4] + q * p.mask_row[2] + j * p.mask_col[2]);
      float f = lhs == 0.0f || rhs == 0.0f ? 0.0f : whole * lhs * rhs;
      if (q > begin && f != factor) break;
      factor = f;
    }
    if (factor == 0.0f) continue;
    int k0 = begin * p.block, depth = min(p.k, q * p.block) - k0;
    Loader<T> left, right;
    start_left(left, a + at.at[0], row, k0, p, index);
    start_right(right, b + at.at[1], col, k0, p, index);
    if (kFactors) {
      Piece<T> part;
      part.clear();
      multiply_pieces<T, kDepth>(part, left, right, depth, shared, simd);
      piece.add_scaled(factor, part);
    } else {
      multiply_pieces<T, kDepth>(piece, left, right, depth, shared, simd);
    }
  }
  finish(piece, out + long(group.z) * p.m * p.n, row, col, p, simd, lane);
}

struct Segment {
  int begin, end;
};
// Segment s, cut to [0, size).
inline Segment segment_at(device const long* segments, long offset, int s, int size, constant SetParams& p) {
  offset += s * p.segment_stride;
  int begin = int(clamp(segments[offset], 0l, long(size))), end = int(clamp(segments[offset + p.bound_stride], 0l, long(size)));
  Segment g = {begin, max(begin, end)};
  return g;
}

// Operands of the batch: a, b, segments.
template <typename T>
[[kernel]] void segmented_mm(SET_ARGUMENTS(T), device const long* segments [[buffer(5)]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int row = place.row * kSide, col = place.col * kSide;
  Offsets<3> at = element_offsets<3>(batch, group.z / uint(p.count));
  Segment s = segment_at(segments, at.at[2], int(group.z % uint(p.count)), p.k, p);
  Loader<T> left, right;
  start_left(left, a + at.at[0], row, s.begin, p, index);
  start_right(right, b + at.at[1], col, s.begin, p, index);
  Piece<T> piece;
  piece.clear();
  multiply_pieces<T, kDepth>(piece, left, right, s.end - s.begin, shared, simd);
  finish(piece, out + long(group.z) * p.m * p.n, row, col, p, simd, lane);
}

// Adds a product with b[:, begin:end] to the columns begin:end, for each segment. Operands of the batch: a, b, segments.
template <typename T>
[[kernel]] void segment_sum_mm(SET_ARGUMENTS(T), device const long* segments [[buffer(5)]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int row = place.row * kSide, col = place.col * kSide, cols = min(kSide, p.n - col);
  Offsets<3> at = element_offsets<3>(batch, group.z);
  Piece<T> piece;
  piece.clear();
  for (int i = 0; i < p.count; ++i) {
    Segment s = segment_at(segments, at.at[2], i, p.n, p);
    int begin = max(s.begin - col, 0), end = min(s.end - col, cols);
    if (begin >= end) continue;
    Loader<T> left, right;
    start_left(left, a + at.at[0] + i * p.a_step, row, 0, p, index);
    start_right(right, b + at.at[1], col, 0, p, index);
    Piece<T> part;
    part.clear();
    multiply_pieces<T, kDepth>(part, left, right, p.k, shared, simd);
    piece.add_columns(begin, end, part, simd, lane);
  }
  finish(piece, out + long(group.z) * p.m * p.n, row, col, p, simd, lane);
}

#define SETS(T, name)                                             \
  INSTANTIATE("gather_mm_sums_" name, gather_mm_sums, T)          \
  INSTANTIATE("block_masked_mm_" name, block_masked_mm, T)        \
  INSTANTIATE("segmented_mm_" name, segmented_mm, T)              \
  INSTANTIATE("segment_sum_mm_" name, segment_sum_mm, T)
FOR_REALS(SETS)

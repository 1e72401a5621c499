// attention.h — what the kernels of attention share (attention.metal, attention_vjp.metal): their parameters, which scores
// count, and rows in threadgroup memory.
//
// Sizes of features are rounded up to blocks of 8, with zeros: kBlocksD of them for queries and keys, kBlocksE for values.
// Each simdgroup takes 8 rows of scores; a lane has two neighbouring scores of one row in each matrix (tile.h).
#pragma once

#include "elements.h"
#include "strided.h"
#include "tile.h"

constant bool kCausal [[function_constant(0)]];
constant bool kMask [[function_constant(1)]];
constant bool kHides [[function_constant(2)]];    // The mask is boolean, else it is added.
constant bool kSinks [[function_constant(3)]];
constant bool kVectorQ [[function_constant(4)]];  // Rows can be read four elements at a time.
constant bool kVectorK [[function_constant(5)]];
constant bool kVectorV [[function_constant(6)]];
constant bool kVectorCt [[function_constant(7)]];
constant int kBlocksD [[function_constant(8)]];
constant int kBlocksE [[function_constant(9)]];
constant bool kOfMask [[function_constant(10)]];
constant bool kParts [[function_constant(11)]];

struct AttentionParams {
  long q_head, q_row, q_col, k_head, k_row, k_col, v_head, v_row, v_col;
  long mask_head, mask_row, mask_col, sinks_head;
  long ct_head, ct_row, ct_col;
  int heads, key_heads, tq, tk, d, e;
  int parts, each;          // Of the keys, for few queries.
  float scale;
};

// Operands of the batch's layout.
enum AttentionOperand : int { kOfQ, kOfK, kOfV, kOfTheMask, kOfSinks, kOfCt, kOperands };

// A score that does not count; -inf is none at all.
constexpr constant float kLowest = -3.402823466e38f;
constexpr constant float kNothing = -INFINITY;

inline float exp_of(float x) { return exp2(x * 1.44269504088896340736f); }

// The first key that a query does not see because it comes later.
inline int key_limit(int row, constant AttentionParams& p) { return kCausal ? row + p.tk - p.tq + 1 : p.tk; }

// How a mask's score is read: `mask` is where the head's begins, of booleans or Ts.
template <typename T>
struct Scores {
  device const uchar* mask;

  bool visible(int row, int key, constant AttentionParams& p) const thread {
    if (kCausal && key >= key_limit(row, p)) return false;
    if (kMask && kHides) return mask[row * p.mask_row + key * p.mask_col] != 0;
    return true;
  }
  // The score of a pair from the product of its features.
  float of(float product, int row, int key, constant AttentionParams& p) const thread {
    if (row >= p.tq || key >= p.tk) return kNothing;
    if (!visible(row, key, p)) return kLowest;
    float x = product * p.scale;
    if (kMask && !kHides) x += float(reinterpret_cast<device const T*>(mask)[row * p.mask_row + key * p.mask_col]);
    return x;
  }
};

template <typename T>
inline Scores<T> scores_of(device const uchar* mask, long offset, int head, constant AttentionParams& p) {
  Scores<T> s;
  if (kMask) s.mask = mask + (offset + head * p.mask_head) * (kHides ? 1 : int(sizeof(T)));
  return s;
}

// Rows [0, ROWS) of `blocks` blocks of features to threadgroup memory, zeros for what there is not.
template <typename T, int ROWS, int THREADS>
inline void load_rows(threadgroup T* to, device const T* from, long row_stride, long col_stride, int rows, int width, int blocks, bool vector, uint index) {
  int vectors = blocks * 2, ld = padded<T>(blocks * 8);
  for (int i = int(index); i < ROWS * vectors; i += THREADS) {
    int row = i / vectors, col = i % vectors * 4;
    vec<T, 4> v = vec<T, 4>(T(0));
    if (row < rows && col < width) {
      device const T* p = from + row * row_stride + col * col_stride;
      v = vector ? *reinterpret_cast<device const vec<T, 4>*>(p) : fetch4(p, col_stride, 0, width - col);
    }
    *reinterpret_cast<threadgroup vec<T, 4>*>(to + row * ld + col) = v;
  }
}

// A matrix of T as one of float.
template <typename T>
inline Matrix8<float> as_floats(thread Matrix8<T>& m) {
  Matrix8<float> f;
  f.thread_elements()[0] = float(m.thread_elements()[0]);
  f.thread_elements()[1] = float(m.thread_elements()[1]);
  return f;
}

// sum[j] += left (8 x 8 blocks, from threadgroup memory) times the rows of `right`, transposed: products of the features of 8
// rows with those of N * 8.
template <typename T, int N>
inline void row_products(thread Matrix8<float>* sum, threadgroup const T* left, threadgroup const T* right, int blocks) {
  int ld = padded<T>(blocks * 8);
  for (int j = 0; j < N; ++j) sum[j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  for (int i = 0; i < blocks; ++i) {
    Matrix8<T> a, b;
    simdgroup_load(a, left + i * 8, ld);
    for (int j = 0; j < N; ++j) {
      simdgroup_load(b, right + j * 8 * ld + i * 8, ld, ulong2(0, 0), true);
      simdgroup_multiply_accumulate(sum[j], a, b, sum[j]);
    }
  }
}

// sum[i] += weights (8 x N * 8) times block i of N * 8 rows in threadgroup memory.
template <typename T, int N, int MOST>
inline void weighted_rows(thread Matrix8<float>* sum, thread Matrix8<float>* weights, threadgroup const T* rows, int blocks) {
  int ld = padded<T>(blocks * 8);
  for (int i = 0; i < MOST; ++i) {
    if (i >= blocks) continue;
    for (int j = 0; j < N; ++j) {
      Matrix8<T> b;
      simdgroup_load(b, rows + j * 8 * ld + i * 8, ld);
      Matrix8<float> wide = as_floats(b);
      simdgroup_multiply_accumulate(sum[i], weights[j], wide, sum[i]);
    }
  }
}

// Writes 8 rows of sums, times `factor`, to rows of `width` elements.
template <typename T, int MOST>
inline void write_rows(device T* to, thread Matrix8<float>* sum, float factor, int rows, int width, uint lane) {
  LanePlace at = lane_place(lane);
  if (at.row >= rows) return;
  for (int i = 0; i < MOST; ++i) {
    for (int c = 0; c < 2; ++c) {
      int col = i * 8 + at.col + c;
      if (col < width) to[long(at.row) * width + col] = T(sum[i].thread_elements()[c] * factor);
    }
  }
}

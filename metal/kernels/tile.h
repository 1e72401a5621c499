// tile.h — products of matrices by threadgroups: a BM x BN piece of the result is the sum over pieces of the inner dimension, BK
// long, that lie in threadgroup memory. Two pieces take turns there: while one is multiplied, the next is read into
// registers, so that a step has one barrier.
//
// An operand is made of `rows` (rows of the left matrix, columns of the right one) and the inner dimension. A loader brings a
// piece of it: load(left) reads, store(to) puts into threadgroup memory, next() moves on; along() says whether the
// inner dimension is contiguous there, else the rows are. Dense is the loader of a matrix with strides; convolution and
// quantized products have their own. Start at multiply_pieces().
#pragma once

#include "common.h"

template <typename T>
using Matrix8 = simdgroup_matrix<T, 8, 8>;

// The lane's two elements of an 8x8 matrix (thread_elements()): (row, col) and (row, col + 1). The lanes of a row differ in
// bits 0 and 3 of their number.
struct LanePlace {
  short row, col;
};
inline LanePlace lane_place(uint lane) {
  LanePlace p = {short((lane >> 4) * 4 + (lane >> 1) % 4), short((lane >> 3) % 2 * 4 + lane % 2 * 2)};
  return p;
}
// The sum or the largest of what the lanes of a row have.
inline float row_sum(float x) {
  x += simd_shuffle_xor(x, ushort(1));
  return x + simd_shuffle_xor(x, ushort(8));
}
inline float row_max(float x) {
  x = max(x, simd_shuffle_xor(x, ushort(1)));
  return max(x, simd_shuffle_xor(x, ushort(8)));
}

// Elements between rows of n in threadgroup memory: 16 bytes apart from a power of two, which spreads them over the banks.
template <typename T>
constexpr int padded(int n) {
  return n + 16 / int(sizeof(T));
}
// What a loader of S rows may fill.
template <typename T>
constexpr int piece_size(int S, int BK) {
  return S * padded<T>(BK) > BK * padded<T>(S) ? S * padded<T>(BK) : BK * padded<T>(S);
}

// Four elements from p on, `stride` apart, of which [first, end) exist; the others are zeros.
template <typename T>
inline vec<T, 4> fetch4(device const T* p, long stride, int first, int end) {
  vec<T, 4> v = vec<T, 4>(T(0));
  for (int j = 0; j < 4; ++j) {
    if (j >= first && j < end) v[j] = p[j * stride];
  }
  return v;
}

// A piece of a matrix with strides. ALONG and VECTOR are function constants, so that the branches on them vanish: VECTOR says
// that the contiguous stride is 1, and that all else is aligned for vectors of four.
template <typename T, int S, int BK, int THREADS>
struct Dense {
  enum : int { kRowVectors = BK / 4, kColumnVectors = S / 4, kEach = S * BK / 4 / THREADS, kSize = piece_size<T>(S, BK) };
  bool along_, vector_;
  int row_, k_;            // Of the thread's first vector.
  int first_, end_;        // Rows that exist.
  device const T* at_;
  long row_stride_, k_stride_;
  vec<T, 4> held_[kEach];

  // `from`: row 0 of the piece, inner position 0.
  void start(device const T* from, long row_stride, long k_stride, int first, int end, bool along, bool vector, uint thread_index) thread {
    int t = int(thread_index);
    along_ = along;
    vector_ = vector;
    row_ = along ? t / kRowVectors : t % kColumnVectors * 4;
    k_ = along ? t % kRowVectors * 4 : t / kColumnVectors;
    first_ = first;
    end_ = end;
    row_stride_ = row_stride;
    k_stride_ = k_stride;
    at_ = from + row_ * row_stride + k_ * k_stride;
  }
  bool along() const thread { return along_; }
  void load(int left) thread {
    bool whole = vector_ && first_ <= 0 && end_ >= S && left >= BK;
    for (int i = 0; i < kEach; ++i) {
      if (along_) {
        int row = row_ + i * (THREADS / kRowVectors);
        device const T* p = at_ + i * (THREADS / kRowVectors) * row_stride_;
        if (whole) {
          held_[i] = *reinterpret_cast<device const vec<T, 4>*>(p);
        } else {
          held_[i] = fetch4(p, vector_ ? 1l : k_stride_, 0, row >= first_ && row < end_ ? left - k_ : 0);
        }
      } else {
        int k = k_ + i * (THREADS / kColumnVectors);
        device const T* p = at_ + i * (THREADS / kColumnVectors) * k_stride_;
        if (whole) {
          held_[i] = *reinterpret_cast<device const vec<T, 4>*>(p);
        } else {
          held_[i] = fetch4(p, vector_ ? 1l : row_stride_, first_ - row_, k < left ? end_ - row_ : 0);
        }
      }
    }
  }
  void store(threadgroup T* to) const thread {
    for (int i = 0; i < kEach; ++i) {
      int at = along_ ? (row_ + i * (THREADS / kRowVectors)) * padded<T>(BK) + k_ : (k_ + i * (THREADS / kColumnVectors)) * padded<T>(S) + row_;
      *reinterpret_cast<threadgroup vec<T, 4>*>(to + at) = held_[i];
    }
  }
  void next() thread { at_ += BK * k_stride_; }
};

// The piece of the result that a threadgroup of WM x WN simdgroups makes; each has TM x TN matrices of 8x8.
template <typename T, int BM, int BN, int BK, int WM, int WN>
struct Product {
  enum : int { TM = BM / (8 * WM), TN = BN / (8 * WN), kThreads = WM * WN * 32 };
  Matrix8<float> sum[TM][TN];

  void clear() thread {
    for (int i = 0; i < TM; ++i) {
      for (int j = 0; j < TN; ++j) sum[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
  }
  static int first_row(uint simd) { return int(simd) / WN * (TM * 8); }
  static int first_col(uint simd) { return int(simd) % WN * (TN * 8); }

  // Adds the product of two pieces in threadgroup memory.
  void add(threadgroup const T* a, bool a_along, threadgroup const T* b, bool b_along, uint simd) thread {
    int row = first_row(simd), col = first_col(simd);
    for (int k = 0; k < BK; k += 8) {
      Matrix8<T> left[TM], right[TN];
      for (int i = 0; i < TM; ++i) {
        if (a_along) {
          simdgroup_load(left[i], a + (row + i * 8) * padded<T>(BK) + k, padded<T>(BK));
        } else {
          simdgroup_load(left[i], a + k * padded<T>(BM) + row + i * 8, padded<T>(BM), ulong2(0, 0), true);
        }
      }
      for (int j = 0; j < TN; ++j) {
        if (b_along) {
          simdgroup_load(right[j], b + (col + j * 8) * padded<T>(BK) + k, padded<T>(BK), ulong2(0, 0), true);
        } else {
          simdgroup_load(right[j], b + k * padded<T>(BN) + col + j * 8, padded<T>(BN));
        }
      }
      for (int i = 0; i < TM; ++i) {
        for (int j = 0; j < TN; ++j) simdgroup_multiply_accumulate(sum[i][j], left[i], right[j], sum[i][j]);
      }
    }
  }

  // Hands out the elements in pairs: out.put(row, col, (row, col), (row, col + 1)).
  template <typename Out>
  void write(thread Out& out, uint simd, uint lane) thread {
    LanePlace at = lane_place(lane);
    int row = first_row(simd) + at.row, col = first_col(simd) + at.col;
    for (int i = 0; i < TM; ++i) {
      for (int j = 0; j < TN; ++j) {
        out.put(row + i * 8, col + j * 8, sum[i][j].thread_elements()[0], sum[i][j].thread_elements()[1]);
      }
    }
  }
  // this += other, in the columns [begin, end)
  void add_columns(int begin, int end, thread Product& other, uint simd, uint lane) thread {
    int col = first_col(simd) + lane_place(lane).col;
    for (int i = 0; i < TM; ++i) {
      for (int j = 0; j < TN; ++j) {
        for (int c = 0; c < 2; ++c) {
          int at = col + j * 8 + c;
          if (at >= begin && at < end) sum[i][j].thread_elements()[c] += other.sum[i][j].thread_elements()[c];
        }
      }
    }
  }
  // this += factor * other
  void add_scaled(float factor, thread Product& other) thread {
    for (int i = 0; i < TM; ++i) {
      for (int j = 0; j < TN; ++j) {
        sum[i][j].thread_elements()[0] += factor * other.sum[i][j].thread_elements()[0];
        sum[i][j].thread_elements()[1] += factor * other.sum[i][j].thread_elements()[1];
      }
    }
  }
};

// Adds the product over `depth` of the inner dimension. All threads of the group call it. `shared` has room for two pieces of
// both operands.
template <typename T, int BK, typename P, typename A, typename B>
inline void multiply_pieces(thread P& product, thread A& a, thread B& b, int depth, threadgroup T* shared, uint simd) {
  if (depth <= 0) return;
  // An earlier call may still be read.
  threadgroup_barrier(mem_flags::mem_threadgroup);
  a.load(depth);
  b.load(depth);
  a.store(shared);
  b.store(shared + A::kSize);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  int turn = 0;
  for (int left = depth - BK;; left -= BK) {
    threadgroup const T* from = shared + turn * (A::kSize + B::kSize);
    if (left > 0) {
      a.next();
      b.next();
      a.load(left);
      b.load(left);
    }
    product.add(from, a.along(), from + A::kSize, b.along(), simd);
    if (left <= 0) return;
    turn = 1 - turn;
    threadgroup T* to = shared + turn * (A::kSize + B::kSize);
    a.store(to);
    b.store(to + A::kSize);
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

// Which piece of the result a threadgroup makes: neighbours in time share rows of pieces, 2^swizzle of them.
struct PiecePlace {
  int row, col;
};
inline PiecePlace piece_place(uint2 group, int swizzle) {
  PiecePlace p = {(int(group.y) << swizzle) + (int(group.x) & ((1 << swizzle) - 1)), int(group.x) >> swizzle};
  return p;
}

// An index vector's entry as a position; a bad one is reported, and stands for 0.
inline long checked_position(long index, long size, int operand, device Status* status) {
  long at = index < 0 ? index + size : index;
  if (at >= 0 && at < size) return at;
  report_index(status, index, size, operand);
  return 0;
}

// gemm.metal — products of matrices: out = alpha a b + beta c, for batches, with operands of any strides.
//
// gemm: pieces of the result by threadgroups, with simdgroup matrices (tile.h). With kSplit, the inner dimension is shared out,
// too: parts of sums go to memory, and gemm_sum adds them. With kGather, matrices are chosen by index. gemm_plain: any
// other dtype, without simdgroup matrices. Planned by backend/metal/plan/matmul.cpp.

#include "elements.h"
#include "strided.h"
#include "tile.h"

constant bool kAlongA [[function_constant(0)]];
constant bool kAlongB [[function_constant(1)]];
constant bool kVectorA [[function_constant(2)]];
constant bool kVectorB [[function_constant(3)]];
constant bool kAddend [[function_constant(4)]];
constant bool kSplit [[function_constant(5)]];
constant bool kGather [[function_constant(6)]];

struct GemmParams {
  long a_row, a_k, b_k, b_col, c_row, c_col;
  long a_step, b_step;      // From matrix to matrix, and how many there are, for kGather.
  long a_count, b_count;
  long size;                // Of a result, for parts of sums.
  int m, n, k;
  int tiles_m, tiles_n, swizzle;
  int splits, k_each;       // Parts of the inner dimension, and how long they are.
  float alpha, beta;
};

// Where results go.
template <typename T>
struct GemmOut {
  device T* out;
  device float* part;
  device const T* c;
  long c_row, c_col;
  int rows, cols, n;
  float alpha, beta;

  void one(int row, int col, float x) const thread {
    if (row >= rows || col >= cols) return;
    long at = long(row) * n + col;
    if (kSplit) {
      part[at] = x;
      return;
    }
    float y = alpha * x;
    if (kAddend) y += beta * float(c[row * c_row + col * c_col]);
    out[at] = T(y);
  }
  void put(int row, int col, float x, float y) const thread {
    one(row, col, x);
    one(row, col + 1, y);
  }
};

template <typename T, int BM, int BN, int BK, int WM, int WN>
[[kernel]] void gemm(
    device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]],
    device const T* c [[buffer(3), function_constant(kAddend)]],
    constant GemmParams& p [[buffer(4)]],
    constant long* batch [[buffer(5)]],
    device const long* a_index [[buffer(6), function_constant(kGather)]],
    device const long* b_index [[buffer(7), function_constant(kGather)]],
    device Status* status [[buffer(8), function_constant(kGather)]],
    threadgroup T* shared [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  uint item = group.z / uint(p.splits);
  int split = int(group.z % uint(p.splits)), k0 = split * p.k_each, depth = min(p.k - k0, p.k_each);
  Offsets<5> at = element_offsets<5>(batch, item);
  if (kGather) {
    at.at[0] += p.a_step * checked_position(a_index[at.at[3]], p.a_count, 0, status);
    at.at[1] += p.b_step * checked_position(b_index[at.at[4]], p.b_count, 1, status);
  }
  long row0 = long(place.row) * BM, col0 = long(place.col) * BN;
  int rows = int(min(long(BM), p.m - row0)), cols = int(min(long(BN), p.n - col0));

  using P = Product<T, BM, BN, BK, WM, WN>;
  Dense<T, BM, BK, WM * WN * 32> left;
  Dense<T, BN, BK, WM * WN * 32> right;
  left.start(a + at.at[0] + row0 * p.a_row + k0 * p.a_k, p.a_row, p.a_k, 0, rows, kAlongA, kVectorA, index);
  right.start(b + at.at[1] + col0 * p.b_col + k0 * p.b_k, p.b_col, p.b_k, 0, cols, kAlongB, kVectorB, index);
  P product;
  product.clear();
  multiply_pieces<T, BK>(product, left, right, depth, shared, simd);

  long first = row0 * p.n + col0;
  GemmOut<T> to;
  to.out = out + long(item) * p.size + first;
  to.part = reinterpret_cast<device float*>(out) + long(group.z) * p.size + first;
  if (kAddend) to.c = c + at.at[2] + row0 * p.c_row + col0 * p.c_col;
  to.c_row = p.c_row;
  to.c_col = p.c_col;
  to.rows = rows;
  to.cols = cols;
  to.n = p.n;
  to.alpha = p.alpha;
  to.beta = p.beta;
  product.write(to, simd, lane);
}

#define GEMMS(T, name)                                                      \
  INSTANTIATE("gemm_64x64_" name, gemm, T, 64, 64, 16, 2, 2)                \
  INSTANTIATE("gemm_32x32_" name, gemm, T, 32, 32, 16, 2, 2)
FOR_REALS(GEMMS)

// Adds the parts of sums: element i of item z is at ((z * splits) + s) * size + i.
template <typename T>
[[kernel]] void gemm_sum(
    device const float* parts [[buffer(0)]],
    device T* out [[buffer(2)]],
    device const T* c [[buffer(3), function_constant(kAddend)]],
    constant GemmParams& p [[buffer(4)]],
    constant long* batch [[buffer(5)]],
    uint3 at [[thread_position_in_grid]]) {
  uint item = at.z;
  long i = long(at.y) * p.n + at.x;
  device const float* from = parts + long(item) * p.splits * p.size + i;
  float x = 0.0f;
  for (int s = 0; s < p.splits; ++s) x += from[s * p.size];
  x *= p.alpha;
  if (kAddend) {
    Offsets<5> offsets = element_offsets<5>(batch, item);
    x += p.beta * float(c[offsets.at[2] + long(at.y) * p.c_row + long(at.x) * p.c_col]);
  }
  out[long(item) * p.size + i] = T(x);
}

#define GEMM_SUM(T, name) INSTANTIATE("gemm_sum_" name, gemm_sum, T)
FOR_REALS(GEMM_SUM)

// What products of a dtype are summed in, and how.
template <typename T>
struct Plain {
  using Sum = T;
  static T scaled(T x, float) { return x; }
};
template <>
struct Plain<complex64> {
  using Sum = complex64;
  static complex64 scaled(complex64 x, float s) { return x * s; }
};

// 16 x 16 elements by 256 threads.
template <typename T>
[[kernel]] void gemm_plain(
    device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]],
    device const T* c [[buffer(3), function_constant(kAddend)]],
    constant GemmParams& p [[buffer(4)]],
    constant long* batch [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 t [[thread_position_in_threadgroup]]) {
  threadgroup T left[16][17];
  threadgroup T right[16][17];
  Offsets<5> at = element_offsets<5>(batch, group.z);
  long row = long(group.y) * 16 + t.y, col = long(group.x) * 16 + t.x;
  T sum = convert<T>(0);
  for (int k = 0; k < p.k; k += 16) {
    long at_a = k + int(t.x), at_b = k + int(t.y);
    left[t.y][t.x] = row < p.m && at_a < p.k ? a[at.at[0] + row * p.a_row + at_a * p.a_k] : convert<T>(0);
    right[t.y][t.x] = col < p.n && at_b < p.k ? b[at.at[1] + at_b * p.b_k + col * p.b_col] : convert<T>(0);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    int depth = min(16, p.k - k);
    for (int i = 0; i < depth; ++i) sum = T(sum + T(left[t.y][i] * right[i][t.x]));
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  if (row >= p.m || col >= p.n) return;
  sum = Plain<T>::scaled(sum, p.alpha);
  if (kAddend) sum = sum + Plain<T>::scaled(c[at.at[2] + row * p.c_row + col * p.c_col], p.beta);
  out[long(group.z) * p.size + row * p.n + col] = sum;
}

INSTANTIATE("gemm_plain_uint8", gemm_plain, uchar)
INSTANTIATE("gemm_plain_uint16", gemm_plain, ushort)
INSTANTIATE("gemm_plain_uint32", gemm_plain, uint)
INSTANTIATE("gemm_plain_uint64", gemm_plain, ulong)
INSTANTIATE("gemm_plain_complex64", gemm_plain, complex64)

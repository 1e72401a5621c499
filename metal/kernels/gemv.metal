// gemv.metal — products of a matrix and a vector: out = alpha M x + beta c, M with n_out rows of length k, for batches.
//
// gemv_rows: M's rows are contiguous; the lanes of a simdgroup share four rows, and simdgroups of a threadgroup share their length
// where there are few. gemv_columns: M's columns are contiguous; eight lanes take 32 outputs, and all the others of
// the threadgroup other parts of the inner dimension. With kGather, matrices are chosen by index.
// Planned by backend/metal/plan/matmul.cpp.

#include "elements.h"
#include "strided.h"
#include "tile.h"

constant bool kVectorM [[function_constant(0)]];  // M can be read four elements at a time,
constant bool kVectorX [[function_constant(1)]];  // and x.
constant bool kAddend [[function_constant(4)]];
constant bool kGather [[function_constant(6)]];

struct GemvParams {
  long row, col;            // Strides of M.
  long x_stride, c_stride;
  long m_step, x_step;      // From matrix to matrix, for kGather.
  long m_count, x_count;
  int n_out, k;
  int parts;                // Simdgroups that share a row.
  int m_operand;            // Which operand M is, for reports of bad indices.
  float alpha, beta;
};

constexpr constant int kRows = 4;        // Of a simdgroup.
constexpr constant int kSimds = 8;       // Of a threadgroup.

// Four elements as floats, of which `n` exist.
template <typename T>
inline float4 fetch_floats(device const T* p, long stride, int n, bool vector) {
  if (vector && n >= 4) return float4(*reinterpret_cast<device const vec<T, 4>*>(p));
  return float4(fetch4(p, stride, 0, n));
}

#define GEMV_ARGUMENTS(T)                                             \
  device const T* m [[buffer(0)]],                                    \
  device const T* x [[buffer(1)]],                                    \
  device T* out [[buffer(2)]],                                        \
  device const T* c [[buffer(3), function_constant(kAddend)]],        \
  constant GemvParams& p [[buffer(4)]],                               \
  constant long* batch [[buffer(5)]],                                 \
  device const long* m_index [[buffer(6), function_constant(kGather)]], \
  device const long* x_index [[buffer(7), function_constant(kGather)]], \
  device Status* status [[buffer(8), function_constant(kGather)]],    \
  uint3 group [[threadgroup_position_in_grid]],                       \
  uint lane [[thread_index_in_simdgroup]],                            \
  uint simd [[simdgroup_index_in_threadgroup]]

template <typename T>
inline void finish(device T* out, device const T* c, constant GemvParams& p, long row, float sum) {
  float y = p.alpha * sum;
  if (kAddend) y += p.beta * float(c[row * p.c_stride]);
  out[row] = T(y);
}

template <typename T>
[[kernel]] void gemv_rows(GEMV_ARGUMENTS(T)) {
  threadgroup float sums[kSimds][kRows];
  Offsets<5> at = element_offsets<5>(batch, group.z);
  if (kGather) {
    at.at[0] += p.m_step * checked_position(m_index[at.at[3]], p.m_count, p.m_operand, status);
    at.at[1] += p.x_step * checked_position(x_index[at.at[4]], p.x_count, 1 - p.m_operand, status);
  }
  int part = int(simd) % p.parts, first = (int(group.x) * (kSimds / p.parts) + int(simd) / p.parts) * kRows;
  float sum[kRows] = {0.0f, 0.0f, 0.0f, 0.0f};
  // Rows beyond the end read the last one.
  device const T* row[kRows];
  for (int r = 0; r < kRows; ++r) row[r] = m + at.at[0] + long(min(first + r, p.n_out - 1)) * p.row;
  device const T* from = x + at.at[1];
  for (int k = (part * 32 + int(lane)) * 4; k < p.k; k += p.parts * 128) {
    float4 v = fetch_floats(from + k * p.x_stride, p.x_stride, p.k - k, kVectorX);
    for (int r = 0; r < kRows; ++r) sum[r] += dot(fetch_floats(row[r] + k * p.col, p.col, p.k - k, kVectorM), v);
  }
  for (int r = 0; r < kRows; ++r) sum[r] = simd_sum(sum[r]);
  if (p.parts > 1) {
    if (lane == 0) {
      for (int r = 0; r < kRows; ++r) sums[simd][r] = sum[r];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (part > 0) return;
    for (int r = 0; r < kRows; ++r) {
      sum[r] = 0.0f;
      for (int s = 0; s < p.parts; ++s) sum[r] += sums[simd + s][r];
    }
  }
  long to = long(group.z) * p.n_out;
  if (lane > 0) return;
  device const T* addend = c;
  if (kAddend) addend = c + at.at[2];
  for (int r = 0; r < kRows; ++r) {
    if (first + r < p.n_out) finish(out + to, addend, p, first + r, sum[r]);
  }
}

template <typename T>
[[kernel]] void gemv_columns(GEMV_ARGUMENTS(T)) {
  threadgroup float4 sums[kSimds][8];
  Offsets<5> at = element_offsets<5>(batch, group.z);
  if (kGather) {
    at.at[0] += p.m_step * checked_position(m_index[at.at[3]], p.m_count, p.m_operand, status);
    at.at[1] += p.x_step * checked_position(x_index[at.at[4]], p.x_count, 1 - p.m_operand, status);
  }
  int first = int(group.x) * 32 + int(lane) % 8 * 4, n = p.n_out - first;
  float4 sum = float4(0.0f);
  device const T* from = m + at.at[0] + long(first) * p.row;
  device const T* factor = x + at.at[1];
  if (n > 0) {
    for (int k = int(simd) * 4 + int(lane) / 8; k < p.k; k += kSimds * 4) {
      sum += float(factor[k * p.x_stride]) * fetch_floats(from + k * p.col, p.row, n, kVectorM);
    }
  }
  for (int j = 0; j < 4; ++j) {
    sum[j] += simd_shuffle_xor(sum[j], ushort(8));
    sum[j] += simd_shuffle_xor(sum[j], ushort(16));
  }
  if (lane < 8) sums[simd][lane] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (simd > 0 || lane >= 8) return;
  for (int s = 1; s < kSimds; ++s) sum += sums[s][lane];
  long to = long(group.z) * p.n_out;
  device const T* addend = c;
  if (kAddend) addend = c + at.at[2];
  for (int j = 0; j < 4; ++j) {
    if (j < n) finish(out + to, addend, p, first + j, sum[j]);
  }
}

#define GEMVS(T, name)                                  \
  INSTANTIATE("gemv_rows_" name, gemv_rows, T)          \
  INSTANTIATE("gemv_columns_" name, gemv_columns, T)
FOR_REALS(GEMVS)

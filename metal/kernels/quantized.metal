// quantized.metal — conversion to and from quantized formats, and products with quantized matrices.
//
// A row is stored as codes of kBits bits, packed from the lowest bit of words on, in groups of kGroup that share a scale, in affine
// mode with a bias. Eight codes fill kBits bytes, whatever kBits is: that is what kernels read at a time. quantized_dots and
// quantized_adds multiply few rows of x with codes as they are unpacked: with rows of the matrix, or added up over them.
// quantized_gemm unpacks pieces for tile.h. Planned by backend/metal/plan/quantized.cpp.

#include "elements.h"
#include "small_floats.h"
#include "strided.h"
#include "tile.h"

constant int kBits [[function_constant(0)]];
constant int kGroup [[function_constant(1)]];
constant int kMode [[function_constant(2)]];       // As in QuantMode: affine, mxfp4, mxfp8, nvfp4.
constant bool kAffine [[function_constant(3)]];
constant bool kGlobal [[function_constant(4)]];    // Global scales are given.
constant bool kVectorX [[function_constant(5)]];
constant bool kGather [[function_constant(6)]];
constant bool kTranspose [[function_constant(7)]]; // x times the transposed matrix.
constant bool kAlongX [[function_constant(8)]];
constant int kRowsX [[function_constant(9)]];      // Of a threadgroup, for few rows: 1 to 4.

enum Mode : int { kAffineMode, kMxfp4, kMxfp8, kNvfp4 };

constexpr constant float kLargestNvfp4 = 2688.0f;  // 448 * 6, which a global scale is the multiple of.

// ---- codes

// Eight codes from byte `at` on.
inline ulong eight_codes(device const uchar* at) {
  if (kBits == 8) {
    device const uint* p = reinterpret_cast<device const uint*>(at);
    return ulong(p[0]) | ulong(p[1]) << 32;
  }
  if (kBits == 4) return *reinterpret_cast<device const uint*>(at);
  if (kBits == 2) return *reinterpret_cast<device const ushort*>(at);
  if (kBits == 6) {
    device const ushort* p = reinterpret_cast<device const ushort*>(at);
    return ulong(p[0]) | ulong(p[1]) << 16 | ulong(p[2]) << 32;
  }
  ulong x = 0;
  for (int i = 0; i < kBits; ++i) x |= ulong(at[i]) << (8 * i);
  return x;
}
inline float code_at(ulong codes, int i) {
  uint code = uint(codes >> (i * kBits)) & ((1u << kBits) - 1u);
  if (kMode == kMxfp8) return from_e4m3(code);
  return kAffine ? float(code) : from_e2m1(code);
}

struct Scale {
  float scale, bias;
};
// Of the group at element `at` of the scales, and `at_bias` of the biases.
template <typename T>
inline Scale scale_at(device const uchar* scales, device const T* biases, long at, long at_bias) {
  Scale s = {0.0f, 0.0f};
  if (kAffine) {
    s.scale = float(reinterpret_cast<device const T*>(scales)[at]);
    s.bias = float(biases[at_bias]);
  } else {
    s.scale = kMode == kNvfp4 ? from_e4m3(scales[at]) : from_e8m0(scales[at]);
  }
  return s;
}

// ---- to codes

struct QuantizeParams {
  long stride;          // Of the last axis of what is quantized.
  long groups;          // In all.
  int groups_per_row;
};

constexpr constant int kSimds = 8;

// A simdgroup quantizes a group. Operands of the layout of rows: w, global scales.
template <typename T>
[[kernel]] void quantize(
    device const T* w [[buffer(0)]],
    device const float* global [[buffer(1), function_constant(kGlobal)]],
    device uint* words [[buffer(2)]],
    device uchar* scales [[buffer(3)]],
    device T* biases [[buffer(4), function_constant(kAffine)]],
    constant QuantizeParams& p [[buffer(5)]],
    constant long* rows [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 n_groups [[threadgroups_per_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup uchar codes[kSimds][128];
  long g = (long(group.y) * n_groups.x + group.x) * kSimds + simd;
  bool exists = g < p.groups;
  int each = max(1, kGroup / 32);
  bool mine = exists && int(lane) * each < kGroup;
  Offsets<2> at = {{0, 0}};
  if (exists) at = element_offsets<2>(rows, ulong(g / p.groups_per_row));
  long first = (exists ? g % p.groups_per_row : 0) * kGroup + int(lane) * each;
  float x[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = 0; i < each && mine; ++i) x[i] = float(w[at.at[0] + (first + i) * p.stride]);

  if (kAffine) {
    // NaN takes no part in the choice of scale and bias, and gets code 0.
    float lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < each; ++i) {
      lo = mine && x[i] < lo ? x[i] : lo;
      hi = mine && x[i] > hi ? x[i] : hi;
    }
    lo = simd_min(lo);
    hi = simd_max(hi);
    float most = float((1 << kBits) - 1), scale = (hi - lo) / most, bias = 0.0f;
    if (scale < 1e-7f) scale = 1e-7f;
    if (kBits == 1) {
      bias = lo;
      if (lo == 0.0f) {
        // Of zeros of either sign, the first.
        int place = 1 << 20;
        for (int i = each - 1; i >= 0; --i) place = mine && x[i] == 0.0f ? int(lane) * each + i : place;
        int whose = simd_min(place) / each, which = simd_min(place) % each;
        bias = simd_shuffle(x[which], ushort(whose));
      }
    } else {
      // The edge of larger magnitude is exact: the scale is adjusted so that it is a multiple.
      bool from_low = metal::fabs(lo) > metal::fabs(hi);
      if (!from_low) scale = -scale;
      float edge = from_low ? lo : hi, steps = rint(edge / scale);
      if (steps != 0.0f) {
        scale = edge / steps;
        bias = edge;
      }
    }
    for (int i = 0; i < each && mine; ++i) {
      float code = (x[i] - bias) / scale;
      code = code > 0.0f ? code : 0.0f;
      codes[simd][int(lane) * each + i] = uchar(uint(rint(code < most ? code : most)));
    }
    if (exists && lane == 0) {
      reinterpret_cast<device T*>(scales)[g] = T(scale);
      biases[g] = T(bias);
    }
  } else {
    // Magnitudes compare as integers, NaN above all.
    uint bits = 0;
    for (int i = 0; i < each; ++i) bits = max(bits, as_type<uint>(x[i]) & 0x7fffffffu);
    float largest = as_type<float>(simd_max(bits)), inverse = 1.0f, divisor;
    uint scale;
    if (kMode == kNvfp4) {
      largest = float(T(largest / kLargestE2m1));
      if (kGlobal) {
        inverse = exists ? kLargestNvfp4 / global[at.at[1]] : 1.0f;
        largest *= inverse;
      }
      scale = to_e4m3(largest);
      divisor = from_e4m3(scale);
    } else {
      scale = to_e8m0(float(T(largest / (kBits == 4 ? kLargestE2m1 : kLargestE4m3))));
      divisor = scale == kNanE8m0 ? 1.0f : from_e8m0(scale);
    }
    bool empty = kMode == kNvfp4 ? divisor == 0.0f : scale == kNanE8m0;
    for (int i = 0; i < each && mine; ++i) {
      float y = x[i] / divisor;
      if (kGlobal) y = float(T(y)) * inverse;
      codes[simd][int(lane) * each + i] = uchar(empty ? 0u : kBits == 4 ? to_e2m1(y) : uint(to_e4m3(y)));
    }
    if (exists && lane == 0) scales[g] = uchar(scale);
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  int n_words = kGroup * kBits / 32, word = int(lane);
  if (!exists || word >= n_words) return;
  uint packed = 0;
  for (int i = word * 32 / kBits; i * kBits < (word + 1) * 32; ++i) {
    int shift = i * kBits - word * 32;
    uint code = codes[simd][i];
    packed |= shift >= 0 ? code << shift : code >> -shift;
  }
  words[g * n_words + word] = packed;
}

// ---- from codes

struct DequantizeParams {
  long w_stride, scales_stride, biases_stride;  // Of last axes.
  int columns;
};

// x: columns; y, z: rows. Operands of the layout of rows: words, scales, biases, global scales.
template <typename T>
[[kernel]] void dequantize(
    device const uint* words [[buffer(0)]],
    device const uchar* scales [[buffer(1)]],
    device const T* biases [[buffer(2), function_constant(kAffine)]],
    device const float* global [[buffer(3), function_constant(kGlobal)]],
    device T* out [[buffer(4)]],
    constant DequantizeParams& p [[buffer(5)]],
    constant long* rows [[buffer(6)]],
    constant ulong& n_rows [[buffer(7)]],
    uint3 t [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong row = ulong(t.z) * grid.y + t.y;
  if (row >= n_rows) return;
  Offsets<4> at = element_offsets<4>(rows, row);
  int col = int(t.x), g = col / kGroup, bit = col * kBits % 32;
  long word = long(col) * kBits / 32;
  ulong bits = words[at.at[0] + word * p.w_stride];
  if (bit + kBits > 32) bits |= ulong(words[at.at[0] + (word + 1) * p.w_stride]) << 32;
  float code = code_at(bits >> bit, 0);
  Scale s = scale_at(scales, biases, at.at[1] + g * p.scales_stride, at.at[2] + g * p.biases_stride);
  long to = long(row) * p.columns + col;
  if (kAffine) {
    out[to] = T(float(T(code * s.scale)) + s.bias);
    return;
  }
  if (kGlobal) s.scale *= global[at.at[3]] / kLargestNvfp4;
  out[to] = T(code * s.scale);
}

// ---- products

struct QuantMatmulParams {
  long x_row, x_col, x_step, x_count;
  long w_row, w_step, w_count;            // In words.
  long scales_row, scales_col, scales_step, biases_row, biases_col, biases_step;
  long size;                              // Of a result.
  int m, n, k;
  int tiles_m, tiles_n, swizzle;
};

#define PRODUCT_ARGUMENTS(T)                                               \
  device const T* x [[buffer(0)]],                                         \
  device const uint* words [[buffer(1)]],                                  \
  device const uchar* scales [[buffer(2)]],                                \
  device const T* biases [[buffer(3), function_constant(kAffine)]],        \
  device T* out [[buffer(4)]],                                             \
  constant QuantMatmulParams& p [[buffer(5)]],                             \
  constant long* batch [[buffer(6)]],                                      \
  device const long* x_index [[buffer(7), function_constant(kGather)]],    \
  device const long* w_index [[buffer(8), function_constant(kGather)]],    \
  device Status* status [[buffer(9), function_constant(kGather)]],         \
  uint3 group [[threadgroup_position_in_grid]],                            \
  uint index [[thread_index_in_threadgroup]],                              \
  uint lane [[thread_index_in_simdgroup]],                                 \
  uint simd [[simdgroup_index_in_threadgroup]]

// The quantized matrix of one product.
template <typename T>
struct Packed {
  device const uchar* codes;
  device const uchar* scales;
  device const T* biases;
  long row_bytes, scales_row, scales_col, biases_row, biases_col;

  // The codes [col, col + 8) of a row, and what they share.
  ulong codes_at(int row, int col) const thread { return eight_codes(codes + row * row_bytes + long(col) / 8 * kBits); }
  Scale scale(int row, int col) const thread {
    int g = col / kGroup;
    return scale_at(scales, biases, row * scales_row + g * scales_col, row * biases_row + g * biases_col);
  }
};

// Where the operands of product `item` are; operands of the batch: x, words, scales, biases, both indices.
template <typename T>
inline Packed<T> packed_at(thread Offsets<6>& at, device const uint* words, device const uchar* scales, device const T* biases, constant QuantMatmulParams& p,
                           device const long* x_index, device const long* w_index, device Status* status) {
  if (kGather) {
    at.at[0] += p.x_step * checked_position(x_index[at.at[4]], p.x_count, 0, status);
    long i = checked_position(w_index[at.at[5]], p.w_count, 1, status);
    at.at[1] += p.w_step * i;
    at.at[2] += p.scales_step * i;
    at.at[3] += p.biases_step * i;
  }
  Packed<T> q;
  q.codes = reinterpret_cast<device const uchar*>(words + at.at[1]);
  q.scales = scales + at.at[2] * (kAffine ? int(sizeof(T)) : 1);
  if (kAffine) q.biases = biases + at.at[3];
  q.row_bytes = p.w_row * 4;
  q.scales_row = p.scales_row;
  q.scales_col = p.scales_col;
  q.biases_row = p.biases_row;
  q.biases_col = p.biases_col;
  return q;
}

// Eight elements of a row of x as floats.
template <typename T>
inline void eight_of(device const T* from, long stride, thread float* to) {
  if (kVectorX) {
    float4 a = float4(*reinterpret_cast<device const vec<T, 4>*>(from)), b = float4(*reinterpret_cast<device const vec<T, 4>*>(from + 4));
    for (int i = 0; i < 4; ++i) {
      to[i] = a[i];
      to[4 + i] = b[i];
    }
  } else {
    for (int i = 0; i < 8; ++i) to[i] = float(from[i * stride]);
  }
}

constexpr constant int kDotRows = 4;  // Of the matrix, a simdgroup.

// x: groups of 8 * 4 rows of the matrix; y: groups of kRowsX rows of x; z: batch.
template <typename T>
[[kernel]] void quantized_dots(PRODUCT_ARGUMENTS(T)) {
  Offsets<6> at = element_offsets<6>(batch, group.z);
  Packed<T> q = packed_at(at, words, scales, biases, p, x_index, w_index, status);
  int first = (int(group.x) * kSimds + int(simd)) * kDotRows, first_x = int(group.y) * kRowsX;
  float sum[4][kDotRows];
  for (int r = 0; r < 4; ++r) {
    for (int j = 0; j < kDotRows; ++j) sum[r][j] = 0.0f;
  }
  for (int k = int(lane) * 8; k < p.k; k += 256) {
    float v[4][8], total[4];
    for (int r = 0; r < kRowsX; ++r) {
      eight_of(x + at.at[0] + min(first_x + r, p.m - 1) * p.x_row + k * p.x_col, p.x_col, v[r]);
      total[r] = 0.0f;
      for (int i = 0; i < 8; ++i) total[r] += v[r][i];
    }
    for (int j = 0; j < kDotRows; ++j) {
      int row = min(first + j, p.n - 1);
      ulong codes = q.codes_at(row, k);
      Scale s = q.scale(row, k);
      float some[4] = {0.0f, 0.0f, 0.0f, 0.0f};
      for (int i = 0; i < 8; ++i) {
        float code = code_at(codes, i);
        for (int r = 0; r < kRowsX; ++r) some[r] += v[r][i] * code;
      }
      for (int r = 0; r < kRowsX; ++r) sum[r][j] += s.scale * some[r] + (kAffine ? s.bias * total[r] : 0.0f);
    }
  }
  for (int r = 0; r < kRowsX; ++r) {
    for (int j = 0; j < kDotRows; ++j) {
      float y = simd_sum(sum[r][j]);
      if (lane == 0 && first_x + r < p.m && first + j < p.n) out[group.z * p.size + long(first_x + r) * p.n + first + j] = T(y);
    }
  }
}

// x: groups of 64 columns of the matrix; y: groups of kRowsX rows of x; z: batch. Lanes take 8 columns of every fourth row, and the
// simdgroups take such rows in turn.
template <typename T>
[[kernel]] void quantized_adds(PRODUCT_ARGUMENTS(T)) {
  threadgroup float sums[kSimds][64];
  Offsets<6> at = element_offsets<6>(batch, group.z);
  Packed<T> q = packed_at(at, words, scales, biases, p, x_index, w_index, status);
  int col = int(group.x) * 64 + int(lane) % 8 * 8, first_x = int(group.y) * kRowsX;
  float sum[4][8];
  for (int r = 0; r < 4; ++r) {
    for (int i = 0; i < 8; ++i) sum[r][i] = 0.0f;
  }
  for (int k = int(simd) * 4 + int(lane) / 8; k < p.k && col < p.n; k += kSimds * 4) {
    ulong codes = q.codes_at(k, col);
    Scale s = q.scale(k, col);
    for (int i = 0; i < 8; ++i) {
      float number = s.scale * code_at(codes, i) + s.bias;
      for (int r = 0; r < kRowsX; ++r) sum[r][i] += number * float(x[at.at[0] + min(first_x + r, p.m - 1) * p.x_row + k * p.x_col]);
    }
  }
  for (int r = 0; r < kRowsX; ++r) {
    for (int i = 0; i < 8; ++i) {
      sum[r][i] += simd_shuffle_xor(sum[r][i], ushort(8));
      sum[r][i] += simd_shuffle_xor(sum[r][i], ushort(16));
      if (lane < 8) sums[simd][lane * 8 + i] = sum[r][i];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    int to = int(group.x) * 64 + int(index);
    if (index < 64 && to < p.n && first_x + r < p.m) {
      float y = 0.0f;
      for (int s = 0; s < kSimds; ++s) y += sums[s][index];
      out[group.z * p.size + long(first_x + r) * p.n + to] = T(y);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

// A quantized matrix as right operand: eight codes a thread. Its rows are rows of the result's columns, if kTranspose, else of the inner
// dimension.
template <typename T, int S, int BK, int THREADS>
struct PackedPieces {
  enum : int { kSize = piece_size<T>(S, BK), kEights = S * BK / 8 };
  Packed<T> from_;
  int row_, k_, col_, at_k_, end_;
  bool takes_part_;
  T held_[8];

  void start(Packed<T> from, int col, int end, uint thread_index) thread {
    int t = int(thread_index);
    from_ = from;
    takes_part_ = t < kEights;
    row_ = kTranspose ? t / (BK / 8) : t % (S / 8) * 8;
    k_ = kTranspose ? t % (BK / 8) * 8 : t / (S / 8);
    col_ = col;
    at_k_ = 0;
    end_ = end;
  }
  bool along() const thread { return kTranspose; }
  void load(int left) thread {
    if (!takes_part_) return;
    bool exists = row_ < end_ && k_ < left;
    int row = kTranspose ? col_ + row_ : at_k_ + k_, col = kTranspose ? at_k_ + k_ : col_ + row_;
    ulong codes = 0;
    Scale s = {0.0f, 0.0f};
    if (exists) {
      codes = from_.codes_at(row, col);
      s = from_.scale(row, col);
    }
    for (int i = 0; i < 8; ++i) held_[i] = T(s.scale * code_at(codes, i) + s.bias);
  }
  void store(threadgroup T* to) const thread {
    if (!takes_part_) return;
    threadgroup T* p = to + (kTranspose ? row_ * padded<T>(BK) + k_ : k_ * padded<T>(S) + row_);
    for (int i = 0; i < 8; i += 4) {
      vec<T, 4> v = vec<T, 4>(held_[i], held_[i + 1], held_[i + 2], held_[i + 3]);
      *reinterpret_cast<threadgroup vec<T, 4>*>(p + i) = v;
    }
  }
  void next() thread { at_k_ += BK; }
};

template <typename T>
struct QuantOut {
  device T* out;
  int rows, cols, n;

  void put(int row, int col, float x, float y) const thread {
    if (row >= rows) return;
    if (col < cols) out[long(row) * n + col] = T(x);
    if (col + 1 < cols) out[long(row) * n + col + 1] = T(y);
  }
};

template <typename T, int BM, int BN, int BK, int WM, int WN>
[[kernel]] void quantized_gemm(PRODUCT_ARGUMENTS(T), threadgroup T* shared [[threadgroup(0)]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  Offsets<6> at = element_offsets<6>(batch, group.z);
  Packed<T> q = packed_at(at, words, scales, biases, p, x_index, w_index, status);
  int row = place.row * BM, col = place.col * BN, rows = min(BM, p.m - row), cols = min(BN, p.n - col);
  Dense<T, BM, BK, WM * WN * 32> left;
  left.start(x + at.at[0] + row * p.x_row, p.x_row, p.x_col, 0, rows, kAlongX, kVectorX, index);
  PackedPieces<T, BN, BK, WM * WN * 32> right;
  right.start(q, col, cols, index);
  Product<T, BM, BN, BK, WM, WN> product;
  product.clear();
  multiply_pieces<T, BK>(product, left, right, p.k, shared, simd);
  QuantOut<T> to = {out + group.z * p.size + long(row) * p.n + col, rows, cols, p.n};
  product.write(to, simd, lane);
}

#define QUANTIZED(T, name)                                                          \
  INSTANTIATE("quantize_" name, quantize, T)                                        \
  INSTANTIATE("dequantize_" name, dequantize, T)                                    \
  INSTANTIATE("quantized_dots_" name, quantized_dots, T)                            \
  INSTANTIATE("quantized_adds_" name, quantized_adds, T)                            \
  INSTANTIATE("quantized_gemm_64x64_" name, quantized_gemm, T, 64, 64, 16, 2, 2)    \
  INSTANTIATE("quantized_gemm_32x32_" name, quantized_gemm, T, 32, 32, 16, 2, 2)
FOR_REALS(QUANTIZED)

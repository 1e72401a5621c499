// conv.metal — convolution and its derivative in the weight, for one to three axes and groups.
//
// conv: outputs (positions, channels) are the product of patches of the input and the weight; patches are read where they are
// needed, never stored (tile.h: here are the loaders). conv_weight: outputs against patches, summed over positions, which may be
// shared out as the inner dimension of gemm is (gemm_sum adds). conv_direct and conv_weight_direct: one output a thread,
// for groups of few channels and for complex numbers. Output o and tap k of an axis meet input o * stride + k * dilation +
// start, if that divides by `spread` (1 but for the derivative of a transposed convolution): backend/metal/plan/conv.cpp cuts
// convolutions with a dilated input into such without.

#include "elements.h"
#include "tile.h"

constant bool kAlong [[function_constant(0)]];     // The weight is contiguous in its input channels, else in its output channels.
constant bool kVectorX [[function_constant(1)]];   // Four channels of the input can be read at once,
constant bool kVectorW [[function_constant(2)]];   // and four elements of the weight, or of the output's cotangent.
constant bool kSpread [[function_constant(3)]];
constant bool kSplit [[function_constant(5)]];

struct ConvParams {
  long x_stride[3], w_stride[3], y_stride[3];
  long x_batch, x_channel, w_first, w_out, w_in, y_batch, y_first;
  int in[3], taps[3], out[3], stride[3], dilation[3], start[3], spread[3];
  int groups, cin, cout;    // Channels of one group.
  int rows;                 // Positions of all examples.
  int depth;                // Taps times channels.
  int tiles_m, tiles_n, swizzle;
  int splits, each;         // Of the positions, for the weight.
};

// Tap and channel of a place along the patch.
struct TapPlace {
  int tap[3];
  int channel;

  void advance(int n, constant ConvParams& p) thread {
    channel += n;
    while (channel >= p.cin) {
      channel -= p.cin;
      if (++tap[2] < p.taps[2]) continue;
      tap[2] = 0;
      if (++tap[1] < p.taps[1]) continue;
      tap[1] = 0;
      ++tap[0];
    }
  }
  void start(int n, constant ConvParams& p) thread {
    channel = n % p.cin;
    n /= p.cin;
    tap[2] = n % p.taps[2];
    n /= p.taps[2];
    tap[1] = n % p.taps[1];
    tap[0] = n / p.taps[1];
  }
};

// A position of the output, and where tap 0 meets the input.
struct Position {
  int out[3];
  int example;

  void start(int row, constant ConvParams& p) thread {
    out[2] = row % p.out[2];
    row /= p.out[2];
    out[1] = row % p.out[1];
    row /= p.out[1];
    out[0] = row % p.out[0];
    example = row / p.out[0];
  }
  void advance(int n, constant ConvParams& p) thread {
    out[2] += n;
    while (out[2] >= p.out[2]) {
      out[2] -= p.out[2];
      if (++out[1] < p.out[1]) continue;
      out[1] = 0;
      if (++out[0] < p.out[0]) continue;
      out[0] = 0;
      ++example;
    }
  }
};

constexpr constant long kOutside = 1l << 62;

// Where position and tap meet the input, without the channel; kOutside, too, between the elements of a spread input.
inline long meeting(thread const Position& at, thread const TapPlace& place, constant ConvParams& p) {
  long offset = at.example * p.x_batch;
  for (int d = 0; d < 3; ++d) {
    int i = at.out[d] * p.stride[d] + place.tap[d] * p.dilation[d] + p.start[d];
    if (i < 0) return kOutside;
    if (kSpread) {
      if (i % p.spread[d] != 0) return kOutside;
      i /= p.spread[d];
    }
    if (i >= p.in[d]) return kOutside;
    offset += i * p.x_stride[d];
  }
  return offset;
}

// Four elements of a patch, from `place` on, of which `n` exist.
template <typename T>
inline vec<T, 4> fetch_patch(device const T* x, thread const Position& at, thread const TapPlace& place, int n, constant ConvParams& p) {
  vec<T, 4> v = vec<T, 4>(T(0));
  if (kVectorX) {
    long offset = n > 0 ? meeting(at, place, p) : kOutside;
    return offset == kOutside ? v : *reinterpret_cast<device const vec<T, 4>*>(x + offset + place.channel);
  }
  TapPlace next = place;
  for (int j = 0; j < 4 && j < n; ++j) {
    long offset = meeting(at, next, p);
    if (offset != kOutside) v[j] = x[offset + next.channel * p.x_channel];
    next.advance(1, p);
  }
  return v;
}

// Patches as left operand: rows are positions, the inner dimension runs along the patch.
template <typename T, int S, int BK, int THREADS>
struct PatchRows {
  enum : int { kRowVectors = BK / 4, kEach = S * BK / 4 / THREADS, kSize = piece_size<T>(S, BK) };
  constant ConvParams* p_;
  device const T* x_;
  int row_, k_, end_;
  Position at_[kEach];
  TapPlace place_;
  vec<T, 4> held_[kEach];

  void start(device const T* x, int first, int end, constant ConvParams& p, uint thread_index) thread {
    p_ = &p;
    x_ = x;
    row_ = int(thread_index) / kRowVectors;
    k_ = int(thread_index) % kRowVectors * 4;
    end_ = end;
    for (int i = 0; i < kEach; ++i) at_[i].start(min(first + row_ + i * (THREADS / kRowVectors), p.rows - 1), p);
    place_.start(k_, p);
  }
  bool along() const thread { return true; }
  void load(int left) thread {
    constant ConvParams& p = *p_;
    for (int i = 0; i < kEach; ++i) {
      held_[i] = fetch_patch(x_, at_[i], place_, row_ + i * (THREADS / kRowVectors) < end_ ? left - k_ : 0, p);
    }
  }
  void store(threadgroup T* to) const thread {
    for (int i = 0; i < kEach; ++i) {
      *reinterpret_cast<threadgroup vec<T, 4>*>(to + (row_ + i * (THREADS / kRowVectors)) * padded<T>(BK) + k_) = held_[i];
    }
  }
  void next() thread { place_.advance(BK, *p_); }
};

// Patches as right operand: rows are places along the patch, the inner dimension runs through the positions.
template <typename T, int S, int BK, int THREADS>
struct PatchColumns {
  enum : int { kColumnVectors = S / 4, kEach = S * BK / 4 / THREADS, kSize = piece_size<T>(S, BK) };
  constant ConvParams* p_;
  device const T* x_;
  int row_, k_, end_;
  Position at_[kEach];
  TapPlace place_;
  vec<T, 4> held_[kEach];

  void start(device const T* x, int first, int end, int position, constant ConvParams& p, uint thread_index) thread {
    p_ = &p;
    x_ = x;
    row_ = int(thread_index) % kColumnVectors * 4;
    k_ = int(thread_index) / kColumnVectors;
    end_ = end;
    for (int i = 0; i < kEach; ++i) at_[i].start(position + k_ + i * (THREADS / kColumnVectors), p);
    place_.start(min(first + row_, p.depth - 1), p);
  }
  bool along() const thread { return false; }
  void load(int left) thread {
    constant ConvParams& p = *p_;
    for (int i = 0; i < kEach; ++i) {
      held_[i] = fetch_patch(x_, at_[i], place_, k_ + i * (THREADS / kColumnVectors) < left ? end_ - row_ : 0, p);
    }
  }
  void store(threadgroup T* to) const thread {
    for (int i = 0; i < kEach; ++i) {
      *reinterpret_cast<threadgroup vec<T, 4>*>(to + (k_ + i * (THREADS / kColumnVectors)) * padded<T>(S) + row_) = held_[i];
    }
  }
  void next() thread {
    for (int i = 0; i < kEach; ++i) at_[i].advance(BK, *p_);
  }
};

inline long weight_offset(thread const TapPlace& place, constant ConvParams& p) {
  return place.tap[0] * p.w_stride[0] + place.tap[1] * p.w_stride[1] + place.tap[2] * p.w_stride[2] + place.channel * p.w_in;
}

// The weight as right operand: rows are output channels.
template <typename T, int S, int BK, int THREADS>
struct WeightRows {
  enum : int { kRowVectors = BK / 4, kColumnVectors = S / 4, kEach = S * BK / 4 / THREADS, kSize = piece_size<T>(S, BK) };
  constant ConvParams* p_;
  device const T* w_;
  int row_, k_, end_;
  TapPlace place_[kEach];   // One will do where the inner dimension is contiguous.
  vec<T, 4> held_[kEach];

  void start(device const T* w, int end, constant ConvParams& p, uint thread_index) thread {
    p_ = &p;
    int t = int(thread_index);
    w_ = w;
    end_ = end;
    row_ = kAlong ? t / kRowVectors : t % kColumnVectors * 4;
    k_ = kAlong ? t % kRowVectors * 4 : t / kColumnVectors;
    place_[0].start(k_, p);
    if (!kAlong) {
      for (int i = 1; i < kEach; ++i) place_[i].start(k_ + i * (THREADS / kColumnVectors), p);
    }
  }
  bool along() const thread { return kAlong; }
  void load(int left) thread {
    constant ConvParams& p = *p_;
    for (int i = 0; i < kEach; ++i) {
      if (kAlong) {
        int row = row_ + i * (THREADS / kRowVectors), n = row < end_ ? left - k_ : 0;
        device const T* from = w_ + row * p.w_out;
        if (kVectorW) {
          held_[i] = n > 0 ? *reinterpret_cast<device const vec<T, 4>*>(from + weight_offset(place_[0], p)) : vec<T, 4>(T(0));
        } else {
          TapPlace next = place_[0];
          held_[i] = vec<T, 4>(T(0));
          for (int j = 0; j < 4 && j < n; ++j) {
            held_[i][j] = from[weight_offset(next, p)];
            next.advance(1, p);
          }
        }
      } else {
        int n = k_ + i * (THREADS / kColumnVectors) < left ? end_ - row_ : 0;
        if (kVectorW && n >= 4) {
          held_[i] = *reinterpret_cast<device const vec<T, 4>*>(w_ + weight_offset(place_[i], p) + row_);
        } else {
          held_[i] = vec<T, 4>(T(0));
          for (int j = 0; j < 4 && j < n; ++j) held_[i][j] = w_[weight_offset(place_[i], p) + (row_ + j) * p.w_out];
        }
      }
    }
  }
  void store(threadgroup T* to) const thread {
    for (int i = 0; i < kEach; ++i) {
      int at = kAlong ? (row_ + i * (THREADS / kRowVectors)) * padded<T>(BK) + k_ : (k_ + i * (THREADS / kColumnVectors)) * padded<T>(S) + row_;
      *reinterpret_cast<threadgroup vec<T, 4>*>(to + at) = held_[i];
    }
  }
  void next() thread {
    place_[0].advance(BK, *p_);
    if (!kAlong) {
      for (int i = 1; i < kEach; ++i) place_[i].advance(BK, *p_);
    }
  }
};

template <typename T>
struct ConvOut {
  device T* y;
  constant ConvParams* p;
  int first, rows, cols;

  void put(int row, int col, float a, float b) const thread {
    if (row >= rows || col >= cols) return;
    Position at;
    at.start(first + row, *p);
    device T* to = y + at.example * p->y_batch + at.out[0] * p->y_stride[0] + at.out[1] * p->y_stride[1] + at.out[2] * p->y_stride[2] + col;
    to[0] = T(a);
    if (col + 1 < cols) to[1] = T(b);
  }
};

template <typename T, int BM, int BN, int BK, int WM, int WN>
[[kernel]] void conv(
    device const T* x [[buffer(0)]],
    device const T* w [[buffer(1)]],
    device T* y [[buffer(2)]],
    constant ConvParams& p [[buffer(3)]],
    threadgroup T* shared [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int row0 = place.row * BM, col0 = place.col * BN, g = int(group.z);
  int rows = min(BM, p.rows - row0), cols = min(BN, p.cout - col0);
  PatchRows<T, BM, BK, WM * WN * 32> patches;
  WeightRows<T, BN, BK, WM * WN * 32> weight;
  patches.start(x + long(g) * p.cin * p.x_channel, row0, rows, p, index);
  weight.start(w + p.w_first + (long(g) * p.cout + col0) * p.w_out, cols, p, index);
  Product<T, BM, BN, BK, WM, WN> product;
  product.clear();
  multiply_pieces<T, BK>(product, patches, weight, p.depth, shared, simd);
  ConvOut<T> to = {y + p.y_first + long(g) * p.cout + col0, &p, row0, rows, cols};
  product.write(to, simd, lane);
}

template <typename T>
struct ConvWeightOut {
  device T* out;
  device float* part;
  int rows, cols, n;

  void one(int row, int col, float x) const thread {
    if (row >= rows || col >= cols) return;
    long at = long(row) * n + col;
    if (kSplit) {
      part[at] = x;
    } else {
      out[at] = T(x);
    }
  }
  void put(int row, int col, float x, float y) const thread {
    one(row, col, x);
    one(row, col + 1, y);
  }
};

// y: rows are positions, y_batch elements apart.
template <typename T, int BM, int BN, int BK, int WM, int WN>
[[kernel]] void conv_weight(
    device const T* x [[buffer(0)]],
    device const T* y [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant ConvParams& p [[buffer(3)]],
    threadgroup T* shared [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  PiecePlace place = piece_place(uint2(group.x, group.y), p.swizzle);
  if (place.row >= p.tiles_m || place.col >= p.tiles_n) return;
  int g = int(group.z) / p.splits, first = int(group.z) % p.splits * p.each, depth = min(p.each, p.rows - first);
  int row0 = place.row * BM, col0 = place.col * BN, rows = min(BM, p.cout - row0), cols = min(BN, p.depth - col0);
  Dense<T, BM, BK, WM * WN * 32> left;
  left.start(y + long(first) * p.y_batch + long(g) * p.cout + row0, 1, p.y_batch, 0, rows, false, kVectorW, index);
  PatchColumns<T, BN, BK, WM * WN * 32> patches;
  patches.start(x + long(g) * p.cin * p.x_channel, col0, cols, first, p, index);
  Product<T, BM, BN, BK, WM, WN> product;
  product.clear();
  multiply_pieces<T, BK>(product, left, patches, depth, shared, simd);
  long size = long(p.cout) * p.depth, at = long(row0) * p.depth + col0;
  ConvWeightOut<T> to = {out + g * size + at, reinterpret_cast<device float*>(out) + long(group.z) * size + at, rows, cols, p.depth};
  product.write(to, simd, lane);
}

#define CONVS(T, name)                                                    \
  INSTANTIATE("conv_64x64_" name, conv, T, 64, 64, 16, 2, 2)              \
  INSTANTIATE("conv_32x32_" name, conv, T, 32, 32, 16, 2, 2)              \
  INSTANTIATE("conv_weight_64x64_" name, conv_weight, T, 64, 64, 16, 2, 2) \
  INSTANTIATE("conv_weight_32x32_" name, conv_weight, T, 32, 32, 16, 2, 2)
FOR_REALS(CONVS)

// x: output channels of all groups; y: positions.
template <typename T>
[[kernel]] void conv_direct(
    device const T* x [[buffer(0)]],
    device const T* w [[buffer(1)]],
    device T* y [[buffer(2)]],
    constant ConvParams& p [[buffer(3)]],
    uint3 t [[thread_position_in_grid]]) {
  int channel = int(t.x), g = channel / p.cout;
  Position at;
  at.start(int(t.y), p);
  device const T* from = x + long(g) * p.cin * p.x_channel;
  device const T* factor = w + p.w_first + channel * p.w_out;
  Compute<T> sum = convert<Compute<T>>(0);
  TapPlace place;
  place.channel = 0;
  for (place.tap[0] = 0; place.tap[0] < p.taps[0]; ++place.tap[0]) {
    for (place.tap[1] = 0; place.tap[1] < p.taps[1]; ++place.tap[1]) {
      for (place.tap[2] = 0; place.tap[2] < p.taps[2]; ++place.tap[2]) {
        long offset = meeting(at, place, p), of_w = weight_offset(place, p);
        if (offset == kOutside) continue;
        for (int c = 0; c < p.cin; ++c) sum = sum + widen(from[offset + c * p.x_channel]) * widen(factor[of_w + c * p.w_in]);
      }
    }
  }
  y[p.y_first + at.example * p.y_batch + at.out[0] * p.y_stride[0] + at.out[1] * p.y_stride[1] + at.out[2] * p.y_stride[2] + channel] = T(sum);
}

// x: output channels of all groups; y: places along the patch; z: parts of the positions.
template <typename T>
[[kernel]] void conv_weight_direct(
    device const T* x [[buffer(0)]],
    device const T* y [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant ConvParams& p [[buffer(3)]],
    uint3 t [[thread_position_in_grid]]) {
  int channel = int(t.x), g = channel / p.cout, first = int(t.z) * p.each, end = min(p.rows, first + p.each);
  TapPlace place;
  place.start(int(t.y), p);
  Position at;
  at.start(first, p);
  device const T* from = x + (long(g) * p.cin + place.channel) * p.x_channel;
  Compute<T> sum = convert<Compute<T>>(0);
  for (int i = first; i < end; ++i) {
    long offset = meeting(at, place, p);
    if (offset != kOutside) sum = sum + widen(from[offset]) * widen(y[i * p.y_batch + channel]);
    at.advance(1, p);
  }
  long to = (long(t.z) * p.groups * p.cout + channel) * p.depth + t.y;
  if (kSplit) {
    reinterpret_cast<device Compute<T>*>(out)[to] = sum;
  } else {
    out[to] = T(sum);
  }
}

#define DIRECT(T, name)                                             \
  INSTANTIATE("conv_direct_" name, conv_direct, T)                  \
  INSTANTIATE("conv_weight_direct_" name, conv_weight_direct, T)
FOR_REALS(DIRECT)
DIRECT(complex64, "complex64")

// reduce.metal — reduce_<dtype>: sum, prod, max, min, all and any of elements along axes of any strides, for chunks of the axes at a time.
// The elements of a chunk are shared by the threads of a row (neighbours, `columns` false) or by threads 32 apart, whose neighbours work
// on neighbouring results. What they found is combined in a fixed order. plan/reduce.cpp launches this, again for the results of chunks.

#include "lanes.h"
#include "rows.h"
#include "strided.h"

constant int op [[function_constant(0)]];          // Of Reduction below.
constant int result_dtype [[function_constant(1)]];
constant bool columns [[function_constant(2)]];
constant bool one_axis [[function_constant(3)]];   // Along one axis: no divisions.

enum Reduction : int { kSum, kProd, kMax, kMin, kAll, kAny };

struct Work {
  ulong n_results, n_along, chunk, n_chunks, n_tiles;  // Tiles: threadgroups for the results of one chunk.
  uint width;                                          // Threads of a row: a power of two up to 256.
  uint unused;
};

constant constexpr uint kThreads = 256, kColumns = 32;

// The lowest and the highest value.
template <class T>
struct Limits {
  static T lowest() { return metal::numeric_limits<T>::lowest(); }
  static T highest() { return metal::numeric_limits<T>::max(); }
};
template <>
struct Limits<float> {
  static float lowest() { return -INFINITY; }
  static float highest() { return INFINITY; }
};
template <>
struct Limits<complex64> {
  static complex64 lowest() { return mx::scalar::make_complex(-float(INFINITY), -float(INFINITY)); }
  static complex64 highest() { return mx::scalar::make_complex(float(INFINITY), float(INFINITY)); }
};

template <class W>
inline W identity() {
  switch (op) {
    case kProd:
    case kAll: return convert<W>(1);
    case kMax: return Limits<W>::lowest();
    case kMin: return Limits<W>::highest();
    default: return convert<W>(0);
  }
}

struct Combine {
  template <class W>
  static W of(W a, W b) {
    switch (op) {
      case kSum: return mx::scalar::add(a, b);
      case kProd: return mx::scalar::multiply(a, b);
      case kMax:
      case kAny: return mx::scalar::maximum(a, b);
      default: return mx::scalar::minimum(a, b);
    }
  }
};

template <class W, class T>
inline W load(T x) {
  return op >= kAll ? convert<W>(convert<bool>(x)) : convert<W>(x);
}

template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(256)]] void reduce(
    device const T* in [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant Work& w [[buffer(2)]],
    constant long* kept [[buffer(3)]],
    constant long* along [[buffer(4)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  using W = typename WorkOf<T>::type;
  threadgroup W scratch[kThreads];
  ulong g = linear_index(group, groups);
  if (g >= w.n_tiles * w.n_chunks) return;
  ulong chunk = g / w.n_tiles, tile = g - chunk * w.n_tiles;
  uint width = columns ? kThreads / kColumns : w.width;
  uint lane = columns ? tid / kColumns : tid % width, place = columns ? tid % kColumns : tid / width;
  ulong result = tile * (kThreads / width) + place;
  bool works = result < w.n_results;

  W acc = identity<W>();
  Offsets<2> at = {{0, 0}};
  if (works) {
    at = element_offsets<2>(kept, result);
    device const T* x = in + at.at[0];
    ulong end = metal::min((chunk + 1) * w.chunk, w.n_along);
    if (one_axis) {
      long step = layout_stride(along, 0, 0);
      for (ulong i = chunk * w.chunk + lane; i < end; i += width) acc = Combine::of(acc, load<W>(x[long(i) * step]));
    } else {
      for (ulong i = chunk * w.chunk + lane; i < end; i += width) acc = Combine::of(acc, load<W>(x[element_offsets<1>(along, i).at[0]]));
    }
  }

  if (columns) {
    scratch[tid] = acc;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint k = 1; k < width && lane == 0; ++k) acc = Combine::of(acc, scratch[k * kColumns + tid]);
  } else {
    acc = combine_lanes<Combine>(acc, width < 32 ? width : 32);
    if (width > 32) {
      if (tid % 32 == 0) scratch[tid / 32] = acc;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      for (uint k = 1; k < width / 32 && lane == 0; ++k) acc = Combine::of(acc, scratch[tid / 32 + k]);
    }
  }
  if (works && lane == 0) store_as(result_dtype, out, chunk * w.n_results + ulong(at.at[1]), acc);
}

#define REDUCE_KERNEL(T, NAME) INSTANTIATE("reduce_" NAME, reduce, T)
FOR_ALL_TYPES(REDUCE_KERNEL)

// lanes.h — a value of another lane of the simdgroup, for every element type (Metal shuffles up to 32 bits), and the combination of
// the values of neighbouring lanes, or of a team of threads, in a fixed order.
#pragma once

#include "arithmetic.h"
#include "scalar/binary.h"

// The value that the lane `d` further on has, or the lane with number i.
template <class T>
inline T lane_down(T x, ushort d) { return simd_shuffle_down(x, d); }
template <class T>
inline T lane_at(T x, ushort i) { return simd_shuffle(x, i); }
inline bool lane_down(bool x, ushort d) { return simd_shuffle_down(ushort(x), d) != 0; }
inline bool lane_at(bool x, ushort i) { return simd_shuffle(ushort(x), i) != 0; }
inline ulong lane_down(ulong x, ushort d) {
  uint low = simd_shuffle_down(uint(x), d), high = simd_shuffle_down(uint(x >> 32), d);
  return ulong(high) << 32 | low;
}
inline ulong lane_at(ulong x, ushort i) {
  uint low = simd_shuffle(uint(x), i), high = simd_shuffle(uint(x >> 32), i);
  return ulong(high) << 32 | low;
}
inline long lane_down(long x, ushort d) { return long(lane_down(ulong(x), d)); }
inline long lane_at(long x, ushort i) { return long(lane_at(ulong(x), i)); }
inline complex64 lane_down(complex64 x, ushort d) {
  float re = simd_shuffle_down(x.re, d), im = simd_shuffle_down(x.im, d);
  return mx::scalar::make_complex(re, im);
}
inline complex64 lane_at(complex64 x, ushort i) {
  float re = simd_shuffle(x.re, i), im = simd_shuffle(x.im, i);
  return mx::scalar::make_complex(re, im);
}

/// The values of `width` (a power of two, up to 32) neighbouring lanes combined, in the first of them. All lanes must call it.
template <class Op, class T>
inline T combine_lanes(T x, uint width) {
  for (uint d = width / 2; d > 0; d /= 2) x = Op::of(x, lane_down(x, ushort(d)));
  return x;
}

struct AddOp {
  template <class T>
  static T of(T a, T b) { return a + b; }
};
/// NaN wins.
struct MaxOp {
  static float of(float a, float b) { return a > b || a != a ? a : b; }
};

/// The type in which elements are combined: 32 bits and more, half and bfloat in float.
template <class T>
struct WorkOf {
  using type = Compute<T>;
};
template <>
struct WorkOf<bool> {
  using type = int;
};
template <>
struct WorkOf<char> {
  using type = int;
};
template <>
struct WorkOf<short> {
  using type = int;
};
template <>
struct WorkOf<uchar> {
  using type = uint;
};
template <>
struct WorkOf<ushort> {
  using type = uint;
};

// ---- teams: the threads of a group that work on one row (or whatever has a result of its own)

constant constexpr uint kTeamThreads = 256;   // Of a group with several teams.
constant constexpr uint kTeamColumns = 32;
constant constexpr uint kTeamScratch = 256;   // Values.

/// With `columns` a team's threads are 32 apart, and neighbours work on neighbouring rows: for rows that lie side by side. Else they are
/// `width` neighbours, a power of two: up to 32 in a group of 256 threads, or a whole group of up to 1024.
struct Team {
  uint width, lane, tid;
  ulong row;
  bool columns;
};
inline Team make_team(bool columns, uint width, ulong group, uint tid) {
  Team t;
  t.columns = columns;
  t.width = columns ? kTeamThreads / kTeamColumns : width;
  t.lane = columns ? tid / kTeamColumns : tid % t.width;
  t.tid = tid;
  uint rows = t.width > 32 ? 1 : kTeamThreads / t.width;
  t.row = group * rows + (columns ? tid % kTeamColumns : tid / t.width);
  return t;
}

/// The values of a team combined, for each of its threads. All threads of the group must call it.
template <class Op, class T>
inline T combine_team(T x, Team team, threadgroup T* scratch) {
  if (team.columns) {
    scratch[team.tid] = x;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    x = scratch[team.tid % kTeamColumns];
    for (uint k = 1; k < team.width; ++k) x = Op::of(x, scratch[k * kTeamColumns + team.tid % kTeamColumns]);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return x;
  }
  uint width = team.width < 32 ? team.width : 32;
  x = combine_lanes<Op>(x, width);
  if (team.width <= 32) return lane_at(x, ushort(team.tid % 32 & ~(width - 1)));
  if (team.tid % 32 == 0) scratch[team.tid / 32] = x;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  x = scratch[0];
  for (uint k = 1; k < team.width / 32; ++k) x = Op::of(x, scratch[k]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return x;
}

// ---- reductions of fused programs, which are printed: how two values of any type are combined, and what changes nothing

struct SumOf {
  template <class T>
  static T of(T a, T b) { return mx::scalar::add(a, b); }
};
struct ProductOf {
  template <class T>
  static T of(T a, T b) { return mx::scalar::multiply(a, b); }
};
struct LargestOf {
  template <class T>
  static T of(T a, T b) { return mx::scalar::maximum(a, b); }
};
struct SmallestOf {
  template <class T>
  static T of(T a, T b) { return mx::scalar::minimum(a, b); }
};

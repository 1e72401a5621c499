// scatter.metal — combining updates with the elements at places that index arrays say, in the order of the updates and by one thread
// for each element: so equal indices have a defined result. Many updates are first sorted by place (index_places packs place and
// number into one integer, sort.metal sorts them), and the thread at the first of equal places walks through them; few are
// walked through by every element. Half types are combined in float and rounded once. The planner is in plan/scatter.cpp.

#include "arithmetic.h"
#include "indices.h"
#include "strided.h"

constant uint mode [[function_constant(1)]];  // ScatterMode of ops/index_params.h

enum ScatterCode : uint { kSet, kAdd, kMultiply, kMinimum, kMaximum };

template <typename W>
inline W combined(W old, W x) {
  switch (mode) {
    case kAdd: return sum_of(old, x);
    case kMultiply: return product_of(old, x);
    case kMinimum: return better_than(x, old, false) ? x : old;
    case kMaximum: return better_than(x, old, true) ? x : old;
    default: return x;
  }
}

// Updates are (outer, index, inner), z, y and x; y goes through the sorted items. Operands of `outer` and `inner`: out, updates.
// `places`: the indexed axes of out; `index`: where update number i is.
struct SortedUpdate {
  uint place, number;
  bool first, last;  // Of those at its place.
};
inline SortedUpdate sorted_update(device const ulong* items, uint i, uint n) {
  ulong item = items[i];
  SortedUpdate u;
  u.place = uint(item >> 32);
  u.number = uint(item);
  u.first = i == 0 || uint(items[i - 1] >> 32) != u.place;
  u.last = i + 1 == n || uint(items[i + 1] >> 32) != u.place;
  return u;
}
// The place of an index out of bounds.
constant constexpr uint kNowhere = 0xffffffffu;

// Many updates of one place are not walked through by one thread alone. Sorted items are in blocks; what continues a place at the beginning of
// a block, scatter_carries combines to a carry: (outer, block, inner).
constant bool has_carries [[function_constant(2)]];
constant constexpr uint kBlock = 64;

template <typename T>
[[kernel]] void scatter_carries(
    device const ulong* items [[buffer(0)]],
    device const T* updates [[buffer(1)]],
    device Compute<T>* carries [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant uint& n [[buffer(5)]],
    constant long* index [[buffer(6)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  uint j = at.y * kBlock, end = n - j < kBlock ? n : j + kBlock, place = uint(items[j] >> 32);
  if (j == 0 || uint(items[j - 1] >> 32) != place || place == kNowhere) return;
  device const T* from = updates + (element_offsets<2>(outer, at.z).at[1] + element_offsets<2>(inner, at.x).at[1]);
  Compute<T> x = Compute<T>(from[element_offsets<1>(index, uint(items[j])).at[0]]);
  for (++j; j < end; ++j) {
    ulong item = items[j];
    if (uint(item >> 32) != place) break;
    x = combined(x, Compute<T>(from[element_offsets<1>(index, uint(item)).at[0]]));
  }
  carries[(ulong(at.z) * grid.y + at.y) * grid.x + at.x] = x;
}

template <typename T>
[[kernel]] void scatter_sorted(
    device const ulong* items [[buffer(0)]],
    device const T* updates [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant long* places [[buffer(5)]],
    constant long* index [[buffer(6)]],
    device const Compute<T>* carries [[buffer(7), function_constant(has_carries)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  SortedUpdate u = sorted_update(items, at.y, grid.y);
  if (!u.first || u.place == kNowhere) return;
  Offsets<2> o = element_offsets<2>(outer, at.z), i = element_offsets<2>(inner, at.x);
  device const T* from = updates + (o.at[1] + i.at[1]);
  device T* to = out + (o.at[0] + i.at[0] + element_offsets<1>(places, u.place).at[0]);
  Compute<T> x = Compute<T>(*to);
  uint n_blocks = (grid.y - 1) / kBlock + 1;
  for (uint j = at.y; j < grid.y;) {
    ulong item = items[j];
    if (uint(item >> 32) != u.place) break;
    if (has_carries && j % kBlock == 0 && j != at.y) {
      x = combined(x, carries[(ulong(at.z) * n_blocks + j / kBlock) * grid.x + at.x]);
      if (grid.y - j <= kBlock) break;
      j += kBlock;
    } else {
      x = combined(x, Compute<T>(from[element_offsets<1>(index, uint(item)).at[0]]));
      ++j;
    }
  }
  *to = T(x);
}

// Assignment: the last of equal places wins. T stands for an element's bits.
template <typename T>
[[kernel]] void scatter_sorted_set(
    device const ulong* items [[buffer(0)]],
    device const T* updates [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant long* places [[buffer(5)]],
    constant long* index [[buffer(6)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  SortedUpdate u = sorted_update(items, at.y, grid.y);
  if (!u.last || u.place == kNowhere) return;
  Offsets<2> o = element_offsets<2>(outer, at.z), i = element_offsets<2>(inner, at.x);
  out[o.at[0] + i.at[0] + element_offsets<1>(places, u.place).at[0]] =
      updates[o.at[1] + i.at[1] + element_offsets<1>(index, u.number).at[0]];
}

// Few updates: the thread of (outer, inner) goes through all n of them. `places` are offsets in out.
template <typename T>
[[kernel]] void scatter_few(
    device const long* places [[buffer(0)]],
    device const T* updates [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant uint& n [[buffer(5)]],
    constant long* index [[buffer(6)]],
    uint3 at [[thread_position_in_grid]]) {
  Offsets<2> o = element_offsets<2>(outer, at.y), i = element_offsets<2>(inner, at.x);
  for (uint k = 0; k < n; ++k) {
    if (places[k] == kBadPlace) continue;
    device T* to = out + (o.at[0] + i.at[0] + places[k]);
    *to = T(combined(Compute<T>(*to), Compute<T>(updates[o.at[1] + i.at[1] + element_offsets<1>(index, k).at[0]])));
  }
}

// scatter_axis. (outer, axis, inner) of the indices are z, y and x; operand 0 of the layouts is the array of indices. The items say
// which element of out, in row order, each update meets.
[[kernel]] void scatter_axis_items(
    device const uchar* index [[buffer(0)]],
    device ulong* items [[buffer(1)]],
    constant long* outer [[buffer(2)]],
    constant long* inner [[buffer(3)]],
    constant IndexParams& q [[buffer(4)]],
    constant long& index_step [[buffer(5)]],
    device Status* status [[buffer(6)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  long p = read_position(index, element_offsets<1>(outer, at.z).at[0] + element_offsets<1>(inner, at.x).at[0] + long(at.y) * index_step, q.size, q.axis, status);
  ulong place = p < 0 ? ulong(kNowhere) : (ulong(at.z) * ulong(q.size) + ulong(p)) * grid.x + at.x;
  ulong number = (ulong(at.z) * grid.y + at.y) * grid.x + at.x;
  items[number] = place << 32 | number;
}

// Few updates along the axis: the thread of (outer, inner) goes through all of them. Operands: out, updates, indices.
struct AxisSteps {
  long out, updates, indices;
  long n;  // Updates along the axis.
};
template <typename T>
[[kernel]] void scatter_axis_few(
    device const uchar* index [[buffer(0)]],
    device const T* updates [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant IndexParams& q [[buffer(5)]],
    constant AxisSteps& steps [[buffer(6)]],
    device Status* status [[buffer(7)]],
    uint3 at [[thread_position_in_grid]]) {
  Offsets<3> o = element_offsets<3>(outer, at.y), i = element_offsets<3>(inner, at.x);
  for (long k = 0; k < steps.n; ++k) {
    long p = read_position(index, o.at[2] + i.at[2] + k * steps.indices, q.size, q.axis, status);
    if (p < 0) continue;
    device T* to = out + (o.at[0] + i.at[0] + p * steps.out);
    *to = T(combined(Compute<T>(*to), Compute<T>(updates[o.at[1] + i.at[1] + k * steps.updates])));
  }
}

#define SCATTERS(T, name)                                    \
  INSTANTIATE("scatter_sorted_" name, scatter_sorted, T)     \
  INSTANTIATE("scatter_carries_" name, scatter_carries, T)   \
  INSTANTIATE("scatter_few_" name, scatter_few, T)           \
  INSTANTIATE("scatter_axis_few_" name, scatter_axis_few, T)
FOR_ALL_TYPES(SCATTERS)

#define SETS(T, name) INSTANTIATE("scatter_sorted_set_" name, scatter_sorted_set, T)
SETS(uchar, "uint8")
SETS(ushort, "uint16")
SETS(uint, "uint32")
SETS(ulong, "uint64")

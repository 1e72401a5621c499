// gather.metal — elements and rows at places that index arrays say. T stands for an element's bits. The planner is in plan/gather.cpp.

#include "indices.h"
#include "strided.h"

constant bool first_index [[function_constant(1)]];  // index_places: nothing to add to
constant bool packed [[function_constant(2)]];       // index_places: makes items to sort by place (scatter.metal)
constant bool placed [[function_constant(3)]];       // gather: what index_places made is read, not an index array

// The places of several index arrays are summed, one launch an array. With `packed` the last one leaves place << 32 | number of the
// element, where bad places come last.
[[kernel]] void index_places(
    device const uchar* index [[buffer(0)]],
    device long* places [[buffer(1)]],
    constant long* layout [[buffer(2)]],
    constant IndexParams& q [[buffer(3)]],
    device Status* status [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong i = linear_index(at, grid);
  if (i >= ulong(q.n)) return;
  long place = read_place(index, element_offsets<1>(layout, i).at[0], q, status);
  if (!first_index) {
    long before = places[i];
    place = place == kBadPlace || before == kBadPlace ? kBadPlace : before + place;
  }
  if (packed) place = long((place == kBadPlace ? 0xffffffff00000000ul : ulong(place) << 32) | i);
  places[i] = place;
}

// The result is (outer, index, inner): z, y and x. Operand 0 of the layouts `outer` and `inner` is a.
template <typename T>
[[kernel]] void gather(
    device const T* a [[buffer(0)]],
    device const uchar* index [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant long* index_layout [[buffer(5)]],
    constant IndexParams& q [[buffer(6)]],
    device Status* status [[buffer(7)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  long place = placed ? ((device const long*)index)[at.y] : read_place(index, element_offsets<1>(index_layout, at.y).at[0], q, status);
  T x = T(0);
  if (place != kBadPlace) x = a[place + element_offsets<1>(outer, at.z).at[0] + element_offsets<1>(inner, at.x).at[0]];
  out[(ulong(at.z) * grid.y + at.y) * grid.x + at.x] = x;
}

// The same with an index for every element: (outer, axis, inner). Operands of the layouts: a, index.
template <typename T>
[[kernel]] void gather_axis(
    device const T* a [[buffer(0)]],
    device const uchar* index [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* outer [[buffer(3)]],
    constant long* inner [[buffer(4)]],
    constant IndexParams& q [[buffer(5)]],
    constant long& index_step [[buffer(6)]],
    device Status* status [[buffer(7)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  Offsets<2> o = element_offsets<2>(outer, at.z), i = element_offsets<2>(inner, at.x);
  long place = read_place(index, o.at[1] + i.at[1] + long(at.y) * index_step, q, status);
  T x = T(0);
  if (place != kBadPlace) x = a[place + o.at[0] + i.at[0]];
  out[(ulong(at.z) * grid.y + at.y) * grid.x + at.x] = x;
}

#define GATHERS(T, name)                \
  INSTANTIATE("gather_" name, gather, T) \
  INSTANTIATE("gather_axis_" name, gather_axis, T)
GATHERS(uchar, "uint8")
GATHERS(ushort, "uint16")
GATHERS(uint, "uint32")
GATHERS(ulong, "uint64")

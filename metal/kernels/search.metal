// search.metal — searchsorted: how many elements of a sorted row come before each value. A thread a value. The planner is in plan/search.cpp.

#include "keys.h"
#include "strided.h"

constant bool from_right [[function_constant(2)]];   // equal elements come before the value, too
constant bool wide_places [[function_constant(3)]];  // int64, else uint32

// x: values of a row, y: rows. Operands of the layout: the sequences' rows, the values' rows.
struct SearchParams {
  long n, step, value_step;
};
[[kernel]] void search_sorted(
    device const uchar* sequences [[buffer(0)]],
    device const uchar* values [[buffer(1)]],
    device uchar* out [[buffer(2)]],
    constant SearchParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  Offsets<2> row = element_offsets<2>(layout, at.y);
  ulong value = key_at(values, row.at[1] + long(at.x) * p.value_step);
  long low = 0, high = p.n;
  while (low < high) {
    long middle = (low + high) / 2;
    ulong there = key_at(sequences, row.at[0] + middle * p.step);
    if (from_right ? there <= value : there < value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  ulong i = ulong(at.y) * grid.x + at.x;
  if (wide_places) {
    ((device long*)out)[i] = low;
  } else {
    ((device uint*)out)[i] = uint(low);
  }
}

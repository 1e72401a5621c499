// sort.metal — sorting rows. Items are keys (keys.h), or a key and the element's place: then no two are equal and the order is stable.
// sort_block sorts blocks of a row in threadgroup memory (K. E. Batcher, Sorting networks and their applications, 1968);
// sort_merge joins pairs of sorted runs until the row is one. The last launch writes values or places. The planner is in plan/sort.cpp.

#include "keys.h"
#include "strided.h"

constant bool placed [[function_constant(2)]];  // an item of 64 bits is key << 32 | place
constant uint result [[function_constant(3)]];  // ResultCode: what is written

enum ResultCode : uint { kItems, kValues, kPlaces, kWidePlaces };

// A key of 64 bits and a place.
struct Keyed {
  ulong key;
  uint place;
};

template <class Item>
struct Items;
template <>
struct Items<uint> {
  static uint make(ulong key, uint) { return uint(key); }
  static uint last() { return 0xffffffffu; }
  static bool less(uint a, uint b) { return a < b; }
  static ulong key(uint x) { return x; }
  static uint place(uint) { return 0; }
};
template <>
struct Items<ulong> {
  static ulong make(ulong key, uint place) { return placed ? key << 32 | place : key; }
  static ulong last() { return 0xfffffffffffffffful; }
  static bool less(ulong a, ulong b) { return a < b; }
  static ulong key(ulong x) { return x; }
  static uint place(ulong x) { return uint(x); }
};
template <>
struct Items<Keyed> {
  static Keyed make(ulong key, uint place) {
    Keyed x;
    x.key = key;
    x.place = place;
    return x;
  }
  static Keyed last() { return make(0xfffffffffffffffful, 0xffffffffu); }
  static bool less(Keyed a, Keyed b) { return a.key < b.key || (a.key == b.key && a.place < b.place); }
  static ulong key(Keyed x) { return x.key; }
  static uint place(Keyed x) { return x.place; }
};

struct SortParams {
  long n, rows;
  long in_step, out_step;  // Between the elements of a row.
  long first;              // The first position that is written, at the row's beginning.
  uint block;              // sort_block: a power of two. sort_merge: items that a threadgroup writes.
  long run;                // sort_merge: the length of sorted runs, a multiple of `block`.
};

// `out` begins at the row's first element; items go to rows of n.
template <class Item>
inline void put_item(device uchar* out, long row, long row_offset, long position, Item x, constant SortParams& p) {
  if (result == kItems) {
    ((device Item*)out)[row * p.n + position] = x;
    return;
  }
  if (position < p.first) return;
  long at = row_offset + (position - p.first) * p.out_step;
  if (result == kValues) {
    put_key(out, at, Items<Item>::key(x));
  } else if (result == kPlaces) {
    ((device uint*)out)[at] = Items<Item>::place(x);
  } else {
    ((device long*)out)[at] = long(Items<Item>::place(x));
  }
}

// A threadgroup sorts a block of each of its rows: x goes through blocks, half as many threads as elements; y through rows.
template <class Item>
[[kernel]] void sort_block(
    device const uchar* in [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant SortParams& p [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    threadgroup Item* memory [[threadgroup(0)]],
    uint3 at [[thread_position_in_grid]],
    uint3 local [[thread_position_in_threadgroup]],
    uint3 group [[threadgroup_position_in_grid]]) {
  threadgroup Item* items = memory + local.y * p.block;
  uint t = local.x, half_block = p.block / 2;
  long begin = long(group.x) * p.block;
  Offsets<2> row = element_offsets<2>(layout, at.y);
  for (uint e = t; e < p.block; e += half_block) {
    long i = begin + e;
    items[e] = i < p.n ? Items<Item>::make(key_at(in, row.at[0] + i * p.in_step), uint(i)) : Items<Item>::last();
  }
  for (uint k = 2; k <= p.block; k *= 2) {
    for (uint j = k / 2; j > 0; j /= 2) {
      threadgroup_barrier(mem_flags::mem_threadgroup);
      uint low = 2 * t - (t & (j - 1)), high = low + j;
      Item a = items[low], b = items[high];
      if (Items<Item>::less(b, a) == ((low & k) == 0)) {
        items[low] = b;
        items[high] = a;
      }
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint e = t; e < p.block; e += half_block) {
    if (begin + e < p.n) put_item(out, at.y, row.at[1], begin + e, items[e], p);
  }
}

// How many of the first `diagonal` items of two merged runs come from a; of equal ones those of a are first.
template <class Item>
inline long split(device const Item* a, long n_a, device const Item* b, long n_b, long diagonal) {
  long low = max(0l, diagonal - n_b), high = min(diagonal, n_a);
  while (low < high) {
    long middle = (low + high) / 2;
    if (Items<Item>::less(b[diagonal - 1 - middle], a[middle])) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// A threadgroup makes `block` items of the result. x: these tiles; y: rows. The layout's operands are nothing and the result.
template <class Item>
[[kernel]] void sort_merge(
    device const Item* in [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant SortParams& p [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    threadgroup Item* items [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint t [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  long row_offset = element_offsets<2>(layout, group.y).at[1];
  long begin = long(group.x) * p.block, base = begin / (2 * p.run) * (2 * p.run);
  device const Item* row = in + long(group.y) * p.n;
  device const Item *a = row + base, *b = row + min(p.n, base + p.run);
  long n_a = min(p.run, p.n - base), n_b = max(0l, min(p.run, p.n - base - p.run));
  long from = begin - base, to = min(from + p.block, n_a + n_b);
  long a0 = split(a, n_a, b, n_b, from), a1 = split(a, n_a, b, n_b, to);
  uint m_a = uint(a1 - a0), m = uint(to - from);
  for (uint e = t; e < m; e += size.x) items[e] = e < m_a ? a[a0 + e] : b[from - a0 + (e - m_a)];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint e = t; e < m; e += size.x) {
    // An item comes behind those of its own run before it, and those of the other run that are less (or equal, for b).
    Item x = items[e];
    bool of_a = e < m_a;
    uint low = of_a ? m_a : 0, high = of_a ? m : m_a, start = low;
    while (low < high) {
      uint middle = (low + high) / 2;
      bool before = of_a ? Items<Item>::less(items[middle], x) : !Items<Item>::less(x, items[middle]);
      if (before) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    uint rank = (of_a ? e : e - m_a) + (low - start);
    put_item(out, group.y, row_offset, begin + rank, x, p);
  }
}

#define SORTS(Item, name)                             \
  INSTANTIATE("sort_block_" name, sort_block, Item)   \
  INSTANTIATE("sort_merge_" name, sort_merge, Item)
SORTS(uint, "uint32")
SORTS(ulong, "uint64")
SORTS(Keyed, "keyed")

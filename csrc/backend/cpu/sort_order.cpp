// sort_order.cpp — sorting keys on several threads, and sorting places by keys. A long row is cut into blocks, each
// block divided by the same pivots, and what lies between two pivots gathered from all blocks and sorted by one thread.
// Places are sorted along with their keys, in one integer: no two are equal, so any sort of them is stable.

#include <vector>

#include "backend/cpu/pool.h"
#include "backend/cpu/sort_rows.h"

namespace mx::cpu {

namespace {

constexpr int64_t kBlock = 16384, kParallelFrom = 4 * kBlock;

// 2^levels - 1 pivots in order, from a sorted sample.
template <class K>
std::vector<K> choose_pivots(const SortLoops<K>& loops, const K* xs, int64_t n, int levels) {
  int64_t parts = int64_t(1) << levels, sampled = 128 * parts;
  std::vector<K> sample(static_cast<size_t>(sampled)), spare(static_cast<size_t>(sampled)), pivots;
  for (int64_t i = 0; i < sampled; ++i) sample[size_t(i)] = xs[n / sampled * i + n / sampled / 2];
  loops.sort(sample.data(), spare.data(), sampled);
  for (int64_t i = 1; i < parts; ++i) pivots.push_back(sample[size_t(128 * i)]);
  return pivots;
}

// Divides a block into 2^levels parts, from one buffer into the other and back; ends[i] is where part i ends.
template <class K>
void divide(const SortLoops<K>& loops, K* xs, K* spare, int64_t n, const K* pivots, int levels, int64_t at, int64_t* ends) {
  int64_t half = int64_t(1) << (levels - 1), below = loops.split(xs, n, pivots[half - 1], spare);
  if (levels == 1) {
    ends[0] = at + below;
    ends[1] = at + n;
    return;
  }
  divide(loops, spare, xs, below, pivots, levels - 1, at, ends);
  divide(loops, spare + below, xs + below, n - below, pivots + half, levels - 1, at + below, ends + half);
}

// Key and place as one integer that is ordered like the pair.
int64_t packed(uint32_t key, int64_t place) { return static_cast<int64_t>(uint64_t(key ^ 0x80000000u) << 32 | uint64_t(place)); }

MX_CLONES void pack_row(const int32_t* keys, int64_t begin, int64_t end, int64_t* to) {
  for (int64_t i = begin; i < end; ++i) to[i] = static_cast<int64_t>(uint64_t(uint32_t(keys[i])) << 32 | uint64_t(i));
}
// 32 bits of wide keys that differ in the bits below shift + 32 only.
MX_CLONES void pack_window(const int64_t* keys, int64_t begin, int64_t end, int shift, int64_t* to) {
  for (int64_t i = begin; i < end; ++i) {
    uint64_t key = uint64_t(keys[i]) ^ uint64_t(1) << 63;
    to[i] = static_cast<int64_t>(((key >> shift << 32) ^ uint64_t(1) << 63) | uint64_t(i));
  }
}
MX_CLONES void unpack_places(const int64_t* from, int64_t begin, int64_t end, uint32_t* to) {
  for (int64_t i = begin; i < end; ++i) to[i] = static_cast<uint32_t>(from[i]);
}
MX_CLONES uint64_t differing_bits(const int64_t* keys, int64_t n) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < n; ++i) bits |= uint64_t(keys[i] ^ keys[0]);
  return bits;
}

constexpr int64_t kGrain = 32768;

void unpack(const int64_t* xs, int64_t n, uint32_t* places) {
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { unpack_places(xs, begin, end, places); });
}

// xs is sorted by bits that do not tell all keys apart: puts runs of equal ones in order by the `left` bits below those.
void order_ties(const int64_t* keys, int64_t* xs, int64_t* spare, int64_t n, int left) {
  const SortLoops<int64_t>& loops = sort_loops<int64_t>();
  auto key = [&](int64_t x) { return uint64_t(keys[uint32_t(x)]); };
  for (int64_t i = 0; i < n;) {
    int64_t j = i + 1;
    while (j < n && xs[j] >> 32 == xs[i] >> 32) ++j;
    if (j - i > 16) {
      int shift = std::max(0, left - 32);
      uint64_t mask = (uint64_t(1) << (left - shift)) - 1;
      for (int64_t k = i; k < j; ++k) xs[k] = packed(static_cast<uint32_t>(key(xs[k]) >> shift & mask), uint32_t(xs[k]));
      loops.sort(xs + i, spare, j - i);
      if (shift) order_ties(keys, xs + i, spare, j - i, shift);
    } else {
      // Their higher bits are equal, so the sign does not matter. Places ascend: insertion keeps equal keys in order.
      for (int64_t k = i + 1; k < j; ++k) {
        int64_t x = xs[k], at = k;
        for (; at > i && key(xs[at - 1]) > key(x); --at) xs[at] = xs[at - 1];
        xs[at] = x;
      }
    }
    i = j;
  }
}

}  // namespace

template <class K>
void sort_keys(K* xs, K* spare, int64_t n) {
  const SortLoops<K>& loops = sort_loops<K>();
  if (n < kParallelFrom || n_threads() == 1) return loops.sort(xs, spare, n);
  // An odd number, so that parts lie in `spare` at the end.
  const int levels = n_threads() <= 4 || n < 32 * kBlock ? 3 : 5;
  const int64_t parts = int64_t(1) << levels, n_blocks = (n - 1) / kBlock + 1;
  std::vector<K> pivots = choose_pivots(loops, xs, n, levels);
  std::vector<int64_t> ends(static_cast<size_t>(n_blocks * parts)), to(ends.size()), first(static_cast<size_t>(parts + 1));
  parallel_for(n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      divide(loops, xs + b * kBlock, spare + b * kBlock, std::min(kBlock, n - b * kBlock), pivots.data(), levels, 0, &ends[size_t(b * parts)]);
    }
  });
  int64_t at = 0;
  for (int64_t p = 0; p < parts; ++p) {
    first[size_t(p)] = at;
    for (int64_t b = 0; b < n_blocks; ++b) {
      size_t i = static_cast<size_t>(b * parts + p);
      to[i] = at;
      at += ends[i] - (p ? ends[i - 1] : 0);
    }
  }
  first[size_t(parts)] = at;
  parallel_for(n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      for (int64_t p = 0; p < parts; ++p) {
        size_t i = static_cast<size_t>(b * parts + p);
        int64_t from = p ? ends[i - 1] : 0;
        std::copy(spare + b * kBlock + from, spare + b * kBlock + ends[i], xs + to[i]);
      }
    }
  });
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      int64_t i = first[size_t(p)];
      loops.sort(xs + i, spare + i, first[size_t(p + 1)] - i);
    }
  });
}
template void sort_keys(int32_t*, int32_t*, int64_t);
template void sort_keys(int64_t*, int64_t*, int64_t);

void order_keys(const int32_t* keys, int64_t n, uint32_t* places) {
  Scratch memory(2 * sizeof(int64_t) * static_cast<size_t>(n));
  auto *xs = memory.as<int64_t>(), *spare = xs + n;
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { pack_row(keys, begin, end, xs); });
  sort_keys(xs, spare, n);
  unpack(xs, n, places);
}

void order_keys(const int64_t* keys, int64_t n, uint32_t* places) {
  if (n == 0) return;
  Scratch memory(2 * sizeof(int64_t) * static_cast<size_t>(n));
  auto *xs = memory.as<int64_t>(), *spare = xs + n;
  uint64_t bits = differing_bits(keys, n);
  int shift = bits >> 32 ? 32 - __builtin_clzll(bits) : 0;
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { pack_window(keys, begin, end, shift, xs); });
  sort_keys(xs, spare, n);
  if (shift) order_ties(keys, xs, spare, n, shift);
  unpack(xs, n, places);
}

}  // namespace mx::cpu

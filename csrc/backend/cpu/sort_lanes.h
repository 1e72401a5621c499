// sort_lanes.h — the inner loops of sorting, for signed integers of 4 and 8 bytes (what other dtypes are encoded as:
// sort_keys.h), once for each instruction set. What they leave behind is the same everywhere.
#pragma once

#include <cstdint>

namespace mx::cpu {

template <class K>
struct SortLoops {
  /// Sorts xs; `spare` holds as many.
  void (*sort)(K* xs, K* spare, int64_t n);
  /// Copies the elements <= pivot to the front of `to`, the others behind them; returns how many those in front are.
  /// The order within the two parts is not that of `from`.
  int64_t (*split)(const K* from, int64_t n, K pivot, K* to);
  /// Copies the elements in [low, high] to `to`, in their order; returns how many. They must fit up to `end`, and what
  /// lies between them and `end` may be overwritten.
  int64_t (*values_in)(const K* from, int64_t n, K low, K high, K* to, K* end);
  /// The same with their places.
  int64_t (*places_in)(const K* from, int64_t n, K low, K high, uint32_t* to, uint32_t* end);
};

/// The loops for this processor.
template <class K>
const SortLoops<K>& sort_loops();

/// What the loops fall back to where pivots keep failing.
void sort_by_comparing(int32_t* xs, int64_t n);
void sort_by_comparing(int64_t* xs, int64_t n);

struct SortTable {
  SortLoops<int32_t> narrow;
  SortLoops<int64_t> wide;
};
extern const SortTable sort_baseline;
#if defined(__x86_64__)
extern const SortTable sort_avx2, sort_avx512;
#endif

}  // namespace mx::cpu

// sort_baseline.cpp — the loops of sorting without vectors, and which of the three sets of loops runs here.
// Long rows go through a radix sort, whose passes over small digits need no comparison.

#include <algorithm>
#include <limits>
#include <utility>

#include "backend/cpu/instructions.h"
#include "backend/cpu/sort_lanes.h"

namespace mx::cpu {

void sort_by_comparing(int32_t* xs, int64_t n) { std::sort(xs, xs + n); }
void sort_by_comparing(int64_t* xs, int64_t n) { std::sort(xs, xs + n); }

namespace {

// Digit by digit from the lowest; digits that all keys share cost no pass.
template <class K>
void sort_row(K* xs, K* spare, int64_t n) {
  if (n < 256) return sort_by_comparing(xs, n);
  using U = std::make_unsigned_t<K>;
  constexpr int digits = sizeof(K), values = 256;
  constexpr U sign = U(1) << (8 * sizeof(K) - 1);
  auto digit = [](K x, int d) { return static_cast<size_t>((static_cast<U>(x) ^ sign) >> (8 * d) & 255); };
  int64_t counts[digits][values] = {};
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < digits; ++d) ++counts[d][digit(xs[i], d)];
  }
  K *from = xs, *to = spare;
  for (int d = 0; d < digits; ++d) {
    int64_t* c = counts[d];
    if (c[digit(xs[0], d)] == n) continue;
    int64_t before = 0;
    for (int v = 0; v < values; ++v) before += std::exchange(c[v], before);
    for (int64_t i = 0; i < n; ++i) to[c[digit(from[i], d)]++] = from[i];
    std::swap(from, to);
  }
  if (from != xs) std::copy(from, from + n, xs);
}

template <class K>
int64_t split(const K* from, int64_t n, K pivot, K* to) {
  K *left = to, *right = to + n;
  for (int64_t i = 0; i < n; ++i) {
    K x = from[i];
    bool above = x > pivot;
    *left = x;
    right[-1] = x;
    left += !above;
    right -= above;
  }
  return left - to;
}

template <class K>
int64_t values_in(const K* from, int64_t n, K low, K high, K* to, K* end) {
  K* out = to;
  for (int64_t i = 0; i < n && out < end; ++i) {
    *out = from[i];
    out += (from[i] >= low) & (from[i] <= high);
  }
  return out - to;
}

template <class K>
int64_t places_in(const K* from, int64_t n, K low, K high, uint32_t* to, uint32_t* end) {
  uint32_t* out = to;
  for (int64_t i = 0; i < n && out < end; ++i) {
    *out = static_cast<uint32_t>(i);
    out += (from[i] >= low) & (from[i] <= high);
  }
  return out - to;
}

template <class K>
constexpr SortLoops<K> kLoops{sort_row<K>, split<K>, values_in<K>, places_in<K>};

const SortTable& table() {
#if defined(__x86_64__)
  return best_of(sort_avx512, sort_avx2, sort_baseline);
#else
  return sort_baseline;
#endif
}

}  // namespace

const SortTable sort_baseline{kLoops<int32_t>, kLoops<int64_t>};

template <>
const SortLoops<int32_t>& sort_loops() {
  return table().narrow;
}
template <>
const SortLoops<int64_t>& sort_loops() {
  return table().wide;
}

}  // namespace mx::cpu

// The inner loops of sorting, random numbers, scans and transposes, for every instruction set this processor has.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "backend/cpu/copy_transpose.h"
#include "backend/cpu/instructions.h"
#include "backend/cpu/random_lanes.h"
#include "backend/cpu/scan_blocks.h"
#include "backend/cpu/sort_lanes.h"

using namespace mx;
using namespace mx::cpu;

namespace {

std::mt19937_64 rng(1);

// Keys of few values or many, with the extreme ones, perhaps in order already.
template <class K>
std::vector<K> some_keys(int64_t n) {
  using Limits = std::numeric_limits<K>;
  std::vector<K> x(static_cast<size_t>(n));
  int manner = static_cast<int>(rng() % 4);
  for (K& v : x) {
    v = static_cast<K>(rng());
    if (manner == 1) v = static_cast<K>(rng() % 3);
    if (manner == 2) v = static_cast<K>(rng() % 1000) - 500;
    if (manner == 3 && rng() % 3 == 0) v = rng() % 2 ? Limits::max() : Limits::min();
  }
  if (rng() % 5 == 0) std::sort(x.begin(), x.end());
  return x;
}

template <class K>
bool loops_agree(const SortLoops<K>& loops, int64_t n) {
  std::vector<K> x = some_keys<K>(n), sorted(x), expected(x), spare(x.size());
  std::sort(expected.begin(), expected.end());
  loops.sort(sorted.data(), spare.data(), n);
  if (sorted != expected) return false;
  if (n == 0) return true;
  K low = x[rng() % x.size()], high = x[rng() % x.size()];
  if (high < low) std::swap(low, high);
  std::vector<K> divided(x.size());
  int64_t below = loops.split(x.data(), n, low, divided.data());
  bool right = below == std::upper_bound(expected.begin(), expected.end(), low) - expected.begin();
  for (int64_t i = 0; i < n; ++i) right &= (divided[size_t(i)] <= low) == (i < below);
  std::sort(divided.begin(), divided.end());
  right &= divided == expected;
  std::vector<K> inside;
  std::vector<uint32_t> where;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] < low || x[i] > high) continue;
    inside.push_back(x[i]);
    where.push_back(static_cast<uint32_t>(i));
  }
  // Room for no more than there is.
  std::vector<K> values(inside.size());
  std::vector<uint32_t> places(inside.size());
  right &= loops.values_in(x.data(), n, low, high, values.data(), values.data() + values.size()) == int64_t(inside.size());
  right &= loops.places_in(x.data(), n, low, high, places.data(), places.data() + places.size()) == int64_t(inside.size());
  return right && values == inside && places == where;
}

bool table_agrees(const SortTable& table) {
  for (int64_t n = 0; n < 600; ++n) {
    if (!loops_agree(table.narrow, n) || !loops_agree(table.wide, n)) return false;
  }
  for (int64_t n : {3000, 20000, 100001}) {
    for (int k = 0; k < 8; ++k) {
      if (!loops_agree(table.narrow, n) || !loops_agree(table.wide, n)) return false;
    }
  }
  return true;
}

// Whether bits are those of the definition.
bool bits_agree(const RandomLoops& loops) {
  for (int64_t n : {1, 3, 16, 63, 64, 65, 300}) {
    std::vector<uint32_t> x(static_cast<size_t>(n)), y(x.size());
    Threefry key{12345, 678};
    loops.bits(key, 0xfffffff0u, 7, n, x.data(), y.data());
    for (int64_t i = 0; i < n; ++i) {
      Threefry::Words w = key(0xfffffff0u + uint32_t(i), 7 + uint32_t(i));
      if (w.a != x[size_t(i)] || w.b != y[size_t(i)]) return false;
    }
  }
  return true;
}
double worst_difference(RandomLoops::Bits f, RandomLoops::Bits g) {
  constexpr int64_t n = 5000;
  std::vector<float> x(n), y(n), other(n);
  f({1, 2}, 0, n, n, x.data(), other.data());
  g({1, 2}, 0, n, n, y.data(), other.data());
  double worst = 0;
  for (size_t i = 0; i < size_t(n); ++i) worst = std::max(worst, double(std::abs(x[i] - y[i])) / std::max(1.0, double(std::abs(y[i]))));
  return worst;
}

template <class T>
bool transposes(int64_t rows, int64_t cols, bool stream) {
  int64_t src_row = cols + int64_t(rng() % 3), dst_row = stream ? (rows + 63) / 64 * 64 : rows + int64_t(rng() % 3);
  std::vector<T> src(static_cast<size_t>(rows * src_row)), memory(static_cast<size_t>(cols * dst_row + 64), T(7));
  for (T& x : src) x = static_cast<T>(rng());
  T* dst = memory.data();
  while (reinterpret_cast<uintptr_t>(dst) % 64) ++dst;
  transpose_tile(src.data(), src_row, dst, dst_row, rows, cols, stream);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      if (dst[j * dst_row + i] != src[size_t(i * src_row + j)]) return false;
    }
  }
  return true;
}

template <class T>
bool extremes_agree(int64_t n, bool backwards, T odd) {
  std::vector<T> x(static_cast<size_t>(n)), got(x.size());
  for (T& v : x) v = static_cast<T>(static_cast<int>(rng() % 100000) - 50000);
  if (n > 4) x[rng() % x.size()] = odd;
  scan_extremes<T, true>(x.data(), got.data(), n, backwards);
  T best = x[size_t(backwards ? n - 1 : 0)];
  for (int64_t i = 0; i < n; ++i) {
    size_t at = static_cast<size_t>(backwards ? n - 1 - i : i);
    if (best == best && !(x[at] <= best)) best = x[at];
    if (std::bit_cast<std::array<char, sizeof(T)>>(got[at]) != std::bit_cast<std::array<char, sizeof(T)>>(best) && !(got[at] != got[at] && best != best)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("keys are sorted, divided and selected alike by every set of loops") {
  CHECK(table_agrees(sort_baseline));
#if defined(__x86_64__)
  if (has_avx2()) CHECK(table_agrees(sort_avx2));
  if (has_avx512()) CHECK(table_agrees(sort_avx512));
#endif
}

TEST_CASE("random words are those of Threefry, and numbers agree between instruction sets") {
  CHECK(bits_agree(random_baseline));
#if defined(__x86_64__)
  for (auto [there, loops] : {std::pair{has_avx2(), &random_avx2}, std::pair{has_avx512(), &random_avx512}}) {
    if (!there) continue;
    CHECK(bits_agree(*loops));
    CHECK(worst_difference(loops->unit, random_baseline.unit) == 0);
    CHECK(worst_difference(loops->normal, random_baseline.normal) < 1e-6);
    CHECK(worst_difference(loops->gumbel, random_baseline.gumbel) < 1e-6);
  }
#endif
}

TEST_CASE("tiles of any size and distance are transposed") {
  for (int k = 0; k < 200; ++k) {
    int64_t rows = 1 + int64_t(rng() % 300), cols = 1 + int64_t(rng() % 150);
    bool stream = k % 3 == 0;
    CHECK(transposes<uint8_t>(rows, cols, stream));
    CHECK(transposes<uint16_t>(rows, cols, stream));
    CHECK(transposes<uint32_t>(rows, cols, stream));
    CHECK(transposes<uint64_t>(rows, cols, stream));
  }
}

TEST_CASE("running extremes of long rows keep NaN, infinities and the last element") {
  for (int64_t n : {1, 7, 100, 8192, 8193, 50001, 1100000}) {
    for (bool backwards : {false, true}) {
      CHECK(extremes_agree<float>(n, backwards, NAN));
      CHECK(extremes_agree<float>(n, backwards, INFINITY));
      CHECK(extremes_agree<double>(n, backwards, NAN));
      CHECK(extremes_agree<int32_t>(n, backwards, std::numeric_limits<int32_t>::min()));
      CHECK(extremes_agree<uint64_t>(n, backwards, std::numeric_limits<uint64_t>::max()));
    }
  }
}

// scan_blocks.cpp — see scan_blocks.h. Within a vector the running result is made in log2(lanes) steps: lanes are combined
// with lanes 1, 2, 4, ... before them (Hillis and Steele, Data parallel algorithms, 1986).

#include "backend/cpu/scan_blocks.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "backend/cpu/clones.h"
#include "backend/cpu/pool.h"

namespace mx::cpu {

namespace {

constexpr int64_t kBlock = 8192;  // part of the result: changing it changes rounding

// 64 bytes of Ts, whatever the CPU has: the compiler splits them where its registers are smaller.
template <class T>
struct Lanes {
  static constexpr int n = 64 / int(sizeof(T));
  typedef T V __attribute__((vector_size(64)));
};

template <class T>
struct Add {
  static constexpr T start = T(0);
  static constexpr bool forgets_nan = false;
  // y = x op y, for numbers and vectors of them.
  template <class V>
  static MX_INLINE void apply(const V& x, V& y) { y = x + y; }
};
template <class T, bool Max>
struct Best {
  using Limits = std::numeric_limits<T>;
  static constexpr T least = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  static constexpr T most = Limits::has_infinity ? Limits::infinity() : Limits::max();
  static constexpr T start = Max ? least : most;
  // A comparison with NaN chooses y: blocks that hold one are scanned again.
  static constexpr bool forgets_nan = Limits::has_infinity;
  template <class V>
  static MX_INLINE void apply(const V& x, V& y) { y = Max ? (x > y ? x : y) : (x < y ? x : y); }
};

// The same one number after the other, with NaN.
template <class T, class Op>
MX_INLINE void apply_one(T before, T& y) {
  T x = y;
  Op::apply(before, y);
  if constexpr (Op::forgets_nan) y = before != before ? before : x != x ? x : y;
}
template <class T, class Op>
T scan_slowly(const T* in, T* out, int64_t n, bool backwards) {
  T total = Op::start;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = backwards ? n - 1 - i : i;
    T y = in[at];
    apply_one<T, Op>(total, y);
    out[at] = total = y;
  }
  return total;
}

template <class T, class Op, int Shift, int... I>
MX_INLINE void apply_shifted(typename Lanes<T>::V& v, std::integer_sequence<int, I...>) {
  typename Lanes<T>::V start = Op::start - typename Lanes<T>::V{}, x = __builtin_shufflevector(v, start, (I < Shift ? Lanes<T>::n + I : I - Shift)...);
  Op::apply(x, v);
}
template <class T, int... I>
MX_INLINE void reverse_lanes(typename Lanes<T>::V& v, std::integer_sequence<int, I...>) {
  v = __builtin_shufflevector(v, v, (Lanes<T>::n - 1 - I)...);
}

// A block by itself, as vectors of partial results; `in` and `out` point at its lowest address. Returns the last result.
template <class T, class Op>
MX_CLONES T scan_block(const T* in, T* out, int64_t n, bool backwards) {
  using V = typename Lanes<T>::V;
  constexpr int w = Lanes<T>::n;
  constexpr auto lanes = std::make_integer_sequence<int, w>();
  T total = Op::start;
  int64_t whole = n / w * w;
  V sum{};
  for (int64_t i = 0; i < whole; i += w) {
    int64_t at = backwards ? n - i - w : i;
    V v;
    std::memcpy(&v, in + at, sizeof(V));
    if constexpr (Op::forgets_nan) sum += v;
    if (backwards) reverse_lanes<T>(v, lanes);
    apply_shifted<T, Op, 1>(v, lanes);
    apply_shifted<T, Op, 2>(v, lanes);
    apply_shifted<T, Op, 4>(v, lanes);
    if constexpr (w > 8) apply_shifted<T, Op, 8>(v, lanes);
    V before = total - V{};
    Op::apply(before, v);
    total = v[w - 1];
    if (backwards) reverse_lanes<T>(v, lanes);
    std::memcpy(out + at, &v, sizeof(V));
  }
  for (int64_t i = whole; i < n; ++i) {
    int64_t at = backwards ? n - 1 - i : i;
    T y = in[at];
    if constexpr (Op::forgets_nan) sum[0] += y;
    Op::apply(total, y);
    out[at] = total = y;
  }
  if constexpr (Op::forgets_nan) {
    // The sum is NaN if an element is (or if infinities meet).
    T all = 0;
    for (int k = 0; k < w; ++k) all += sum[k];
    if (all != all) return scan_slowly<T, Op>(in, out, n, backwards);
  }
  return total;
}

template <class T, class Op>
MX_CLONES void apply_to_all(T before, T* x, int64_t n) {
  if (before != before) {
    for (int64_t i = 0; i < n; ++i) x[i] = before;
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    T y = x[i];
    Op::apply(before, y);
    x[i] = y;
  }
}

template <class T, class Op>
void scan_row(const T* in, T* out, int64_t n, bool backwards) {
  int64_t n_blocks = (n + kBlock - 1) / kBlock;
  if (n_blocks <= 1) {
    scan_block<T, Op>(in, out, n, backwards);
    return;
  }
  // Block b in the order of the scan.
  auto first = [&](int64_t b) { return backwards ? std::max<int64_t>(0, n - (b + 1) * kBlock) : b * kBlock; };
  auto length = [&](int64_t b) { return std::min(kBlock, n - b * kBlock); };
  std::vector<T> totals(static_cast<size_t>(n_blocks));
  // Many blocks are done a part after another, so that the second pass finds the results of the first in a cache.
  constexpr int64_t kPart = 64;
  T before = Op::start;
  for (int64_t part = 0; part < n_blocks; part += kPart) {
    int64_t end_part = std::min(n_blocks, part + kPart);
    parallel_for(end_part - part, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = part + begin; b < part + end; ++b) {
        totals[size_t(b)] = scan_block<T, Op>(in + first(b), out + first(b), length(b), backwards);
      }
    });
    for (int64_t b = part; b < end_part; ++b) {
      T total = totals[size_t(b)];
      totals[size_t(b)] = before;
      apply_one<T, Op>(before, total);
      before = total;
    }
    parallel_for(end_part - part, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = part + begin; b < part + end; ++b) {
        if (b > 0) apply_to_all<T, Op>(totals[size_t(b)], out + first(b), length(b));
      }
    });
  }
}

}  // namespace

template <class T>
void scan_sums(const void* in, void* out, int64_t n, bool backwards) {
  scan_row<T, Add<T>>(static_cast<const T*>(in), static_cast<T*>(out), n, backwards);
}
template <class T, bool Max>
void scan_extremes(const void* in, void* out, int64_t n, bool backwards) {
  scan_row<T, Best<T, Max>>(static_cast<const T*>(in), static_cast<T*>(out), n, backwards);
}

template void scan_sums<float>(const void*, void*, int64_t, bool);
template void scan_sums<double>(const void*, void*, int64_t, bool);
template void scan_sums<uint32_t>(const void*, void*, int64_t, bool);
template void scan_sums<uint64_t>(const void*, void*, int64_t, bool);
#define MX_EXTREMES(T)                                                       \
  template void scan_extremes<T, false>(const void*, void*, int64_t, bool);  \
  template void scan_extremes<T, true>(const void*, void*, int64_t, bool);
MX_EXTREMES(float)
MX_EXTREMES(double)
MX_EXTREMES(int32_t)
MX_EXTREMES(uint32_t)
MX_EXTREMES(int64_t)
MX_EXTREMES(uint64_t)
#undef MX_EXTREMES

}  // namespace mx::cpu

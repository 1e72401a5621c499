// sort.cpp — the kernels of sort and argsort. Rows along the axis become keys (sort_rows.h), which vector loops sort
// (sort_lanes.h); keys of one or two bytes are counted instead. For another axis than the last the array is transposed
// into scratch memory first. Start at sort_kernel(). Selection is in sort_select.cpp, searching in sort_search.cpp.

#include "backend/cpu/sort.h"

#include <vector>

#include "backend/cpu/pool.h"
#include "backend/cpu/sort_rows.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kLongRow = 65536;  // From here on a row may have several threads to itself.
constexpr int64_t kGrain = 32768;

// Rows that one thread encodes, sorts and decodes together.
int64_t rows_per_piece(int64_t n) { return std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1)); }

// Whether rows should be sorted one after another by all threads, rather than each by one.
bool one_by_one(int64_t n_rows, int64_t n) { return n >= kLongRow && n_rows < 2 * n_threads(); }

// Sorting by counting how often each key occurs, for keys of one or two bytes.
template <class T>
void sort_by_counting(const T* from, int64_t n, T* to) {
  constexpr int64_t values = int64_t(1) << (8 * sizeof(T)), sets = sizeof(T) == 1 ? 4 : 1;
  Scratch memory(sizeof(uint32_t) * values * sets);
  uint32_t* counts = memory.as<uint32_t>();
  // Counts have 32 bits: longer rows are sorted in pieces of the same value first.
  std::vector<int64_t> totals(static_cast<size_t>(values), 0);
  for (int64_t begin = 0; begin < n; begin += int64_t(1) << 31) {
    int64_t end = std::min(n, begin + (int64_t(1) << 31));
    std::fill_n(counts, values * sets, 0u);
    // Several sets, for equal neighbours would wait for each other.
    for (int64_t i = begin; i < end; ++i) ++counts[(i % sets) * values + encode<true>(from[i])];
    for (int64_t v = 0; v < values; ++v) {
      for (int64_t s = 0; s < sets; ++s) totals[size_t(v)] += counts[s * values + v];
    }
  }
  for (int64_t v = 0; v < values; ++v) {
    if (int64_t count = totals[size_t(v)]) {
      T x = decode<T>(static_cast<KeyOf<T>>(v));
      std::fill_n(to, count, x);
      to += count;
    }
  }
}

template <class T>
void sort_rows(const Rows& in, const OutRows& to) {
  using K = SignedKey<T>;
  const T* from = reinterpret_cast<const T*>(in.data);
  T* out = reinterpret_cast<T*>(to.data);
  const int64_t n = in.n;
  const SortLoops<K>& loops = sort_loops<K>();
  if constexpr (sizeof(T) <= 2) {
    if (n >= (sizeof(T) == 1 ? 512 : kLongRow)) {
      parallel_for(in.n_rows, rows_per_piece(n), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) sort_by_counting(from + r * n, n, out + r * n);
      });
      return;
    }
  } else if (one_by_one(in.n_rows, n)) {
    Scratch spare(sizeof(K) * static_cast<size_t>(n));
    for (int64_t r = 0; r < in.n_rows; ++r) {
      // Keys take the place of the result until they are sorted.
      K* xs = reinterpret_cast<K*>(out + r * n);
      parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { encode_row<true>(from + r * n + begin, end - begin, xs + begin); });
      sort_keys(xs, spare.as<K>(), n);
      parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { decode_row<T>(xs + begin, end - begin, out + r * n + begin); });
    }
    return;
  }
  const int64_t piece = rows_per_piece(n);
  parallel_for(in.n_rows, piece, [&](int64_t begin, int64_t end) {
    Scratch memory(2 * sizeof(K) * static_cast<size_t>(n * piece));
    K *xs = memory.as<K>(), *spare = xs + n * piece;
    for (int64_t r = begin; r < end; r += piece) {
      int64_t rows = std::min(piece, end - r);
      encode_row<true>(from + r * n, rows * n, xs);
      for (int64_t k = 0; k < rows; ++k) loops.sort(xs + k * n, spare, n);
      decode_row<T>(xs, rows * n, out + r * n);
    }
  });
}

template <class T>
void order_rows(const Rows& in, const OutRows& to) {
  using K = SignedKey<T>;
  const T* from = reinterpret_cast<const T*>(in.data);
  uint32_t* out = reinterpret_cast<uint32_t*>(to.data);
  const int64_t n = in.n;
  auto order = [&](int64_t r) {
    Scratch memory(sizeof(K) * static_cast<size_t>(n));
    K* keys = memory.as<K>();
    parallel_for(n, kGrain, [&](int64_t begin, int64_t end) { encode_row<false>(from + r * n + begin, end - begin, keys + begin); });
    order_keys(keys, n, out + r * n);
  };
  if (one_by_one(in.n_rows, n)) {
    for (int64_t r = 0; r < in.n_rows; ++r) order(r);
    return;
  }
  parallel_for(in.n_rows, rows_per_piece(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) order(r);
  });
}

// Rows too long for places of 32 bits.
template <class T>
void order_huge_rows(const Rows& in, const OutRows& to) {
  for (int64_t r = 0; r < in.n_rows; ++r) {
    const T* x = reinterpret_cast<const T*>(in.data) + r * in.n;
    int64_t* places = reinterpret_cast<int64_t*>(to.data) + r * in.n;
    for (int64_t i = 0; i < in.n; ++i) places[i] = i;
    std::stable_sort(places, places + in.n, [x](int64_t a, int64_t b) { return encode<false>(x[a]) < encode<false>(x[b]); });
  }
}

}  // namespace

void sort_kernel(const Task& task) {
  const array& x = task.in[0];
  if (x.size() == 0) return;
  int axis = task.params.get<SortParams>().axis;
  Rows in(x, axis);
  OutRows to(task.out[0], axis);
  dispatch(x.dtype(), [&](auto tag) { sort_rows<typename decltype(tag)::type>(in, to); });
  to.finish();
}

void argsort_kernel(const Task& task) {
  const array& x = task.in[0];
  if (x.size() == 0) return;
  int axis = task.params.get<SortParams>().axis;
  Rows in(x, axis);
  OutRows to(task.out[0], axis);
  dispatch(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (task.out[0].dtype() == Dtype::uint32) {
      order_rows<T>(in, to);
    } else {
      order_huge_rows<T>(in, to);
    }
  });
  to.finish();
}

}  // namespace mx::cpu

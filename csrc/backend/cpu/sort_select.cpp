// sort_select.cpp — partition, argpartition and the largest elements. The key that belongs at a position is found from
// samples: two of them enclose it almost surely, and only what lies between is looked at again. Then the elements
// before, at and behind that key are collected in their own order, so values and places always agree.
// Start at partition_rows(). Floyd and Rivest, Expected time bounds for selection (1975).

#include <limits>
#include <vector>

#include "backend/cpu/pool.h"
#include "backend/cpu/sort.h"
#include "backend/cpu/sort_rows.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

template <class K>
MX_CLONES int64_t count_below(const K* xs, int64_t n, K pivot) {
  int64_t count = 0;
  for (int64_t i = 0; i < n;) {
    // A count of the keys' own width, so that as many fit a vector.
    std::make_unsigned_t<K> some = 0;
    for (int64_t end = std::min(n, i + (int64_t(1) << 30)); i < end; ++i) some += xs[i] < pivot;
    count += static_cast<int64_t>(some);
  }
  return count;
}

template <class K>
constexpr K kLeast = std::numeric_limits<K>::min();
template <class K>
constexpr K kGreatest = std::numeric_limits<K>::max();

template <class K>
int64_t count_upto(const K* xs, int64_t n, K pivot) {
  return pivot == kGreatest<K> ? n : count_below(xs, n, K(pivot + 1));
}

// Keys of which some sorted position is known to hold one: those in [low, high], with `below` smaller ones.
template <class K>
struct Range {
  K low, high;
  int64_t below;
};

// Narrows the range of xs to the side of [low, high] on which position kth is.
template <class K>
Range<K> narrowed(const K* xs, int64_t n, int64_t kth, K low, K high) {
  int64_t below = low == kLeast<K> ? 0 : count_below(xs, n, low);
  if (kth < below) return {kLeast<K>, K(low - 1), 0};
  int64_t upto = count_upto(xs, n, high);
  if (kth >= upto) return {K(high + 1), kGreatest<K>, upto};
  return {low, high, below};
}

// The key that sorting would put at position kth.
template <class K>
K select_key(const K* xs, int64_t n, int64_t kth, K* spare) {
  constexpr int64_t samples = 256, margin = 20;
  const SortLoops<K>& loops = sort_loops<K>();
  while (n > 4 * samples) {
    K sample[samples], other[samples];
    for (int64_t i = 0; i < samples; ++i) sample[i] = xs[n / samples * i + n / samples / 2];
    loops.sort(sample, other, samples);
    int64_t at = kth * samples / n;
    Range<K> range = narrowed(xs, n, kth, at >= margin ? sample[at - margin] : kLeast<K>,
                              at + margin < samples ? sample[at + margin] : kGreatest<K>);
    int64_t inside = loops.values_in(xs, n, range.low, range.high, spare, spare + n);
    if (range.low < range.high && inside == n) {
      // Many equal keys, perhaps: one that occurs decides.
      range = narrowed(xs, n, kth, sample[at], sample[at]);
      inside = loops.values_in(xs, n, range.low, range.high, spare, spare + n);
    }
    if (range.low == range.high) return range.low;
    xs = spare;
    n = inside;
    kth -= range.below;
  }
  K few[4 * samples], other[4 * samples];
  std::copy(xs, xs + n, few);
  loops.sort(few, other, n);
  return few[kth];
}

// Keys below the pivot, equal to it and above it, one kind after the other, by `collect(low, high, to)`.
template <class K, class F>
void in_three_parts(K pivot, const F& collect) {
  int64_t done = pivot == kLeast<K> ? 0 : collect(kLeast<K>, K(pivot - 1), 0);
  done += collect(pivot, pivot, done);
  if (pivot != kGreatest<K>) collect(K(pivot + 1), kGreatest<K>, done);
}

// One row: all elements with the kth in place, or (`tail`) only those from it on, in order.
template <class T>
class Selection {
 public:
  using K = SignedKey<T>;
  Selection(int64_t n, int64_t kth, bool tail)
      : n_(n), kth_(kth), tail_(tail), memory_(2 * sizeof(K) * static_cast<size_t>(n)), keys_(memory_.as<K>()), spare_(keys_ + n) {}

  void places(const T* x, uint32_t* to) {
    if (tail_) return places_of_tail(x, to);
    K pivot = find(x);
    in_three_parts(pivot, [&](K low, K high, int64_t at) { return loops_.places_in(keys_, n_, low, high, to + at, to + n_); });
  }
  void values(const T* x, T* to) {
    K pivot = find(x);
    if (tail_) {
      // The elements above, and as many equal to the kth as are left.
      int64_t above = pivot == kGreatest<K> ? 0 : loops_.values_in(keys_, n_, K(pivot + 1), kGreatest<K>, spare_, spare_ + n_);
      for (; above < n_ - kth_; ++above) spare_[above] = pivot;
      loops_.sort(spare_, keys_, n_ - kth_);
      return decode_row<T>(spare_, n_ - kth_, to);
    }
    in_three_parts(pivot, [&](K low, K high, int64_t at) { return loops_.values_in(keys_, n_, low, high, spare_ + at, spare_ + n_); });
    decode_row<T>(spare_, n_, to);
  }

 private:
  K find(const T* x) {
    encode_row<true>(x, n_, keys_);
    return select_key(keys_, n_, kth_, spare_);
  }
  void places_of_tail(const T* x, uint32_t* to) {
    const int64_t k = n_ - kth_;
    K pivot = find(x);
    Scratch memory((2 * sizeof(uint32_t) + sizeof(K)) * static_cast<size_t>(n_));
    uint32_t *from = memory.as<uint32_t>(), *order = from + n_;
    K* keys = reinterpret_cast<K*>(order + n_);
    // In the order of their places: those equal to the kth first, of which the last ones count.
    int64_t equal = loops_.places_in(keys_, n_, pivot, pivot, from, from + n_);
    int64_t above = pivot == kGreatest<K> ? 0 : loops_.places_in(keys_, n_, K(pivot + 1), kGreatest<K>, from + equal, from + n_);
    from += equal + above - k;
    for (int64_t i = 0; i < k; ++i) keys[i] = keys_[from[i]];
    order_keys(keys, k, order);
    for (int64_t i = 0; i < k; ++i) to[i] = from[order[i]];
  }

  int64_t n_, kth_;
  bool tail_;
  Scratch memory_;
  K *keys_, *spare_;
  const SortLoops<K>& loops_ = sort_loops<K>();
};

// Rows too long for places of 32 bits.
template <class T>
void partition_huge_row(const T* x, int64_t n, int64_t kth, bool tail, int64_t* to) {
  std::vector<int64_t> places(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) places[size_t(i)] = i;
  std::stable_sort(places.begin(), places.end(), [x](int64_t a, int64_t b) { return encode<true>(x[a]) < encode<true>(x[b]); });
  std::copy(places.begin() + (tail ? kth : 0), places.end(), to);
}

// Calls f(selection, a row, where its results go) for every row.
template <class T, class Out, class F>
void each_row(const Rows& in, const PartitionParams& p, std::byte* out, const F& f) {
  int64_t n_out = p.tail ? in.n - p.kth : in.n;
  parallel_for(in.n_rows, std::max<int64_t>(1, 8192 / in.n), [&](int64_t begin, int64_t end) {
    Selection<T> selection(in.n, p.kth, p.tail);
    for (int64_t r = begin; r < end; ++r) {
      f(selection, reinterpret_cast<const T*>(in.data) + r * in.n, reinterpret_cast<Out*>(out) + r * n_out);
    }
  });
}

}  // namespace

void argpartition_kernel(const Task& task) {
  const array& x = task.in[0];
  if (task.out[0].size() == 0) return;
  const auto& p = task.params.get<PartitionParams>();
  Rows in(x, p.axis);
  OutRows to(task.out[0], p.axis);
  dispatch(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (task.out[0].dtype() == Dtype::uint32) {
      each_row<T, uint32_t>(in, p, to.data, [](auto& selection, const T* row, uint32_t* out) { selection.places(row, out); });
      return;
    }
    for (int64_t r = 0; r < in.n_rows; ++r) {
      int64_t n_out = p.tail ? in.n - p.kth : in.n;
      partition_huge_row(reinterpret_cast<const T*>(in.data) + r * in.n, in.n, p.kth, p.tail, reinterpret_cast<int64_t*>(to.data) + r * n_out);
    }
  });
  to.finish();
}

void partition_kernel(const Task& task) {
  const array& x = task.in[0];
  if (task.out[0].size() == 0) return;
  const auto& p = task.params.get<PartitionParams>();
  Rows in(x, p.axis);
  OutRows to(task.out[0], p.axis);
  dispatch(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    each_row<T, T>(in, p, to.data, [](auto& selection, const T* row, T* out) { selection.values(row, out); });
  });
  to.finish();
}

}  // namespace mx::cpu

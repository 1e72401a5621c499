// sort.cpp — sort, argsort, argpartition and searchsorted. Rows along the axis become keys (sort_keys.h);
// long rows go through a least-significant-digit radix sort, short ones through std::sort. For another axis than
// the last the array is transposed into scratch memory first. Start at sort_kernel().

#include "backend/cpu/sort.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/sort_keys.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

// Below this many elements comparing is quicker than counting digits; below the second, small digits are quicker
// than large ones, whose counters cost more than the passes they save.
constexpr int64_t kRadixFrom = 256, kLargeDigitsFrom = 16384;

// What is sorted: a key; or a key and the place it came from, which decides between equal keys and so makes any sort
// stable. A key of up to 32 bits and its place share one integer.
template <class K>
struct KeyOnly {
  K bits;
  static KeyOnly make(K key, int64_t) { return {key}; }
  K key() const { return bits; }
  bool operator<(const KeyOnly& o) const { return bits < o.bits; }
};
template <class K>
struct Packed {
  uint64_t bits;
  static Packed make(K key, int64_t place) { return {uint64_t(key) << 32 | uint64_t(place)}; }
  K key() const { return K(bits >> 32); }
  int64_t place() const { return int64_t(uint32_t(bits)); }
  bool operator<(const Packed& o) const { return bits < o.bits; }
};
template <class K>
struct Paired {
  K bits;
  int64_t from;
  static Paired make(K key, int64_t place) { return {key, place}; }
  K key() const { return bits; }
  int64_t place() const { return from; }
  bool operator<(const Paired& o) const { return bits < o.bits || (bits == o.bits && from < o.from); }
};

// Sorts stably by key, digit by digit from the lowest. Digits that all keys share cost no pass.
template <int Bits, class E>
void radix_sort(E* xs, E* spare, int64_t n) {
  using K = decltype(xs->key());
  constexpr int count = (8 * int(sizeof(K)) + Bits - 1) / Bits, values = 1 << Bits;
  auto digit = [](const E& x, int d) { return size_t(x.key() >> (d * Bits)) & size_t(values - 1); };
  Scratch memory(sizeof(int64_t) * size_t(count) * size_t(values));
  auto* counts = memory.as<int64_t>();
  std::fill_n(counts, count * values, int64_t{0});
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < count; ++d) ++counts[size_t(d * values) + digit(xs[i], d)];
  }
  E *from = xs, *to = spare;
  for (int d = 0; d < count; ++d) {
    int64_t* c = counts + d * values;
    if (c[digit(xs[0], d)] == n) continue;
    int64_t before = 0;
    for (int v = 0; v < values; ++v) before += std::exchange(c[v], before);
    for (int64_t i = 0; i < n; ++i) to[c[digit(from[i], d)]++] = from[i];
    std::swap(from, to);
  }
  if (from != xs) std::copy(from, from + n, xs);
}

template <class E>
void sort_elements(E* xs, int64_t n) {
  if (n < kRadixFrom) return std::sort(xs, xs + n);
  Scratch spare(sizeof(E) * size_t(n));
  if (sizeof(xs->key()) > 2 && n >= kLargeDigitsFrom) {
    radix_sort<11>(xs, spare.as<E>(), n);
  } else {
    radix_sort<8>(xs, spare.as<E>(), n);
  }
}

// Brings element kth to where sorting would put it, smaller ones before and larger ones after. Elements are divided by
// the highest digit of their keys into those below, with and above the digit of the one that is looked for.
template <class E>
void select_element(E* xs, int64_t kth, int64_t n) {
  using K = decltype(xs->key());
  constexpr int bits = std::min(11, 8 * int(sizeof(K))), drop = 8 * int(sizeof(K)) - bits;
  if (n < 512) return std::nth_element(xs, xs + kth, xs + n);
  Scratch spare(sizeof(E) * size_t(n));
  E* from = spare.as<E>();
  std::copy(xs, xs + n, from);
  std::array<int64_t, 1 << bits> counts{};
  for (int64_t i = 0; i < n; ++i) ++counts[size_t(from[i].key() >> drop)];
  size_t digit = 0;
  int64_t below = 0;
  for (; below + counts[digit] <= kth; ++digit) below += counts[digit];
  std::array<int64_t, 3> to{0, below, below + counts[digit]};
  for (int64_t i = 0; i < n; ++i) {
    size_t d = size_t(from[i].key() >> drop);
    xs[to[size_t(d >= digit) + size_t(d > digit)]++] = from[i];
  }
  std::nth_element(xs + below, xs + kth, xs + below + counts[digit]);
}

// An array seen as rows along one axis: contiguous memory of n_rows x n, copied only if it does not lie so.
class Rows {
 public:
  Rows(const array& x, int axis) : n(x.shape()[size_t(axis)]), n_rows(n ? x.size() / n : 0) {
    if (x.row_contiguous() && axis == x.ndim() - 1) {
      data = x.bytes();
      return;
    }
    Shape shape = without_axis(x.shape(), axis);
    Strides from = without_axis(x.strides(), axis);
    shape.push_back(n);
    from.push_back(x.strides()[size_t(axis)]);
    copy_.emplace(x.n_bytes());
    copy_strided(x.bytes(), from, copy_->as<std::byte>(), row_strides(shape), shape, x.itemsize());
    data = copy_->as<std::byte>();
  }
  int64_t n, n_rows;
  const std::byte* data;

 private:
  std::optional<Scratch> copy_;
};

// Where results of rows along one axis are written: the output itself, or scratch that finish() transposes into it.
class OutRows {
 public:
  OutRows(array& out, int axis) : out_(out), axis_(axis) {
    if (axis == out.ndim() - 1) {
      data = out.bytes();
    } else {
      scratch_.emplace(out.n_bytes());
      data = scratch_->as<std::byte>();
    }
  }
  void finish() {
    if (!scratch_) return;
    Shape shape = without_axis(out_.shape(), axis_);
    Strides to = without_axis(out_.strides(), axis_);
    shape.push_back(out_.shape()[size_t(axis_)]);
    to.push_back(out_.strides()[size_t(axis_)]);
    copy_strided(data, row_strides(shape), out_.bytes(), to, shape, out_.itemsize());
  }
  std::byte* data;

 private:
  array& out_;
  int axis_;
  std::optional<Scratch> scratch_;
};

int64_t rows_per_piece(int64_t n) { return std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1)); }

template <bool Exact, class E>
void encode_row(Dtype t, const std::byte* row, E* to, int64_t n) {
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<KeyOf<T>, decltype(to->key())>) {
      const T* from = reinterpret_cast<const T*>(row);
      for (int64_t i = 0; i < n; ++i) to[i] = E::make(encode<Exact>(from[i]), i);
    }
  });
}

template <class E>
void decode_row(Dtype t, const E* from, std::byte* row, int64_t n) {
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<KeyOf<T>, decltype(from->key())>) {
      T* to = reinterpret_cast<T*>(row);
      for (int64_t i = 0; i < n; ++i) to[i] = decode<T>(from[i].key());
    }
  });
}

// Calls arrange(elements, n) for each row of keys with their places, then writes the places.
template <class E, class I, class F>
void arrange_places(const array& x, array& out, int axis, const F& arrange) {
  Rows in(x, axis);
  OutRows to(out, axis);
  parallel_for(in.n_rows, rows_per_piece(in.n), [&](int64_t begin, int64_t end) {
    Scratch memory(sizeof(E) * size_t(in.n));
    E* xs = memory.as<E>();
    for (int64_t r = begin; r < end; ++r) {
      encode_row<false>(x.dtype(), in.data + size_t(r * in.n) * x.itemsize(), xs, in.n);
      arrange(xs, in.n);
      I* places = reinterpret_cast<I*>(to.data) + r * in.n;
      for (int64_t i = 0; i < in.n; ++i) places[i] = static_cast<I>(xs[i].place());
    }
  });
  to.finish();
}

template <class F>
void arrange_places(const array& x, array& out, int axis, const F& arrange) {
  dispatch_bits(x.dtype(), [&](auto tag) {
    using K = typename decltype(tag)::type;
    if (out.dtype() != Dtype::uint32) {
      arrange_places<Paired<K>, int64_t>(x, out, axis, arrange);
    } else if constexpr (sizeof(K) <= 4) {
      arrange_places<Packed<K>, uint32_t>(x, out, axis, arrange);
    } else {
      arrange_places<Paired<K>, uint32_t>(x, out, axis, arrange);
    }
  });
}

}  // namespace

void sort_kernel(const Task& task) {
  const array& x = task.in[0];
  int axis = task.params.get<SortParams>().axis;
  if (x.size() == 0) return;
  Rows in(x, axis);
  OutRows to(task.out[0], axis);
  dispatch_bits(x.dtype(), [&](auto tag) {
    using E = KeyOnly<typename decltype(tag)::type>;
    parallel_for(in.n_rows, rows_per_piece(in.n), [&](int64_t begin, int64_t end) {
      Scratch memory(sizeof(E) * size_t(in.n));
      E* xs = memory.as<E>();
      for (int64_t r = begin; r < end; ++r) {
        size_t at = size_t(r * in.n) * x.itemsize();
        encode_row<true>(x.dtype(), in.data + at, xs, in.n);
        sort_elements(xs, in.n);
        decode_row(x.dtype(), xs, to.data + at, in.n);
      }
    });
  });
  to.finish();
}

void argsort_kernel(const Task& task) {
  if (task.in[0].size() == 0) return;
  arrange_places(task.in[0], task.out[0], task.params.get<SortParams>().axis,
                 [](auto* xs, int64_t n) { sort_elements(xs, n); });
}

void argpartition_kernel(const Task& task) {
  if (task.in[0].size() == 0) return;
  const auto& p = task.params.get<PartitionParams>();
  arrange_places(task.in[0], task.out[0], p.axis, [&](auto* xs, int64_t n) {
    if (p.kth < n) select_element(xs, p.kth, n);
    if (p.sorted_tail) sort_elements(xs + p.kth, n - p.kth);
  });
}

void searchsorted_kernel(const Task& task) {
  const array &sequences = task.in[0], &values = task.in[1];
  array& out = task.out[0];
  bool right = task.params.get<SearchParams>().right;
  if (out.size() == 0) return;
  int64_t n = sequences.shape().back(), m = values.shape().back();
  std::optional<Scratch> s_copy, v_copy;
  auto contiguous = [](const array& x, std::optional<Scratch>& copy) -> const std::byte* {
    if (x.row_contiguous()) return x.bytes();
    copy.emplace(x.n_bytes());
    copy_to(x, copy->as<std::byte>());
    return copy->as<std::byte>();
  };
  // A sequence that is the same for all rows (broadcast by vmap) must not be copied for each.
  bool one_row = std::all_of(sequences.strides().begin(), sequences.strides().end() - 1, [](int64_t s) { return s == 0; });
  int64_t step = sequences.strides().back();
  const std::byte* s_data = one_row ? sequences.bytes() : contiguous(sequences, s_copy);
  const std::byte* v_data = contiguous(values, v_copy);
  if (!one_row) step = 1;
  dispatch(sequences.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* vs = reinterpret_cast<const T*>(v_data);
    parallel_for(out.size(), 512, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* seq = reinterpret_cast<const T*>(s_data) + (one_row ? 0 : i / m * n);
        KeyOf<T> key = encode<false>(vs[i]);
        int64_t low = 0, high = n;
        while (low < high) {
          int64_t middle = low + (high - low) / 2;
          KeyOf<T> there = encode<false>(seq[middle * step]);
          if (there < key || (right && there == key)) {
            low = middle + 1;
          } else {
            high = middle;
          }
        }
        if (out.dtype() == Dtype::uint32) {
          out.data<uint32_t>()[i] = static_cast<uint32_t>(low);
        } else {
          out.data<int64_t>()[i] = low;
        }
      }
    });
  });
}

}  // namespace mx::cpu

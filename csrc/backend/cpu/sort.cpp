// sort.cpp — sort, argsort, argpartition and searchsorted. Rows along the axis become keys (sort_keys.h);
// long rows go through a least-significant-digit radix sort, short ones through std::sort. For another axis than
// the last the array is transposed into scratch memory first. Start at sort_kernel().

#include "backend/cpu/sort.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/sort_keys.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

// Below this many elements comparing is quicker than counting digits.
constexpr int64_t kRadixFrom = 768;

template <class K>
struct KeyOnly {
  K key;
  bool operator<(const KeyOnly& o) const { return key < o.key; }
};

// A key with the place it came from; the place decides between equal keys, which makes any sort stable.
template <class K, class I>
struct Keyed {
  K key;
  I place;
  bool operator<(const Keyed& o) const { return key < o.key || (key == o.key && place < o.place); }
};

template <class K>
struct Digits {
  static constexpr int bits = sizeof(K) <= 2 ? 8 : 11;
  static constexpr int count = (8 * int(sizeof(K)) + bits - 1) / bits;
  static constexpr int values = 1 << bits;
  static int of(K key, int d) { return int(key >> (d * bits)) & (values - 1); }
};

// Sorts stably by key; `spare` holds as many elements as `xs`. Digits that all keys share cost no pass.
template <class E>
void radix_sort(E* xs, E* spare, int64_t n) {
  using K = decltype(E::key);
  using D = Digits<K>;
  std::vector<std::array<int64_t, D::values>> counts(D::count);
  for (auto& c : counts) c.fill(0);
  for (int64_t i = 0; i < n; ++i) {
    for (int d = 0; d < D::count; ++d) ++counts[size_t(d)][size_t(D::of(xs[i].key, d))];
  }
  E *from = xs, *to = spare;
  for (int d = 0; d < D::count; ++d) {
    auto& c = counts[size_t(d)];
    if (c[size_t(D::of(xs[0].key, d))] == n) continue;
    int64_t before = 0;
    for (int64_t& x : c) before += std::exchange(x, before);
    for (int64_t i = 0; i < n; ++i) to[c[size_t(D::of(from[i].key, d))]++] = from[i];
    std::swap(from, to);
  }
  if (from != xs) std::copy(from, from + n, xs);
}

template <class E>
void sort_elements(E* xs, std::vector<E>& spare, int64_t n) {
  if (n < kRadixFrom) {
    std::sort(xs, xs + n);
  } else {
    spare.resize(size_t(n));
    radix_sort(xs, spare.data(), n);
  }
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
    copy_.resize(x.n_bytes());
    copy_strided(x.bytes(), from, copy_.data(), row_strides(shape), shape, x.itemsize());
    data = copy_.data();
  }
  int64_t n, n_rows;
  const std::byte* data;

 private:
  std::vector<std::byte> copy_;
};

// Where results of rows along one axis are written: the output itself, or scratch that finish() transposes into it.
class OutRows {
 public:
  OutRows(array& out, int axis) : out_(out), axis_(axis) {
    if (axis == out.ndim() - 1) {
      data = out.bytes();
    } else {
      scratch_.resize(out.n_bytes());
      data = scratch_.data();
    }
  }
  void finish() {
    if (scratch_.empty()) return;
    Shape shape = without_axis(out_.shape(), axis_);
    Strides to = without_axis(out_.strides(), axis_);
    shape.push_back(out_.shape()[size_t(axis_)]);
    to.push_back(out_.strides()[size_t(axis_)]);
    copy_strided(scratch_.data(), row_strides(shape), out_.bytes(), to, shape, out_.itemsize());
  }
  std::byte* data;

 private:
  array& out_;
  int axis_;
  std::vector<std::byte> scratch_;
};

int64_t rows_per_piece(int64_t n) { return std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1)); }

template <bool Exact, class E>
void encode_row(Dtype t, const std::byte* row, E* to, int64_t n) {
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<KeyOf<T>, decltype(E::key)>) {
      const T* from = reinterpret_cast<const T*>(row);
      for (int64_t i = 0; i < n; ++i) to[i].key = encode<Exact>(from[i]);
    }
  });
}

template <class E>
void decode_row(Dtype t, const E* from, std::byte* row, int64_t n) {
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<KeyOf<T>, decltype(E::key)>) {
      T* to = reinterpret_cast<T*>(row);
      for (int64_t i = 0; i < n; ++i) to[i] = decode<T>(from[i].key);
    }
  });
}

// Calls arrange(elements, spare, n) for each row of keyed elements, then writes their places.
template <class K, class I, class F>
void arrange_places(const array& x, array& out, int axis, const F& arrange) {
  using E = Keyed<K, I>;
  Rows in(x, axis);
  OutRows to(out, axis);
  parallel_for(in.n_rows, rows_per_piece(in.n), [&](int64_t begin, int64_t end) {
    std::vector<E> xs(size_t(in.n)), spare;
    for (int64_t r = begin; r < end; ++r) {
      encode_row<false>(x.dtype(), in.data + size_t(r * in.n) * x.itemsize(), xs.data(), in.n);
      for (int64_t i = 0; i < in.n; ++i) xs[size_t(i)].place = I(i);
      arrange(xs.data(), spare, in.n);
      I* places = reinterpret_cast<I*>(to.data) + r * in.n;
      for (int64_t i = 0; i < in.n; ++i) places[i] = xs[size_t(i)].place;
    }
  });
  to.finish();
}

template <class F>
void arrange_places(const array& x, array& out, int axis, const F& arrange) {
  dispatch_bits(x.dtype(), [&](auto tag) {
    using K = typename decltype(tag)::type;
    if (out.dtype() == Dtype::uint32) {
      arrange_places<K, uint32_t>(x, out, axis, arrange);
    } else {
      arrange_places<K, int64_t>(x, out, axis, arrange);
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
      std::vector<E> xs(size_t(in.n)), spare;
      for (int64_t r = begin; r < end; ++r) {
        size_t at = size_t(r * in.n) * x.itemsize();
        encode_row<true>(x.dtype(), in.data + at, xs.data(), in.n);
        sort_elements(xs.data(), spare, in.n);
        decode_row(x.dtype(), xs.data(), to.data + at, in.n);
      }
    });
  });
  to.finish();
}

void argsort_kernel(const Task& task) {
  if (task.in[0].size() == 0) return;
  arrange_places(task.in[0], task.out[0], task.params.get<SortParams>().axis,
                 [](auto* xs, auto& spare, int64_t n) { sort_elements(xs, spare, n); });
}

void argpartition_kernel(const Task& task) {
  if (task.in[0].size() == 0) return;
  const auto& p = task.params.get<PartitionParams>();
  arrange_places(task.in[0], task.out[0], p.axis, [&](auto* xs, auto& spare, int64_t n) {
    if (p.kth < n) std::nth_element(xs, xs + p.kth, xs + n);
    if (p.sorted_tail) std::sort(xs + p.kth, xs + n);
    (void)spare;
  });
}

void searchsorted_kernel(const Task& task) {
  const array &sequences = task.in[0], &values = task.in[1];
  array& out = task.out[0];
  bool right = task.params.get<SearchParams>().right;
  if (out.size() == 0) return;
  int64_t n = sequences.shape().back(), m = values.shape().back();
  std::vector<std::byte> s_copy, v_copy;
  auto contiguous = [](const array& x, std::vector<std::byte>& copy) -> const std::byte* {
    if (x.row_contiguous()) return x.bytes();
    copy.resize(x.n_bytes());
    copy_to(x, copy.data());
    return copy.data();
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

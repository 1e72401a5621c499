// sort_search.cpp — searchsorted. Sixteen values are searched for side by side, step by step without a branch: while one
// waits for memory the others go on.

#include "backend/cpu/pool.h"
#include "backend/cpu/sort.h"
#include "backend/cpu/sort_rows.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kSideBySide = 16;

// How many of the n keys are smaller than each of `count` keys (with `right`: not greater).
template <class K, class Key>
MX_INLINE void search(const Key& key_at, int64_t n, const K* values, int64_t count, bool right, int64_t* found) {
  for (int64_t j = 0; j < count; ++j) found[j] = 0;
  for (int64_t left = n; left > 0;) {
    int64_t half = (left + 1) / 2;
    for (int64_t j = 0; j < count; ++j) {
      K there = key_at(found[j] + half - 1);
      found[j] += (right ? there <= values[j] : there < values[j]) ? half : 0;
    }
    left -= half;
  }
}

template <class T, class I>
void search_rows(const T* sequences, int64_t step, bool one_row, int64_t n, const T* values, int64_t m, int64_t total, bool right, I* out) {
  using K = SignedKey<T>;
  // Many searches pay for a sequence of keys.
  std::optional<Scratch> memory;
  const K* keys = nullptr;
  if (one_row && total >= n / 8) {
    memory.emplace(sizeof(K) * static_cast<size_t>(n));
    K* to = memory->as<K>();
    parallel_for(n, 32768, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = signed_key<false>(sequences[i * step]);
    });
    keys = to;
  }
  parallel_for(total, 512, [&](int64_t begin, int64_t end) {
    K wanted[kSideBySide];
    int64_t found[kSideBySide];
    for (int64_t i = begin; i < end;) {
      // Values of one row.
      int64_t count = std::min(kSideBySide, end - i);
      if (!one_row) count = std::min(count, m - i % m);
      encode_row<false>(values + i, count, wanted);
      if (keys) {
        search(
            [keys](int64_t k) __attribute__((always_inline)) { return keys[k]; }, n, wanted, count, right, found);
      } else {
        const T* row = sequences + (one_row ? 0 : i / m * n);
        search(
            [row, step](int64_t k) __attribute__((always_inline)) { return signed_key<false>(row[k * step]); }, n, wanted, count, right, found);
      }
      for (int64_t j = 0; j < count; ++j) out[i + j] = static_cast<I>(found[j]);
      i += count;
    }
  });
}

}  // namespace

void searchsorted_kernel(const Task& task) {
  const array &sequences = task.in[0], &values = task.in[1];
  array& out = task.out[0];
  bool right = task.params.get<SearchParams>().right;
  if (out.size() == 0) return;
  int64_t n = sequences.shape().back(), m = values.shape().back();
  std::optional<Scratch> s_copy, v_copy;
  auto contiguous = [](const array& x, std::optional<Scratch>& copy) -> const std::byte* {
    if (x.row_contiguous() || x.size() == 0) return x.bytes();
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
    auto run = [&](auto* to) {
      search_rows(reinterpret_cast<const T*>(s_data), step, one_row, n, reinterpret_cast<const T*>(v_data), m, out.size(), right, to);
    };
    if (out.dtype() == Dtype::uint32) {
      run(out.data<uint32_t>());
    } else {
      run(out.data<int64_t>());
    }
  });
}

}  // namespace mx::cpu

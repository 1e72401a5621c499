// fast_attention.h — what the kernels of attention share: where the operands of one key head lie, which scores of a row
// count, and the loops over rows of scores. Files fast_attention.cpp (forward) and fast_attention_vjp.cpp.
//
// The heads of q that share a key head are taken together: row r of their queries is head r / tq, position r % tq.
#pragma once

#include <cmath>
#include <limits>

#include "backend/cpu/clones.h"
#include "backend/cpu/fast_attention_loops.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/matrix_view.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/fast_params.h"

namespace mx::cpu::attention {

// ---- masks over a row of scores

template <class T>
MX_CLONES void hide(T* x, const uint8_t* visible, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) x[i] = visible[i] ? x[i] : std::numeric_limits<T>::lowest();
}
template <class T>
MX_CLONES void add(T* x, const T* y, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}

// ---- one key head

/// Sizes and parameters of a call.
struct Sizes {
  int64_t heads, key_heads, tq, tk, d, e;
  int64_t rows;  ///< Queries that share a key head.
  bool causal;
  Sizes(const fast::AttentionParams& p, const array& q, const array& k, const array& v)
      : heads(q.shape(-3)), key_heads(k.shape(-3)), tq(q.shape(-2)), tk(k.shape(-2)), d(q.shape(-1)), e(v.shape(-1)),
        rows(key_heads ? heads / key_heads * tq : 0), causal(p.causal) {}
  /// The first key that row r does not see because it comes later.
  int64_t limit(int64_t r) const { return causal ? r % tq + tk - tq + 1 : tk; }
  /// Keys that some of the rows [begin, end) need. A row that sees none takes the mean of all.
  int64_t needed(int64_t begin, int64_t end) const {
    int64_t most = 0;
    for (int64_t r = begin; r < end; ++r) {
      int64_t n = limit(r);
      if (n <= 0) return tk;
      most = std::max(most, n);
    }
    return std::min(most, tk);
  }
};

/// Queries, or what has their shape: rows across heads.
template <class S>
struct Queries {
  const S* data;
  int64_t head, row, col, tq;
  Queries(const array& x, int64_t offset, int64_t first_head) {
    size_t n = x.shape().size();
    const Strides& s = x.strides();
    head = s[n - 3];
    row = s[n - 2];
    col = s[n - 1];
    tq = x.shape()[n - 2];
    data = x.data<S>() + offset + first_head * head;
  }
  const S* at(int64_t r) const { return data + r / tq * head + r % tq * row; }
  /// Copies rows [begin, end), scaled, to contiguous ones of n.
  template <class T>
  void load(int64_t begin, int64_t end, int64_t n, T factor, T* to) const {
    for (int64_t r = begin; r < end; ++r, to += n) pack(View<S>{at(r), 0, col}, 1, n, to, n, factor);
  }
};

/// The mask of one key head's queries: changes rows of scores.
template <class S, class T>
class Mask {
 public:
  Mask() = default;
  Mask(const array& x, int64_t offset, int64_t first_head) : is_bool_(is_bool(x.dtype())), size_(static_cast<int64_t>(x.itemsize())) {
    size_t n = x.shape().size();
    head_ = x.strides()[n - 3];
    row_ = x.strides()[n - 2];
    col_ = x.strides()[n - 1];
    tq_ = x.shape()[n - 2];
    data_ = x.bytes() + (offset + first_head * head_) * size_;
  }
  explicit operator bool() const { return data_ != nullptr; }
  bool adds() const { return data_ && !is_bool_; }
  bool hides() const { return data_ && is_bool_; }
  /// Scores of keys [begin, begin + n) for row r.
  void apply(int64_t r, int64_t begin, int64_t n, T* scores) const {
    if (!data_) return;
    const std::byte* from = data_ + (r / tq_ * head_ + r % tq_ * row_ + begin * col_) * size_;
    if (is_bool_) {
      const auto* visible = reinterpret_cast<const uint8_t*>(from);
      if (col_ == 1) {
        hide(scores, visible, n);
      } else {
        for (int64_t j = 0; j < n; ++j) scores[j] = visible[j * col_] ? scores[j] : std::numeric_limits<T>::lowest();
      }
      return;
    }
    const S* added = reinterpret_cast<const S*>(from);
    if constexpr (std::is_same_v<S, T>) {
      if (col_ == 1) return add(scores, added, n);
    } else if (col_ == 1) {
      constexpr int64_t kPiece = 256;
      T wide[kPiece];
      for (int64_t j = 0; j < n; j += kPiece) {
        int64_t some = std::min(kPiece, n - j);
        widen(added + j, wide, some);
        add(scores + j, wide, some);
      }
      return;
    }
    for (int64_t j = 0; j < n; ++j) scores[j] += static_cast<T>(added[j * col_]);
  }
  /// Zeroes x where the mask hides.
  void zero_hidden(int64_t r, int64_t n, T* x) const {
    const std::byte* visible = data_ + r / tq_ * head_ + r % tq_ * row_;
    for (int64_t j = 0; j < n; ++j) x[j] = visible[j * col_] != std::byte(0) ? x[j] : T(0);
  }

 private:
  const std::byte* data_ = nullptr;
  bool is_bool_ = false;
  int64_t size_ = 0, head_ = 0, row_ = 0, col_ = 0, tq_ = 1;
};

/// Applies the mask and the causal limit to the scores of keys [begin, begin + n) of row r; returns how many of them, from the
/// first on, may count: what comes behind has no weight. Hidden scores among them become the lowest number.
template <class S, class T>
int64_t hide_scores(const Sizes& sizes, const Mask<S, T>& mask, int64_t r, int64_t begin, int64_t n, T* scores) {
  mask.apply(r, begin, n, scores);
  if (!sizes.causal) return n;
  int64_t limit = sizes.limit(r), seen = std::clamp<int64_t>(limit - begin, 0, n);
  // Without a mask every row with a limit sees something, and then the others have no weight.
  if (!mask && limit > 0) return seen;
  std::fill(scores + seen, scores + n, std::numeric_limits<T>::lowest());
  return n;
}

/// Distance of rows of n numbers that are read down their columns: a multiple of a page would crowd one set of the first cache.
inline int64_t apart(int64_t n) { return n % 256 == 0 ? n + 16 : n; }

/// Copies a matrix transposed: `to` is (cols, rows), its rows to_row apart.
template <class S, class T>
void pack_transposed(View<S> from, int64_t rows, int64_t cols, T* to, int64_t to_row) {
  constexpr int64_t block = 16;
  Scratch memory(static_cast<size_t>(block * cols) * sizeof(T));
  T* lines = memory.as<T>();
  for (int64_t i = 0; i < rows; i += block) {
    int64_t n = std::min(block, rows - i);
    pack_panel(from.data + i * from.row, from.row, from.col, n, n, cols, lines);
    for (int64_t j = 0; j < cols; ++j) std::copy_n(lines + j * n, n, to + j * to_row + i);
  }
}

/// Calls f(unit) for every key head of every example: at once if there are many, else one after the other, so that
/// each may use all threads.
template <class F>
void for_units(int64_t n, F&& f) {
  if (n < 2 * n_threads()) {
    for (int64_t u = 0; u < n; ++u) f(u);
    return;
  }
  parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) f(u);
  });
}

}  // namespace mx::cpu::attention

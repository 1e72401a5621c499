// fast_attention.h — what the kernels of attention share: where the operands of one key head lie, which scores of a row
// count, and the loops over rows of scores. Files fast_attention.cpp (forward) and fast_attention_vjp.cpp.
//
// The heads of q that share a key head are taken together: row r of their queries is head r / tq, position r % tq.
#pragma once

#include <cmath>
#include <limits>

#include "backend/cpu/clones.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/matrix_view.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/scratch.h"
#include "ops/fast_params.h"

namespace mx::cpu::attention {

// ---- loops over a row of scores

template <class T>
MX_CLONES void subtract(T* x, T by, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] -= by;
}
template <class T>
MX_CLONES void scale(T* x, T by, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= by;
}
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

/// Largest, sum and exponentials of rows of any length.
template <class T>
class Loops {
 public:
  Loops() : max_(reduce_loops(Reduction::max, dtype_of<T>())), sum_(reduce_loops(Reduction::sum, dtype_of<T>())),
            exp_(find_loop(UnaryOp::exp, dtype_of<T>())) {}
  T largest(const T* x, int64_t n) const {
    T y;
    max_.row(x, n, &y);
    return y;
  }
  T total(const T* x, int64_t n) const {
    T y = 0;
    for (int64_t i = 0; i < n; i += kPiece) {
      T part;
      sum_.row(x + i, std::min(kPiece, n - i), &part);
      y += part;
    }
    return y;
  }
  void exponentials(T* x, int64_t n) const {
    const void* in = x;
    exp_(&in, x, n);
  }

 private:
  const ReduceLoops &max_, &sum_;
  Loop exp_;
};

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

/// Scores of keys [begin, begin + n) that come after row r's limit become the lowest number.
template <class T>
void hide_later(const Sizes& sizes, int64_t r, int64_t begin, int64_t n, T* scores) {
  if (!sizes.causal) return;
  int64_t from = std::clamp<int64_t>(sizes.limit(r) - begin, 0, n);
  std::fill(scores + from, scores + n, std::numeric_limits<T>::lowest());
}

/// Copies a matrix transposed: `to` is (cols, rows), contiguous.
template <class S, class T>
void pack_transposed(View<S> from, int64_t rows, int64_t cols, T* to) {
  constexpr int64_t block = 16;
  for (int64_t i = 0; i < rows; i += block) {
    for (int64_t j = 0; j < cols; ++j) {
      const S* x = from.data + i * from.row + j * from.col;
      T* y = to + j * rows + i;
      int64_t n = std::min(block, rows - i);
      for (int64_t k = 0; k < n; ++k) y[k] = static_cast<T>(x[k * from.row]);
    }
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

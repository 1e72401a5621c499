// fast_rows.h — rows of arrays as contiguous numbers of the type that is computed in, and sums over them.
#pragma once

#include <algorithm>

#include "backend/cpu/clones.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/strided.h"

namespace mx::cpu {

/// Calls f(TypeTag<T>()) with what a dtype is computed in: double for float64, else float.
template <class F>
void in_work_type(Dtype t, F&& f) {
  if (t == Dtype::float64) {
    f(TypeTag<double>());
  } else {
    f(TypeTag<float>());
  }
}

/// The last axis of an array, row by row, as Ts.
template <class T>
class RowReader {
 public:
  explicit RowReader(const array& x)
      : bytes_(x.bytes()), size_(static_cast<int64_t>(x.itemsize())), stride_(x.strides().back()), n_(x.shape().back()), dtype_(x.dtype()),
        load_(x.dtype() == dtype_of<T>() ? nullptr : find_cast(x.dtype(), dtype_of<T>())) {
    if (n_ == 1) stride_ = 1;
  }
  /// How many Ts `room` must hold.
  int64_t room() const { return 2 * n_; }
  /// The row at `offset` elements from the first: where it lies if it can be used there, else copied to `room`.
  const T* read(int64_t offset, T* room) const {
    const std::byte* from = bytes_ + offset * size_;
    if (stride_ != 1) {
      T* to = load_ ? room + n_ : room;
      dispatch_bits(dtype_, [&](auto tag) {
        using B = typename decltype(tag)::type;
        gather_run(reinterpret_cast<const B*>(from), stride_, n_, reinterpret_cast<B*>(to));
      });
      from = reinterpret_cast<const std::byte*>(to);
    }
    if (!load_) return reinterpret_cast<const T*>(from);
    const void* in = from;
    load_(&in, room, n_);
    return room;
  }

 private:
  const std::byte* bytes_;
  int64_t size_, stride_, n_;
  Dtype dtype_;
  Loop load_;
};

/// Rows of a row-contiguous array, written as Ts.
template <class T>
class RowWriter {
 public:
  explicit RowWriter(array& y)
      : bytes_(y.bytes()), size_(static_cast<int64_t>(y.itemsize())), n_(y.shape().back()),
        store_(y.dtype() == dtype_of<T>() ? nullptr : find_cast(dtype_of<T>(), y.dtype())) {}
  /// Where to compute row r: in place, or in `room` (n Ts).
  T* begin(int64_t r, T* room) const { return store_ ? room : reinterpret_cast<T*>(bytes_ + r * n_ * size_); }
  void end(int64_t r, const T* row) const {
    const void* in = row;
    if (store_) store_(&in, bytes_ + r * n_ * size_, n_);
  }

 private:
  std::byte* bytes_;
  int64_t size_, n_;
  Loop store_;
};

/// The axes of an array but the last `n_inner`, with the strides of several arrays.
template <class... Arrays>
Layout leading_layout(int n_inner, const array& first, const Arrays&... rest) {
  auto cut = [&](const auto& v) { return Strides(v.begin(), v.begin() + (first.ndim() - n_inner)); };
  const Strides strides[] = {cut(first.strides()), cut(rest.strides())...};
  SmallVector<const Strides*, 4> operands;
  for (const Strides& s : strides) operands.push_back(&s);
  return collapse(cut(first.shape()), operands);
}

template <class T>
constexpr int64_t kLanes = sizeof(T) <= 4 ? 64 : 32;

/// term(0) + term(1) + ... + term(n - 1), in lanes that are added pairwise: the same on every CPU.
template <class T, class F>
MX_INLINE T lane_sum(int64_t n, F&& term) {
  constexpr int64_t lanes = kLanes<T>;
  T lane[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int64_t j = 0; j < lanes; ++j) lane[j] += term(i + j);
  }
  for (int64_t j = 0; j < n - i; ++j) lane[j] += term(i + j);
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  }
  return lane[0];
}

}  // namespace mx::cpu

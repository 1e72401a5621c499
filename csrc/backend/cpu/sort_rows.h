// sort_rows.h — what the kernels of sorting share: rows along an axis as contiguous memory, and rows as signed keys of
// 4 bytes (dtypes of up to 4 bytes) or 8 bytes (sort_lanes.h).
#pragma once

#include <algorithm>
#include <optional>

#include "backend/cpu/clones.h"
#include "backend/cpu/copy.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/sort_keys.h"
#include "backend/cpu/sort_lanes.h"

namespace mx::cpu {

/// An array seen as rows along one axis: contiguous memory of n_rows x n, copied only if it does not lie so.
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

/// Where results of rows along one axis are written: the output itself, or scratch that finish() transposes into it.
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

/// The key that T is sorted by.
template <class T>
using SignedKey = std::conditional_t<sizeof(T) <= 4, int32_t, int64_t>;

template <bool Exact, class T>
MX_INLINE SignedKey<T> signed_key(T x) {
  using U = KeyOf<T>;
  U key = encode<Exact>(x);
  if constexpr (sizeof(U) < 4) {
    return static_cast<int32_t>(key);
  } else {
    return std::bit_cast<SignedKey<T>>(U(key ^ U(U(1) << (8 * sizeof(U) - 1))));
  }
}
template <class T>
MX_INLINE T from_signed_key(SignedKey<T> key) {
  using U = KeyOf<T>;
  if constexpr (sizeof(U) < 4) {
    return decode<T>(static_cast<U>(key));
  } else {
    return decode<T>(U(std::bit_cast<U>(key) ^ U(U(1) << (8 * sizeof(U) - 1))));
  }
}

/// Keys of n elements; `to` may be the memory of `from`.
template <bool Exact, class T>
MX_CLONES void encode_row(const T* from, int64_t n, SignedKey<T>* to) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) to[i] = signed_key<Exact>(from[i]);
}
template <class T>
MX_CLONES void decode_row(const SignedKey<T>* from, int64_t n, T* to) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) to[i] = from_signed_key<T>(from[i]);
}

/// Sorts the keys on all threads.
template <class K>
void sort_keys(K* xs, K* spare, int64_t n);

/// The places 0 .. n-1 in the order of their keys, equal ones in their own order: a stable sort. May use several threads.
void order_keys(const int32_t* keys, int64_t n, uint32_t* places);
void order_keys(const int64_t* keys, int64_t n, uint32_t* places);

}  // namespace mx::cpu

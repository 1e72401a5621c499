// strided.h — walking arrays of any strides (runtime/layout.h). `Walk` visits the innermost runs of several operands at
// once; `Reader` hands out one operand in row order as contiguous pieces.
#pragma once

#include <cstring>

#include "runtime/layout.h"

namespace mx::cpu {

/// A position in a layout: goes through it in row order, run by run along the innermost dimension.
///   for (Walk w(layout, begin); w.index < end; ) { n = min(w.run(), end - w.index); use w.offset(k); w.advance(n); }
class Walk {
 public:
  explicit Walk(const Layout& layout, int64_t begin = 0);
  /// Elements left in the innermost dimension, from here.
  int64_t run() const { return layout_->shape.back() - position_.back(); }
  /// Runs left in the dimension before, this one included.
  int64_t outer_run() const { return layout_->shape[layout_->shape.size() - 2] - position_[position_.size() - 2]; }
  /// Where operand k is, in elements from its first.
  int64_t offset(size_t k) const { return offsets_[k]; }
  /// Moves on by n <= run() elements.
  void advance(int64_t n);

  int64_t index = 0;  ///< Position in row order.

 private:
  const Layout* layout_;
  SmallVector<int64_t, 6> position_;
  SmallVector<int64_t, 4> offsets_;
};

/// Copies n elements that lie `stride` apart to contiguous memory; T stands for the element's bits.
template <class T>
void gather_run(const T* src, int64_t stride, int64_t n, T* dst) {
  if (stride == 1) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else if (stride == 0) {
    T x = *src;
    for (int64_t i = 0; i < n; ++i) dst[i] = x;
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i * stride];
  }
}

/// One operand in row order. `read` gives its elements [begin, begin + n) as contiguous memory: its own
/// where they lie so, else gathered into `scratch`. Cheap to make; safe to share between threads.
class Reader {
 public:
  explicit Reader(const array& x) : Reader(x.bytes(), x.itemsize(), x.shape(), x.strides()) {}
  Reader(const void* first, size_t itemsize, const Shape& shape, const Strides& strides);
  /// True if every element is the same one: one read serves for all.
  bool constant() const { return layout_.constant(0); }
  bool contiguous() const { return layout_.contiguous(0); }
  /// `scratch` must hold n elements.
  const void* read(int64_t begin, int64_t n, void* scratch) const;
  template <class T>
  const T* read(int64_t begin, int64_t n, T* scratch) const {
    return static_cast<const T*>(read(begin, n, static_cast<void*>(scratch)));
  }

 private:
  const std::byte* first_;
  size_t itemsize_;
  Layout layout_;
};

}  // namespace mx::cpu

// index_places.h — what gather and scatter share. Index arrays are read in pieces, wrapped and checked once (Indices), and
// become places: offsets in elements (Places). Start at Indices::read() and visit_axis_parallel().
#pragma once

#include <algorithm>
#include <vector>

#include "backend/cpu/pool.h"
#include "backend/cpu/strided.h"

namespace mx::cpu {

// One index array: hands out its elements as positions in [0, size), or throws IndexError.
class Indices {
 public:
  Indices(const array& x, int axis, int64_t size) : reader_(x), dtype_(x.dtype()), axis_(axis), size_(size) {}
  /// Positions of the elements [begin, begin + n) in row order; n <= kPiece.
  void read(int64_t begin, int64_t n, int64_t* to) const;
  static constexpr int64_t kPiece = 1024;

 private:
  Reader reader_;
  Dtype dtype_;
  int axis_;
  int64_t size_;
};

/// places[i] = places[i] * stride + offsets[i]; no offsets: none are added.
void add_offsets(int64_t* places, int64_t n, int64_t stride, const int64_t* offsets);

// Where index positions point: the sum over index arrays of position * stride of its axis.
class Places {
 public:
  Places(std::span<const array> indices, const Axes& axes, const Shape& shape, const Strides& strides) : size_(indices[0].size()) {
    for (size_t k = 0; k < indices.size(); ++k) {
      size_t axis = static_cast<size_t>(axes[k]);
      indices_.emplace_back(indices[k], axes[k], shape[axis]);
      strides_.push_back(strides[axis]);
    }
  }
  int64_t size() const { return size_; }
  /// Places of the positions [begin, begin + n); n <= Indices::kPiece.
  void read(int64_t begin, int64_t n, int64_t* to) const {
    indices_[0].read(begin, n, to);
    if (strides_[0] != 1) add_offsets(to, n, strides_[0], nullptr);
    for (size_t k = 1; k < indices_.size(); ++k) {
      int64_t positions[Indices::kPiece];
      indices_[k].read(begin, n, positions);
      for (int64_t i = 0; i < n; ++i) to[i] += positions[i] * strides_[k];
    }
  }
  /// All of them into `to`.
  void read_all(int64_t* to) const {
    parallel_for(size_, 8 * Indices::kPiece, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += Indices::kPiece) read(i, std::min(Indices::kPiece, end - i), to + i);
    });
  }

 private:
  int64_t size_;
  std::vector<Indices> indices_;
  std::vector<int64_t> strides_;
};

// The axes of an array that are not indexed: those before the index dimensions of the result, and those after.
struct Rest {
  Shape outer_shape, inner_shape;
  Strides outer_strides, inner_strides;
  Rest(const Shape& shape, const Strides& strides, const Axes& axes, int at) {
    for (size_t i = 0, before = 0; i < shape.size(); ++i) {
      if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) != axes.end()) continue;
      bool outer = static_cast<int>(before++) < at;
      (outer ? outer_shape : inner_shape).push_back(shape[i]);
      (outer ? outer_strides : inner_strides).push_back(strides[i]);
    }
  }
};

/// Offsets of every position of a layout, in row order.
std::vector<int64_t> offsets_of(const Layout& layout);

// The shape of an array around an axis, with the strides of the other axes' positions.
struct AroundAxis {
  int64_t outer = 1, inner = 1;
  Shape outer_shape, inner_shape;
  Strides outer_strides, inner_strides;
  AroundAxis(const Shape& shape, const Strides& strides, int axis) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (static_cast<int>(i) == axis) continue;
      bool before = static_cast<int>(i) < axis;
      (before ? outer : inner) *= shape[i];
      (before ? outer_shape : inner_shape).push_back(shape[i]);
      (before ? outer_strides : inner_strides).push_back(strides[i]);
    }
  }
  std::vector<int64_t> outer_offsets() const { return offsets_of(collapse(outer_shape, {&outer_strides})); }
  std::vector<int64_t> inner_offsets() const { return offsets_of(collapse(inner_shape, {&inner_strides})); }
};

// Visits the elements of an index array shaped (outer, n, inner) in pieces: f(first element, count, base, places), where
// places are relative to the element `base` of the array that is indexed. Pieces of one `o` come in order, within [k0, k1) of inner.
template <class F>
void visit_axis(const Indices& index, int64_t o, int64_t n, int64_t inner, int64_t k0, int64_t k1, int64_t outer_offset,
                const std::vector<int64_t>& inner_offsets, int64_t stride, const F& f) {
  int64_t places[Indices::kPiece];
  if (inner == 1) {
    for (int64_t begin = 0; begin < n; begin += Indices::kPiece) {
      int64_t m = std::min(Indices::kPiece, n - begin);
      index.read(o * n + begin, m, places);
      if (stride != 1) add_offsets(places, m, stride, nullptr);
      f(o * n + begin, m, outer_offset, places);
    }
    return;
  }
  if (k0 > 0 || k1 < inner || inner >= 32) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t k = k0; k < k1; k += Indices::kPiece) {
        int64_t m = std::min(Indices::kPiece, k1 - k), first = (o * n + j) * inner + k;
        index.read(first, m, places);
        add_offsets(places, m, stride, inner_offsets.data() + k);
        f(first, m, outer_offset, places);
      }
    }
    return;
  }
  // Short rows follow each other in memory.
  for (int64_t begin = 0, k = 0; begin < n * inner; begin += Indices::kPiece) {
    int64_t m = std::min(Indices::kPiece, n * inner - begin), first = o * n * inner + begin;
    index.read(first, m, places);
    for (int64_t i = 0; i < m; ++i) {
      places[i] = places[i] * stride + inner_offsets[size_t(k)];
      if (++k == inner) k = 0;
    }
    f(first, m, outer_offset, places);
  }
}

// Divides (outer, n, inner) among threads by outer positions and columns.
template <class F>
void visit_axis_parallel(const array& indices, const array& indexed, const Strides& strides, int axis, const F& f) {
  int64_t size = indexed.shape()[size_t(axis)], n = indices.shape()[size_t(axis)];
  AroundAxis a(indexed.shape(), strides, axis);
  std::vector<int64_t> outer = a.outer_offsets(), inner = a.inner_offsets();
  Indices index(indices, axis, size);
  int64_t lanes = std::max<int64_t>(256, 8192 / std::max<int64_t>(n, 1));
  int64_t pieces = (a.inner + lanes - 1) / lanes;
  int64_t work = std::max<int64_t>(1, n * std::min(lanes, a.inner));
  parallel_for(a.outer * pieces, std::max<int64_t>(1, 8192 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t o = i / pieces, k = i % pieces * lanes;
      visit_axis(index, o, n, a.inner, k, std::min(k + lanes, a.inner), outer[size_t(o)], inner, strides[size_t(axis)], f);
    }
  });
}

}  // namespace mx::cpu

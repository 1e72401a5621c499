// copy.cpp — copies between layouts. Dimensions are first sorted by the destination's strides, so that
// writing goes through memory once; then one of three loops runs: memcpy, blocks of a transpose, or runs.
// Start at copy_bits().

#include "backend/cpu/copy.h"

#include <algorithm>
#include <cstdlib>

#include "backend/cpu/pool.h"
#include "backend/cpu/strided.h"

namespace mx::cpu {

namespace {

constexpr int64_t kGrainBytes = 64 << 10;

enum Operand : size_t { kDst, kSrc };

// The dimensions with the longest destination stride first, and merged.
Layout sorted_layout(const Shape& shape, const Strides& dst, const Strides& src) {
  Layout l = collapse(shape, {&dst, &src});
  auto step = [&](int d) { return std::abs(l.strides[kDst][static_cast<size_t>(d)]); };
  Axes order = all_axes(static_cast<int64_t>(l.shape.size()));
  if (std::is_sorted(order.begin(), order.end(), [&](int a, int b) { return step(a) > step(b); })) return l;
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return step(a) > step(b); });
  Shape s;
  Strides d, r;
  for (int k : order) {
    s.push_back(l.shape[static_cast<size_t>(k)]);
    d.push_back(l.strides[kDst][static_cast<size_t>(k)]);
    r.push_back(l.strides[kSrc][static_cast<size_t>(k)]);
  }
  return collapse(s, {&d, &r});
}

template <class T>
void copy_run(const T* src, int64_t src_stride, T* dst, int64_t dst_stride, int64_t n) {
  if (dst_stride == 1) {
    gather_run(src, src_stride, n, dst);
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i * dst_stride] = src[i * src_stride];
  }
}

template <class T>
void copy_runs(const Layout& l, const T* src, T* dst) {
  int64_t s = l.inner_stride(kSrc), d = l.inner_stride(kDst);
  parallel_for(l.size, kGrainBytes / static_cast<int64_t>(sizeof(T)), [&](int64_t begin, int64_t end) {
    for (Walk w(l, begin); w.index < end;) {
      int64_t n = std::min(w.run(), end - w.index);
      copy_run(src + w.offset(kSrc), s, dst + w.offset(kDst), d, n);
      w.advance(n);
    }
  });
}

// Innermost runs of a few elements (repeat, windows, pairs): a piece of the dimension above becomes the inner loop,
// once for each element of the run, while the piece is in cache.
template <class T>
void copy_short_runs(const Layout& l, const T* src, T* dst) {
  size_t p = l.shape.size() - 1;
  int64_t run = l.shape[p], s = l.strides[kSrc][p], d = l.strides[kDst][p];
  Layout rows = l;
  rows.shape[p] = 1;
  rows = collapse(rows.shape, {&l.strides[kDst], &l.strides[kSrc]});
  int64_t src_row = rows.inner_stride(kSrc), dst_row = rows.inner_stride(kDst);
  int64_t grain = std::max<int64_t>(1, kGrainBytes / static_cast<int64_t>(sizeof(T)) / run);
  parallel_for(rows.size, grain, [&](int64_t begin, int64_t end) {
    for (Walk w(rows, begin); w.index < end;) {
      int64_t n = std::min({w.run(), end - w.index, int64_t(256)});
      for (int64_t i = 0; i < run; ++i) {
        copy_run(src + w.offset(kSrc) + i * s, src_row, dst + w.offset(kDst) + i * d, dst_row, n);
      }
      w.advance(n);
    }
  });
}

// One block of at most B x B: rows of `src` lie src_row apart and are contiguous, as are rows of `dst`, and
// a row of one is a column of the other. Going through `block` reads and writes each cache line once, however badly
// the row strides map to the cache.
template <class T, int B>
void transpose_block(const T* src, int64_t src_row, T* dst, int64_t dst_row, int64_t src_rows, int64_t dst_rows) {
  T block[B][B];
  if (src_rows == B && dst_rows == B) {
    for (int i = 0; i < B; ++i) {
      T line[B];
      std::memcpy(line, src + i * src_row, sizeof(line));
      for (int j = 0; j < B; ++j) block[j][i] = line[j];
    }
    for (int j = 0; j < B; ++j) std::memcpy(dst + j * dst_row, block[j], sizeof(block[j]));
  } else {
    for (int64_t j = 0; j < dst_rows; ++j) {
      for (int64_t i = 0; i < src_rows; ++i) dst[j * dst_row + i] = src[i * src_row + j];
    }
  }
}

// The destination is contiguous along the last dimension, the source along dimension `q`.
template <class T>
void copy_transposed(const Layout& l, size_t q, const T* src, T* dst) {
  constexpr int kBlock = 64 / sizeof(T);
  size_t p = l.shape.size() - 1;
  int64_t rows = l.shape[q], cols = l.shape[p];
  int64_t src_row = l.strides[kSrc][p], dst_row = l.strides[kDst][q];
  Layout outer = l;
  outer.shape[p] = outer.shape[q] = 1;
  outer = collapse(outer.shape, {&l.strides[kDst], &l.strides[kSrc]});
  int64_t bands = (rows + kBlock - 1) / kBlock;
  int64_t grain = std::max<int64_t>(1, kGrainBytes / static_cast<int64_t>(sizeof(T)) / (kBlock * cols));
  parallel_for(outer.size * bands, grain, [&](int64_t begin, int64_t end) {
    Walk w(outer, begin / bands);
    for (int64_t k = begin; k < end; ++k) {
      int64_t j = k % bands * kBlock;
      const T* s = src + w.offset(kSrc) + j;
      T* d = dst + w.offset(kDst) + j * dst_row;
      int64_t n_j = std::min<int64_t>(kBlock, rows - j);
      for (int64_t i = 0; i < cols; i += kBlock) {
        transpose_block<T, kBlock>(s + i * src_row, src_row, d + i, dst_row, std::min<int64_t>(kBlock, cols - i), n_j);
      }
      if (k % bands == bands - 1) w.advance(1);
    }
  });
}

template <class T>
void copy_bits(const Shape& shape, const Strides& dst_strides, const Strides& src_strides, const T* src, T* dst) {
  Layout l = sorted_layout(shape, dst_strides, src_strides);
  if (l.size == 0) return;
  size_t p = l.shape.size() - 1;
  if (l.strides[kDst][p] == 1 && l.strides[kSrc][p] != 1) {
    for (size_t q = 0; q < p; ++q) {
      if (l.strides[kSrc][q] == 1 && l.shape[q] > 3 && l.shape[p] > 3) return copy_transposed(l, q, src, dst);
    }
  }
  if (p > 0 && l.shape[p] < 16 && l.shape[p - 1] > l.shape[p]) return copy_short_runs(l, src, dst);
  copy_runs(l, src, dst);
}

}  // namespace

void copy_strided(const void* src, const Strides& src_strides, void* dst, const Strides& dst_strides, const Shape& shape,
                  size_t itemsize) {
  auto copy = [&](auto tag) {
    using T = decltype(tag);
    copy_bits(shape, dst_strides, src_strides, static_cast<const T*>(src), static_cast<T*>(dst));
  };
  switch (itemsize) {
    case 1: return copy(uint8_t());
    case 2: return copy(uint16_t());
    case 4: return copy(uint32_t());
    default: return copy(uint64_t());
  }
}

void copy_to(const array& x, void* dst) {
  if (x.bytes() == dst && x.row_contiguous()) return;  // an update that took over the memory of its input
  copy_strided(x.bytes(), x.strides(), dst, row_strides(x.shape()), x.shape(), x.itemsize());
}

void copy_kernel(const Task& task) {
  // A reshape has another shape: what counts is the order of the elements.
  copy_to(task.in[0], task.out[0].bytes());
}

}  // namespace mx::cpu

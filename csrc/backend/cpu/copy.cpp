// copy.cpp — copies between layouts. Dimensions are first sorted by the destination's strides, so that
// writing goes through memory once; then one of three loops runs: rows, short runs, or blocks of a transpose
// (copy_transpose.h). What will not be found in a cache anyway is written past it. Start at copy_bits().

#include "backend/cpu/copy.h"

#include <algorithm>
#include <cstdlib>

#include "backend/cpu/clones.h"
#include "backend/cpu/copy_transpose.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/stream.h"
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

// `rows` runs of n elements.
template <class T>
MX_CLONES void copy_rows(const T* src, int64_t src_row, int64_t src_step, T* dst, int64_t dst_row, int64_t dst_step, int64_t rows,
                         int64_t n) {
  constexpr int64_t wide = 32 / static_cast<int64_t>(sizeof(T));
  if (dst_step != 1) {
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) {
      for (int64_t i = 0; i < n; ++i) dst[i * dst_step] = src[i * src_step];
    }
  } else if (src_step == 1 && n >= wide && n <= 16 * wide) {
    // Too short for the call of memcpy. The last vector overlaps the one before.
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) {
      for (int64_t i = 0; i < n - wide; i += wide) __builtin_memcpy(dst + i, src + i, 32);
      __builtin_memcpy(dst + n - wide, src + n - wide, 32);
    }
  } else if (src_step == 1) {
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else if (src_step == -1) {
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) {
      for (int64_t i = 0; i < n; ++i) dst[i] = src[-i];
    }
  } else if (src_step == 2) {
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) {
      for (int64_t i = 0; i < n; ++i) dst[i] = src[2 * i];
    }
  } else {
    for (int64_t r = 0; r < rows; ++r, src += src_row, dst += dst_row) gather_run(src, src_step, n, dst);
  }
}

template <class T>
void copy_runs(const Layout& l, const T* src, T* dst) {
  size_t p = l.shape.size() - 1;
  int64_t n = l.shape[p], s = l.inner_stride(kSrc), d = l.inner_stride(kDst);
  Layout outer = l;
  outer.shape[p] = 1;
  outer = collapse(outer.shape, {&l.strides[kDst], &l.strides[kSrc]});
  int64_t src_row = outer.inner_stride(kSrc), dst_row = outer.inner_stride(kDst);
  bool stream = s == 1 && d == 1 && static_cast<size_t>(l.size) * sizeof(T) >= kStreamBytes && static_cast<size_t>(n) * sizeof(T) >= 2048;
  parallel_for(l.size, kGrainBytes / static_cast<int64_t>(sizeof(T)), [&](int64_t begin, int64_t end) {
    Walk w(outer, begin / n);
    for (int64_t at = begin % n; begin < end;) {
      const T* from = src + w.offset(kSrc) + at * s;
      T* to = dst + w.offset(kDst) + at * d;
      int64_t rows = at ? 0 : std::min(w.run(), (end - begin) / n), part = std::min(n - at, end - begin);
      if (stream) {
        stream_copy(to, from, static_cast<size_t>(part) * sizeof(T));
        rows = 0;
      } else {
        copy_rows(from, src_row, s, to, dst_row, d, std::max<int64_t>(rows, 1), rows ? n : part);
      }
      begin += rows ? rows * n : part;
      if (rows || at + part == n) {
        w.advance(std::max<int64_t>(rows, 1));
        at = 0;
      }
    }
    if (stream) stream_fence();
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

// The destination is contiguous along the last dimension, the source along dimension `q`.
template <class T>
void copy_transposed(const Layout& l, size_t q, const T* src, T* dst) {
  constexpr int64_t kCols = 1024;
  size_t p = l.shape.size() - 1;
  int64_t rows = l.shape[p], cols = l.shape[q];
  int64_t src_row = l.strides[kSrc][p], dst_row = l.strides[kDst][q];
  Layout outer = l;
  outer.shape[p] = outer.shape[q] = 1;
  outer = collapse(outer.shape, {&l.strides[kDst], &l.strides[kSrc]});
  // A band of source rows is as high as the blocks that make up a tile, a tile as wide as a band is cut.
  int64_t high = kTransposeRows<T>, bands = (rows - 1) / high + 1, tiles = (cols - 1) / kCols + 1;
  int64_t work = std::min(high, rows) * std::min(kCols, cols) * static_cast<int64_t>(sizeof(T));
  bool stream = static_cast<size_t>(l.size) * sizeof(T) >= kStreamBytes / 4;
  parallel_for(outer.size * bands * tiles, std::max<int64_t>(1, kGrainBytes / work), [&](int64_t begin, int64_t end) {
    Walk w(outer, begin / (bands * tiles));
    for (int64_t k = begin; k < end; ++k) {
      int64_t i = k / tiles % bands * high, j = k % tiles * kCols;
      transpose_tile(src + w.offset(kSrc) + i * src_row + j, src_row, dst + w.offset(kDst) + j * dst_row + i, dst_row,
                     std::min(high, rows - i), std::min(kCols, cols - j), stream);
      if (k % (bands * tiles) == bands * tiles - 1) w.advance(1);
    }
    if (stream) stream_fence();
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

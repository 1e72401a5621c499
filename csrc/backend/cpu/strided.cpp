#include "backend/cpu/strided.h"

#include "backend/cpu/copy_transpose.h"
#include "base/dtype.h"

namespace mx::cpu {

Walk::Walk(const Layout& layout, int64_t begin) : index(begin), layout_(&layout) {
  size_t n_dims = layout.shape.size();
  position_.resize(n_dims, 0);
  offsets_.resize(layout.strides.size(), 0);
  for (size_t d = n_dims; d-- > 0 && begin > 0;) {
    int64_t size = layout.shape[d];
    // The outermost keeps what is left, so that a walk may stand at the end.
    position_[d] = d ? begin % size : begin;
    begin /= size;
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += position_[d] * layout.strides[k][d];
  }
}

void Walk::advance(int64_t n) {
  const Layout& l = *layout_;
  index += n;
  size_t d = l.shape.size() - 1;
  position_[d] += n;
  for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += n * l.strides[k][d];
  while (d > 0 && position_[d] == l.shape[d]) {
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += l.strides[k][d - 1] - position_[d] * l.strides[k][d];
    position_[d] = 0;
    ++position_[--d];
  }
}

Reader::Reader(const void* first, size_t itemsize, const Shape& shape, const Strides& strides)
    : first_(static_cast<const std::byte*>(first)), itemsize_(itemsize), layout_(collapse(shape, {&strides})) {}

namespace {

template <class T>
const void* read_bits(const Layout& layout, const std::byte* first, int64_t begin, int64_t n, void* scratch) {
  const T* src = reinterpret_cast<const T*>(first);
  Walk walk(layout, begin);
  int64_t stride = layout.inner_stride(0);
  if (stride == 1 && walk.run() >= n) return src + walk.offset(0);
  T* dst = static_cast<T*>(scratch);
  // Whole runs of what is transposed: several at a time, a cache line of the source across.
  size_t d = layout.shape.size();
  int64_t length = layout.inner();
  bool turned = d > 1 && stride != 1 && stride != 0 && layout.strides[0][d - 2] == 1 && length >= 8;
  while (n > 0) {
    int64_t run = std::min(n, walk.run());
    if (turned && run == length && n >= 4 * length) {
      int64_t rows = std::min(n / length, walk.outer_run());
      transpose_tile(src + walk.offset(0), stride, dst, length, length, rows, false);
      dst += rows * length;
      n -= rows * length;
      for (; rows > 0; --rows) walk.advance(length);
      continue;
    }
    gather_run(src + walk.offset(0), stride, run, dst);
    dst += run;
    n -= run;
    walk.advance(run);
  }
  return scratch;
}

}  // namespace

const void* Reader::read(int64_t begin, int64_t n, void* scratch) const {
  if (contiguous()) return first_ + begin * static_cast<int64_t>(itemsize_);
  switch (itemsize_) {
    case 1: return read_bits<uint8_t>(layout_, first_, begin, n, scratch);
    case 2: return read_bits<uint16_t>(layout_, first_, begin, n, scratch);
    case 4: return read_bits<uint32_t>(layout_, first_, begin, n, scratch);
    default: return read_bits<uint64_t>(layout_, first_, begin, n, scratch);
  }
}

}  // namespace mx::cpu

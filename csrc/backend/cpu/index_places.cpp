// index_places.cpp — see index_places.h.

#include "backend/cpu/index_places.h"

#include "backend/cpu/clones.h"

namespace mx::cpu {

namespace {

[[noreturn]] void refuse(const std::string& index, int axis, int64_t size) {
  throw IndexError(cat("[index] index ", index, " is out of bounds for axis ", axis, " with size ", size, "; need ", -size,
                       " <= index < ", size, "."));
}

// Positions of indices, negative ones wrapped; false if one is out of bounds.
template <class I>
MX_CLONES bool wrap(const I* from, int64_t n, int64_t size, int64_t* to) {
  uint64_t wrong = 0;
  for (int64_t i = 0; i < n; ++i) {
    // A negative index becomes a huge one unless it wraps into the axis; so does a huge unsigned one.
    int64_t at = static_cast<int64_t>(from[i]);
    if constexpr (std::is_signed_v<I>) at += at < 0 ? size : 0;
    to[i] = at;
    // The sign of this is set if at < 0 or at >= size.
    wrong |= uint64_t(at) | (uint64_t(size - 1) - uint64_t(at));
  }
  return !(wrong >> 63);
}

}  // namespace

void Indices::read(int64_t begin, int64_t n, int64_t* to) const {
  dispatch(dtype_, [&](auto tag) {
    using I = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<I> && !std::is_same_v<I, bool>) {
      alignas(8) std::byte scratch[kPiece * sizeof(I)];
      const I* from = static_cast<const I*>(reader_.read(begin, n, static_cast<void*>(scratch)));
      if (wrap(from, n, size_, to)) return;
      for (int64_t i = 0; i < n; ++i) {
        if (to[i] < 0 || to[i] >= size_) refuse(std::to_string(from[i]), axis_, size_);
      }
    } else {
      throw DtypeError(cat("[index] indices must be integers: dtype is ", dtype_, "."));
    }
  });
}

MX_CLONES void add_offsets(int64_t* places, int64_t n, int64_t stride, const int64_t* offsets) {
  if (!offsets) {
    for (int64_t i = 0; i < n; ++i) places[i] *= stride;
  } else {
    for (int64_t i = 0; i < n; ++i) places[i] = places[i] * stride + offsets[i];
  }
}

std::vector<int64_t> offsets_of(const Layout& layout) {
  std::vector<int64_t> offsets(static_cast<size_t>(layout.size));
  for (Walk w(layout); w.index < layout.size;) {
    int64_t n = w.run(), first = w.offset(0), stride = layout.inner_stride(0);
    for (int64_t i = 0; i < n; ++i) offsets[static_cast<size_t>(w.index + i)] = first + i * stride;
    w.advance(n);
  }
  return offsets;
}

}  // namespace mx::cpu

// Walking and copying arrays of any strides, against element-by-element loops.
#include <doctest/doctest.h>

#include <numeric>
#include <random>
#include <vector>

#include "backend/cpu/copy.h"
#include "backend/cpu/strided.h"

using namespace mx;
using namespace mx::cpu;

namespace {

// A shape, and strides that permute, skip, reverse or repeat.
struct Case {
  Shape shape;
  Strides strides;
  int64_t first = 0;  // Where element 0 is in a block of `extent` elements.
  int64_t extent = 1;
};

Case random_case(std::mt19937& rng, bool may_repeat) {
  Case c;
  size_t n_dims = rng() % 5;
  for (size_t d = 0; d < n_dims; ++d) c.shape.push_back(std::vector<int64_t>{1, 2, 3, 5, 17, 20}[rng() % 6]);
  std::vector<size_t> order(n_dims);
  std::iota(order.begin(), order.end(), size_t(0));
  std::shuffle(order.begin(), order.end(), rng);
  c.strides.resize(n_dims);
  for (size_t d : order) {
    int64_t step = c.extent * (rng() % 4 ? 1 : 2);
    if (may_repeat && rng() % 6 == 0) continue;
    c.strides[d] = step;
    c.extent = step * (c.shape[d] - 1) + c.extent;
    if (rng() % 5 == 0) {
      c.first += step * (c.shape[d] - 1);
      c.strides[d] = -step;
    }
  }
  return c;
}

// Offset of the element at `index` in row order.
int64_t offset(const Case& c, int64_t index) {
  int64_t at = c.first;
  for (size_t d = c.shape.size(); d-- > 0;) {
    at += index % c.shape[d] * c.strides[d];
    index /= c.shape[d];
  }
  return at;
}

template <class T>
bool copies_right(const Case& c) {
  std::vector<T> src(static_cast<size_t>(c.extent)), dst(static_cast<size_t>(n_elems(c.shape)), T(99));
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<T>(i);
  copy_strided(src.data() + c.first, c.strides, dst.data(), row_strides(c.shape), c.shape, sizeof(T));
  for (size_t i = 0; i < dst.size(); ++i) {
    if (dst[i] != src[static_cast<size_t>(offset(c, static_cast<int64_t>(i)))]) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("collapse merges what can be merged") {
  Strides row = row_strides({2, 3, 4}), column{1, 2, 6}, constant{0, 0, 0};
  CHECK(collapse({2, 3, 4}, {&row}).contiguous(0));
  CHECK(collapse({2, 3, 4}, {&constant}).constant(0));
  CHECK(collapse({2, 3, 4}, {&row, &column}).shape.size() == 3);
  Strides padded{24, 4, 1};
  CHECK(collapse({2, 3, 4}, {&padded, &padded}).shape == Shape{2, 12});
  CHECK(collapse({}, {}).shape == Shape{1});
  CHECK(collapse({1, 5, 1}, {&row}).shape == Shape{5});
}

TEST_CASE("a walk and a reader give elements in row order from any start") {
  std::mt19937 rng(1);
  for (int k = 0; k < 300; ++k) {
    Case c = random_case(rng, true);
    std::vector<int32_t> memory(static_cast<size_t>(c.extent));
    std::iota(memory.begin(), memory.end(), 0);
    int64_t size = n_elems(c.shape), begin = static_cast<int64_t>(rng()) % size, end = begin + static_cast<int64_t>(rng()) % (size - begin + 1);
    Layout l = collapse(c.shape, {&c.strides});
    bool right = true;
    int64_t i = begin;
    for (Walk w(l, begin); w.index < end;) {
      int64_t n = std::min(w.run(), end - w.index);
      for (int64_t q = 0; q < n; ++q) right &= c.first + w.offset(0) + q * l.inner_stride(0) == offset(c, i++);
      w.advance(n);
    }
    CHECK(right);
    CHECK(i == end);
    Reader reader(memory.data() + c.first, sizeof(int32_t), c.shape, c.strides);
    std::vector<int32_t> scratch(static_cast<size_t>(end - begin) + 1);
    const int32_t* read = reader.read(begin, end - begin, scratch.data());
    for (int64_t q = begin; q < end; ++q) right &= read[q - begin] == offset(c, q);
    CHECK(right);
  }
}

TEST_CASE("copies of every element size from any strides") {
  std::mt19937 rng(2);
  for (int k = 0; k < 400; ++k) {
    Case c = random_case(rng, true);
    CHECK(copies_right<uint8_t>(c));
    CHECK(copies_right<uint16_t>(c));
    CHECK(copies_right<uint32_t>(c));
    CHECK(copies_right<uint64_t>(c));
  }
}

TEST_CASE("large transposes of odd sizes") {
  for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1000, 777}, {4, 100000}, {33, 4097}, {512, 512}}) {
    Case c{{rows, cols}, {1, rows}, 0, rows * cols};
    CHECK(copies_right<uint8_t>(c));
    CHECK(copies_right<uint32_t>(c));
    CHECK(copies_right<uint64_t>(c));
    Case batched{{3, rows, cols}, {rows * cols, 1, rows}, 0, 3 * rows * cols};
    CHECK(copies_right<uint16_t>(batched));
  }
}

TEST_CASE("copies into strided memory leave the gaps alone") {
  std::mt19937 rng(3);
  for (int k = 0; k < 200; ++k) {
    Case c = random_case(rng, false);
    int64_t size = n_elems(c.shape);
    std::vector<uint32_t> src(static_cast<size_t>(size)), dst(static_cast<size_t>(c.extent), 7u << 30), expected(dst);
    for (int64_t i = 0; i < size; ++i) {
      src[static_cast<size_t>(i)] = static_cast<uint32_t>(i);
      expected[static_cast<size_t>(offset(c, i))] = static_cast<uint32_t>(i);
    }
    copy_strided(src.data(), row_strides(c.shape), dst.data() + c.first, c.strides, c.shape, sizeof(uint32_t));
    CHECK(dst == expected);
  }
}

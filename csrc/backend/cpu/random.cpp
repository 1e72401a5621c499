// random.cpp — kernels of random bits and of fold_in. Word i of n and word i + ceil(n / 2) come from one Threefry
// block with those two numbers as its counter; the middle word of an odd number has its block to itself.

#include "backend/cpu/random.h"

#include <cstring>

#include "backend/cpu/clones.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/strided.h"
#include "ops/random_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kBlocks = 16;  ///< Threefry blocks computed side by side.

MX_INLINE void four_rounds(uint32_t (&a)[kBlocks], uint32_t (&b)[kBlocks], const int (&turns)[4], uint32_t add_a, uint32_t add_b) {
  for (int64_t j = 0; j < kBlocks; ++j) {
    uint32_t x = a[j], y = b[j];
    for (int t : turns) {
      x += y;
      y = (y << t | y >> (32 - t)) ^ x;
    }
    a[j] = x + add_a;
    b[j] = y + add_b;
  }
}

/// The blocks with counters (first, second), (first + 1, second + 1), ...
MX_CLONES void hash_blocks(Threefry key, uint32_t first, uint32_t second, uint32_t* out_a, uint32_t* out_b) {
  static constexpr int even[4] = {13, 15, 26, 6}, odd[4] = {17, 29, 16, 24};
  const uint32_t k0 = key.k0, k1 = key.k1, k2 = k0 ^ k1 ^ 0x1bd11bdau;
  uint32_t a[kBlocks], b[kBlocks];
  for (uint32_t j = 0; j < kBlocks; ++j) {
    a[j] = first + j + k0;
    b[j] = second + j + k1;
  }
  four_rounds(a, b, even, k1, k2 + 1);
  four_rounds(a, b, odd, k2, k0 + 2);
  four_rounds(a, b, even, k0, k1 + 3);
  four_rounds(a, b, odd, k1, k2 + 4);
  four_rounds(a, b, even, k2, k0 + 5);
  for (int64_t j = 0; j < kBlocks; ++j) {
    out_a[j] = a[j];
    out_b[j] = b[j];
  }
}

/// Keys of any strides, one after another.
class Keys {
 public:
  explicit Keys(const array& keys) : words_(keys.data<uint32_t>()), step_(keys.strides().back()) {
    Shape shape(keys.shape().begin(), keys.shape().end() - 1);
    Strides strides(keys.strides().begin(), keys.strides().end() - 1);
    layout_ = collapse(shape, {&strides});
  }
  int64_t size() const { return layout_.size; }
  Threefry operator[](int64_t i) const {
    const uint32_t* k = words_ + Walk(layout_, i).offset(0);
    return {k[0], k[step_]};
  }

 private:
  const uint32_t* words_;
  int64_t step_;
  Layout layout_;
};

/// Blocks [begin, end) of the words of one key, written as far as `n_bytes` goes.
void fill(Threefry key, int64_t begin, int64_t end, std::byte* out, int64_t n_bytes) {
  int64_t n_words = (n_bytes + 3) / 4, half = n_words / 2, upper = half + n_words % 2;
  uint32_t a[kBlocks], b[kBlocks];
  auto put = [&](int64_t word, const uint32_t* from, int64_t n) {
    std::memcpy(out + 4 * word, from, static_cast<size_t>(std::min(4 * n, n_bytes - 4 * word)));
  };
  for (int64_t i = begin; i < std::min(end, half); i += kBlocks) {
    int64_t n = std::min({kBlocks, end - i, half - i});
    hash_blocks(key, static_cast<uint32_t>(i), static_cast<uint32_t>(upper + i), a, b);
    put(i, a, n);
    put(upper + i, b, n);
  }
  if (upper > half && end > half) {
    uint32_t middle = key(static_cast<uint32_t>(half), 0).a;
    put(half, &middle, 1);
  }
}

}  // namespace

void random_bits_kernel(const Task& task) {
  array& out = task.out[0];
  if (out.size() == 0) return;
  Keys keys(task.in[0]);
  int64_t n_bytes = static_cast<int64_t>(out.n_bytes()) / keys.size();
  // Blocks of one key: its words two by two, and one for the middle word.
  int64_t n_blocks = ((n_bytes + 3) / 4 + 1) / 2;
  parallel_for(keys.size() * n_blocks, 4096, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t k = begin / n_blocks, first = begin % n_blocks, n = std::min(n_blocks - first, end - begin);
      fill(keys[k], first, first + n, out.bytes() + k * n_bytes, n_bytes);
      begin += n;
    }
  });
}

void fold_in_kernel(const Task& task) {
  array& out = task.out[0];
  Keys keys(task.in[0]);
  Reader data(task.in[1]);
  parallel_for(keys.size(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t scratch;
      uint64_t d = static_cast<uint64_t>(*data.read(i, 1, &scratch));
      // Two hashes: the first takes the key to a domain that random_bits and split never enter.
      Threefry::Words apart = keys[i](0xffffffffu, 0x666f6c64u);
      Threefry::Words key = Threefry{apart.a, apart.b}(static_cast<uint32_t>(d >> 32), static_cast<uint32_t>(d));
      out.data<uint32_t>()[2 * i] = key.a;
      out.data<uint32_t>()[2 * i + 1] = key.b;
    }
  });
}

}  // namespace mx::cpu

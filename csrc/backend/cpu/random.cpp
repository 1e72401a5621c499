// random.cpp — kernels of random bits, of numbers made of them, and of fold_in. Word i of n and word i + ceil(n / 2) come from one Threefry
// block with those two numbers as its counter; the middle word of an odd number has its block to itself.

#include "backend/cpu/random.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/instructions.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/random_lanes.h"
#include "backend/cpu/strided.h"
#include "ops/random_params.h"

namespace mx::cpu {

namespace {

const RandomLoops& loops() {
#if defined(__x86_64__)
  static const RandomLoops& best = best_of(random_avx512, random_avx2, random_baseline);
  return best;
#else
  return random_baseline;
#endif
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
void fill(RandomLoops::Bits words, Threefry key, int64_t begin, int64_t end, std::byte* out, int64_t n_bytes) {
  constexpr int64_t kPart = 256;
  int64_t n_words = (n_bytes + 3) / 4, half = n_words / 2, upper = half + n_words % 2;
  int64_t whole = n_bytes / 4 - upper;  // Blocks whose second word fits.
  auto counter = [](int64_t i) { return static_cast<uint32_t>(i); };
  if (int64_t last = std::min({end, half, whole}); begin < last) {
    words(key, counter(begin), counter(upper + begin), last - begin, out + 4 * begin, out + 4 * (upper + begin));
    begin = last;
  }
  uint32_t a[kPart], b[kPart];
  auto put = [&](int64_t word, const uint32_t* from, int64_t n) {
    std::memcpy(out + 4 * word, from, static_cast<size_t>(std::min(4 * n, n_bytes - 4 * word)));
  };
  for (; begin < std::min(end, half); begin += kPart) {
    int64_t n = std::min({kPart, end - begin, half - begin});
    words(key, counter(begin), counter(upper + begin), n, a, b);
    put(begin, a, n);
    put(upper + begin, b, n);
  }
  if (upper > half && end > half) {
    words(key, counter(half), 0, 1, a, b);
    put(half, a, 1);
  }
}

void fill_all(const Task& task, RandomLoops::Bits words, int64_t grain) {
  array& out = task.out[0];
  if (out.size() == 0) return;
  Keys keys(task.in[0]);
  int64_t n_bytes = static_cast<int64_t>(out.n_bytes()) / keys.size();
  // Blocks of one key: its words two by two, and one for the middle word.
  int64_t n_blocks = ((n_bytes + 3) / 4 + 1) / 2;
  parallel_for(keys.size() * n_blocks, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t k = begin / n_blocks, first = begin % n_blocks, n = std::min(n_blocks - first, end - begin);
      fill(words, keys[k], first, first + n, out.bytes() + k * n_bytes, n_bytes);
      begin += n;
    }
  });
}

}  // namespace

void random_bits_kernel(const Task& task) { fill_all(task, loops().bits, 8192); }

void random_draw_kernel(const Task& task) {
  switch (task.params.get<RandomDrawParams>().from) {
    case Distribution::unit: return fill_all(task, loops().unit, 8192);
    case Distribution::normal: return fill_all(task, loops().normal, 4096);
    default: return fill_all(task, loops().gumbel, 4096);
  }
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

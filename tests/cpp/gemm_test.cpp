// Matrix products against the three loops of the definition, on every path: tiles, thin, packed, all strides.
#include <doctest/doctest.h>

#include <cstring>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/instructions.h"

using namespace mx;
using namespace mx::cpu;

namespace {

std::mt19937 rng(1);

template <class S>
std::vector<S> random_elements(int64_t n) {
  std::vector<S> x(static_cast<size_t>(n));
  for (S& e : x) e = S(static_cast<float>(static_cast<int>(rng() % 33) - 16) / 16);
  return x;
}

struct Sizes {
  int64_t m, n, k;
};

// Checks one product; rows of all matrices are `gap` elements longer than they need to be.
template <class S>
bool multiplies_right(Sizes s, bool a_transposed, bool b_transposed, bool addend, int64_t gap) {
  using T = Accumulator<S>;
  int64_t lda = (a_transposed ? s.m : s.k) + gap, ldb = (b_transposed ? s.k : s.n) + gap, ldo = s.n + gap;
  auto a = random_elements<S>((a_transposed ? s.k : s.m) * lda), b = random_elements<S>((b_transposed ? s.n : s.k) * ldb);
  auto c = random_elements<S>(s.n);
  std::vector<S> out(static_cast<size_t>(s.m * ldo), S(-7.0f));
  Gemm<S> g{.m = s.m, .n = s.n, .k = s.k, .a = a.data(), .a_row = a_transposed ? 1 : lda, .a_col = a_transposed ? lda : 1, .b = b.data(),
            .b_row = b_transposed ? 1 : ldb, .b_col = b_transposed ? ldb : 1, .out = out.data(), .out_row = ldo};
  if (addend) {
    g.alpha = T(0.5);
    g.beta = T(2);
    g.c = c.data();
    g.c_col = 1;
  }
  gemm(g);
  double unit = std::is_same_v<S, double> ? 1e-14 : 1e-6;
  double rounding = std::is_same_v<S, float16_t> ? 1e-3 : std::is_same_v<S, bfloat16_t> ? 8e-3 : unit;
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < ldo; ++j) {
      auto got = static_cast<double>(static_cast<T>(out[static_cast<size_t>(i * ldo + j)]));
      if (j >= s.n) {
        if (got != -7.0) return false;
        continue;
      }
      double sum = 0;
      for (int64_t p = 0; p < s.k; ++p) {
        sum += static_cast<double>(static_cast<T>(g.a[i * g.a_row + p * g.a_col])) * static_cast<double>(static_cast<T>(g.b[p * g.b_row + j * g.b_col]));
      }
      if (addend) sum = 0.5 * sum + 2 * static_cast<double>(static_cast<T>(c[static_cast<size_t>(j)]));
      if (!(std::abs(got - sum) <= rounding * (std::abs(sum) + 1) + unit * static_cast<double>(s.k))) return false;
    }
  }
  return true;
}

template <class S>
void check_all_layouts(Sizes s) {
  CAPTURE(s.m);
  CAPTURE(s.n);
  CAPTURE(s.k);
  for (int q = 0; q < 8; ++q) {
    CAPTURE(q);
    CHECK(multiplies_right<S>(s, q & 1, q & 2, q & 4, q % 3));
  }
}

}  // namespace

TEST_CASE("products of all small sizes") {
  const int64_t sizes[] = {1, 2, 3, 5, 7, 13, 16, 31, 32, 33, 64, 65, 100};
  auto pick = [&] { return sizes[rng() % std::size(sizes)]; };
  for (int i = 0; i < 60; ++i) {
    check_all_layouts<float>({pick(), pick(), pick()});
    check_all_layouts<double>({pick(), pick(), pick()});
    check_all_layouts<float16_t>({pick(), pick(), pick()});
    check_all_layouts<bfloat16_t>({pick(), pick(), pick()});
  }
}

TEST_CASE("deep, thin and large products") {
  for (Sizes s : {Sizes{1, 1030, 515}, {3, 2000, 70}, {4, 515, 1030}, {1, 1, 40000}, {3, 2, 40000}, {2000, 2, 70}, {2100, 1, 64},
                  {8, 300, 500}, {130, 140, 900}, {97, 193, 385}}) {
    check_all_layouts<float>(s);
    check_all_layouts<bfloat16_t>(s);
  }
  check_all_layouts<double>({130, 140, 900});
}

TEST_CASE("an empty sum is zero, or the addend") {
  check_all_layouts<float>({3, 5, 0});
  check_all_layouts<float16_t>({3, 5, 0});
}

namespace {

template <class T>
void check_tiles(const TileKernels<T>& t) {
  for (int v = 1; v <= t.widest; ++v) {
    for (int rows = 1; rows <= t.rows[v]; ++rows) {
      int64_t k = 37, n = v * t.lanes;
      auto a = random_elements<T>(rows * k), b = random_elements<T>(n * k), c = random_elements<T>(rows * n);
      std::vector<T> got(c), expected(c);
      t.tile[v][rows](k, a.data(), k, 1, b.data(), n, got.data(), n, true);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          for (int64_t p = 0; p < k; ++p) expected[static_cast<size_t>(i * n + j)] += a[static_cast<size_t>(i * k + p)] * b[static_cast<size_t>(p * n + j)];
        }
      }
      // Multiples of 1/256 below 2^10: every order of summation is exact.
      CHECK(got == expected);

      // Part of the last vector: the rest is neither written nor, where the table says so, read.
      for (int last = 1; last < t.lanes; ++last) {
        int64_t cols = n - t.lanes + last;
        std::vector<T> part(c), short_b;
        for (int64_t p = 0; p < k; ++p) short_b.insert(short_b.end(), b.begin() + p * n, b.begin() + p * n + cols);
        if (!t.reads_parts) short_b.resize(short_b.size() + static_cast<size_t>(t.lanes));
        t.part_tile[v][rows](k, a.data(), k, 1, short_b.data(), cols, part.data(), n, true, last);
        for (int64_t i = 0; i < rows; ++i) std::copy_n(c.begin() + i * n + cols, n - cols, expected.begin() + i * n + cols);
        CHECK(part == expected);
        for (int64_t i = 0; i < rows; ++i) std::copy_n(got.begin() + i * n + cols, n - cols, expected.begin() + i * n + cols);
      }
    }
  }
}

template <class S>
void check_conversions(void (*widen)(const S*, float*, int64_t), void (*narrow)(const float*, S*, int64_t)) {
  std::vector<S> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(i);
  std::vector<float> wide(all.size()), odd(100003);
  widen(all.data(), wide.data(), static_cast<int64_t>(all.size()));
  bool right = true;
  auto same = [](float x, float y) { return x == y || (x != x && y != y); };
  for (size_t i = 0; i < all.size(); ++i) right &= same(wide[i], static_cast<float>(all[i]));
  CHECK(right);
  for (float& x : odd) x = std::bit_cast<float>(static_cast<uint32_t>(rng()));
  std::vector<S> half(odd.size());
  narrow(odd.data(), half.data(), static_cast<int64_t>(odd.size()));
  for (size_t i = 0; i < odd.size(); ++i) right &= same(static_cast<float>(half[i]), static_cast<float>(S(odd[i])));
  CHECK(right);
}

void check_conversions(const TileKernels<float>& t) {
  check_conversions(t.widen_f16, t.narrow_f16);
  check_conversions(t.widen_bf16, t.narrow_bf16);
}

}  // namespace

TEST_CASE("conversions of half types round like the scalar ones") {
  check_conversions(tiles_baseline_f32);
#if defined(__x86_64__)
  if (has_avx2()) check_conversions(tiles_avx2_f32);
  if (has_avx512()) check_conversions(tiles_avx512_f32);
#endif
}

TEST_CASE("the tiles of every instruction set that this machine has") {
  check_tiles(tiles_baseline_f32);
  check_tiles(tiles_baseline_f64);
#if defined(__x86_64__)
  if (has_avx2()) {
    check_tiles(tiles_avx2_f32);
    check_tiles(tiles_avx2_f64);
  }
  if (has_avx512()) {
    check_tiles(tiles_avx512_f32);
    check_tiles(tiles_avx512_f64);
  }
#endif
}

TEST_CASE("the addend may be the result, however many blocks the inner dimension has") {
  for (int64_t k : {5, 300, 2000}) {
    for (int64_t n : {1, 40}) {
      CAPTURE(k);
      CAPTURE(n);
      int64_t m = 50;
      auto a = random_elements<double>(m * k), b = random_elements<double>(k * n), start = random_elements<double>(m * n), out = start;
      gemm(Gemm<double>{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k, .a_col = 1, .b = b.data(), .b_row = n, .b_col = 1, .out = out.data(),
                        .out_row = n, .alpha = 0.5, .beta = 2, .c = out.data(), .c_row = n, .c_col = 1});
      double worst = 0;
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 2 * start[static_cast<size_t>(i * n + j)];
          for (int64_t p = 0; p < k; ++p) sum += 0.5 * a[static_cast<size_t>(i * k + p)] * b[static_cast<size_t>(p * n + j)];
          worst = std::max(worst, std::abs(sum - out[static_cast<size_t>(i * n + j)]));
        }
      }
      CHECK(worst < 1e-11);
    }
  }
}

TEST_CASE("the result may be added to, in place") {
  for (int64_t k : {5, 100, 2000}) {
    for (int64_t n : {3, 40, 150}) {
      CAPTURE(k);
      CAPTURE(n);
      int64_t m = 50;
      auto a = random_elements<float>(m * k), b = random_elements<float>(k * n), start = random_elements<float>(m * n), out = start;
      gemm(Gemm<float>{.m = m, .n = n, .k = k, .a = a.data(), .a_row = k, .a_col = 1, .b = b.data(), .b_row = n, .b_col = 1, .out = out.data(),
                       .out_row = n, .beta = 1, .c = out.data(), .c_row = n, .c_col = 1});
      bool right = true;
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = static_cast<double>(start[static_cast<size_t>(i * n + j)]);
          for (int64_t p = 0; p < k; ++p) sum += double(a[static_cast<size_t>(i * k + p)]) * double(b[static_cast<size_t>(p * n + j)]);
          right &= sum == double(out[static_cast<size_t>(i * n + j)]);  // Multiples of 1/256: exact.
        }
      }
      CHECK(right);
    }
  }
}

namespace {

// The epilogue doubles an element and adds a number that tells its place.
template <class S>
bool epilogue_sees_every_element_once(Sizes s, bool a_transposed, bool b_transposed, bool addend) {
  using T = Accumulator<S>;
  auto a = random_elements<S>(s.m * s.k), b = random_elements<S>(s.k * s.n), c = random_elements<S>(s.n);
  std::vector<S> plain(static_cast<size_t>(s.m * s.n)), out = plain;
  Gemm<S> g{.m = s.m, .n = s.n, .k = s.k, .a = a.data(), .a_row = a_transposed ? 1 : s.k, .a_col = a_transposed ? s.m : 1, .b = b.data(),
            .b_row = b_transposed ? 1 : s.n, .b_col = b_transposed ? s.k : 1, .out = plain.data(), .out_row = s.n};
  if (addend) {
    g.beta = 2;
    g.c = c.data();
    g.c_col = 1;
  }
  gemm(g);
  auto change = [](S x, int64_t i, int64_t j) { return static_cast<S>(2 * static_cast<T>(x) + static_cast<T>(i % 5 - j % 3)); };
  g.out = out.data();
  g.epilogue.first_row = 7;
  g.epilogue.context = &change;
  g.epilogue.run = [](void* f, void* x, int64_t x_row, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        S& e = static_cast<S*>(x)[i * x_row + j];
        e = (*static_cast<decltype(change)*>(f))(e, row + i, col + j);
      }
    }
  };
  gemm(g);
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      auto at = static_cast<size_t>(i * s.n + j);
      S expected = change(plain[at], i + 7, j);
      if (std::memcmp(&expected, &out[at], sizeof(S)) != 0) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("an epilogue sees every element once, as it is without one") {
  for (Sizes s : {Sizes{1, 1, 1}, {5, 7, 0}, {33, 70, 20}, {100, 60, 700}, {3, 500, 300}, {300, 3, 70}, {300, 2, 100}, {200, 300, 1100}, {2, 1000, 600}}) {
    for (int q = 0; q < 8; ++q) {
      CAPTURE(s.m);
      CAPTURE(q);
      CHECK(epilogue_sees_every_element_once<float>(s, q & 1, q & 2, q & 4));
      CHECK(epilogue_sees_every_element_once<double>(s, q & 1, q & 2, q & 4));
      CHECK(epilogue_sees_every_element_once<float16_t>(s, q & 1, q & 2, q & 4));
      CHECK(epilogue_sees_every_element_once<bfloat16_t>(s, q & 1, q & 2, q & 4));
    }
  }
}

// Products of chosen, masked and segmented matrices against plain products.
#include <doctest/doctest.h>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/gather_matmul.h"
#include "ops/index.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {

double tolerance(Dtype t) { return t == Dtype::float64 ? 1e-12 : t == Dtype::float32 ? 1e-5 : 2e-2; }

array drawn(int64_t n, const Shape& shape, uint64_t seed) { return random::randint(array(0), array(n), shape, Dtype::int32, random::key(seed)); }

// Values and gradients of two functions agree.
void check_same(const Function& f, const Function& g, const Arrays& xs, double tolerance) {
  array y = f(xs)[0];
  CHECK(difference(y, g(xs)[0]) < tolerance);
  array ct = normal(y.shape(), 99, y.dtype());
  Arrays got = vjp(f, xs, {ct}).second, want = vjp(g, xs, {ct}).second;
  for (size_t i = 0; i < xs.size(); ++i) CHECK(difference(got[i], want[i]) < 4 * tolerance);
}

}  // namespace

TEST_CASE("chosen pairs of matrices, tall and short, in any order") {
  for (Dtype t : kFloating) {
    CAPTURE(t);
    for (int64_t m : {1, 3, 80}) {
      CAPTURE(m);
      array a = normal({30, m, 20}, 1, t), b = swapaxes(normal({4, 25, 20}, 2, t), -1, -2);
      array ia = drawn(30, {50}, 3), ib = drawn(4, {50}, 4);
      check_same([&](const Arrays& x) { return Arrays{gather_mm(x[0], x[1], ia, ib)}; },
                 [&](const Arrays& x) { return Arrays{matmul(take(x[0], ia, 0), take(x[1], ib, 0))}; }, {a, b}, tolerance(t));
      array sorted = astype(arange(30) / 8.0, Dtype::int32);
      check_same([&](const Arrays& x) { return Arrays{gather_mm(x[0], x[1], {}, sorted, true)}; },
                 [&](const Arrays& x) { return Arrays{matmul(x[0], take(x[1], sorted, 0))}; }, {a, b}, tolerance(t));
    }
  }
}

TEST_CASE("sums of more pairs than are copied at a time") {
  for (Dtype t : {Dtype::float32, Dtype::bfloat16}) {
    array a = normal({600, 40, 30}, 1, t), b = normal({2, 30, 100}, 2, t), ib = drawn(2, {600}, 3);
    check_same([&](const Arrays& x) { return Arrays{gather_mm(x[0], x[1], {}, ib)}; },
               [&](const Arrays& x) { return Arrays{astype(matmul(astype(x[0], Dtype::float32), take(astype(x[1], Dtype::float32), ib, 0)), t)}; },
               {a, b}, tolerance(t));
  }
}

TEST_CASE("indices out of bounds are refused where they are read") {
  array a = zeros({3, 2, 2});
  CHECK_THROWS_AS(gather_mm(a, a, array({3}), array({0})).eval(), IndexError);
  CHECK_THROWS_AS(gather_mm(a, a, array({0}), array({-4})).eval(), IndexError);
  CHECK_THROWS_AS(gather_mm(zeros({0, 2, 2}), a, array({0}), array({0})).eval(), IndexError);
  CHECK(difference(gather_mm(a, a, array({-1}), array({2})), zeros({1, 2, 2})) == 0);
}

TEST_CASE("masked blocks, boolean and scaled, with edges that do not fill a block") {
  for (Dtype t : kFloating) {
    CAPTURE(t);
    for (int block : {32, 64}) {
      int64_t m = 100, k = 170, n = 130;
      auto blocks = [&](int64_t size) { return (size + block - 1) / block; };
      auto whole = [&](const array& mask, int64_t rows, int64_t cols) {
        array all = repeat(repeat(astype(mask, t), block, -2), block, -1);
        return slice(all, Shape{0, 0, 0}, Shape{2, rows, cols});
      };
      for (bool boolean : {true, false}) {
        auto mask = [&](int64_t rows, int64_t cols, uint64_t seed) {
          array x = normal({2, blocks(rows), blocks(cols)}, seed, t);
          return boolean ? greater(x, array(0.0, t)) : where(greater(x, array(1.0, t)), zeros_like(x), x);
        };
        array o = mask(m, n, 1), l = mask(m, k, 2), r = mask(k, n, 3);
        check_same([&](const Arrays& x) { return Arrays{block_masked_mm(x[0], x[1], block, o, l, r)}; },
                   [&](const Arrays& x) { return Arrays{whole(o, m, n) * matmul(whole(l, m, k) * x[0], whole(r, k, n) * x[1])}; },
                   {normal({2, m, k}, 4, t), normal({2, k, n}, 5, t)}, 4 * tolerance(t));
      }
    }
  }
}

TEST_CASE("segments, overlapping, empty and beyond the end") {
  for (Dtype t : kFloating) {
    array a = normal({20, 90}, 1, t), b = swapaxes(normal({35, 90}, 2, t), 0, 1);
    array segments = reshape(array({0, 40, 30, 90, 50, 50, 80, 200, -7, 3}), {5, 2});
    check_same([&](const Arrays& x) { return Arrays{segmented_mm(x[0], x[1], segments)}; },
               [&](const Arrays& x) {
                 Arrays parts;
                 for (auto [begin, end] : {std::pair{0, 40}, {30, 90}, {50, 50}, {80, 90}, {0, 3}}) {
                   parts.push_back(matmul(slice_along(x[0], 1, begin, end), slice_along(x[1], 0, begin, end)));
                 }
                 return Arrays{stack(parts)};
               },
               {a, b}, tolerance(t));
  }
}

// Sorting and searching in every dtype, special values, stability, derivatives.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "ops/sort.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {

array scrambled(int64_t n, Dtype t, int64_t range) {
  std::mt19937 rng(7);
  std::vector<int> x(static_cast<size_t>(n));
  int low = is_unsigned(t) || t == Dtype::bool_ ? 0 : static_cast<int>(-range / 2);
  for (int& v : x) v = low + static_cast<int>(rng() % static_cast<unsigned>(t == Dtype::bool_ ? 2 : range));
  return astype(array::from<int>(x, {n}), t);
}
}  // namespace

TEST_CASE("sort and argsort in every dtype, short and long, along any axis") {
  for (int k = 0; k < kDtypeCount; ++k) {
    auto t = static_cast<Dtype>(k);
    CAPTURE(t);
    for (int64_t n : {1, 5, 700, 5000}) {
      array x = scrambled(n, t, 100);
      Values v = values(x), sorted = v;
      std::stable_sort(sorted.begin(), sorted.end());
      CHECK(values(sort(x, 0)) == sorted);
      std::vector<size_t> order(v.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return v[a] < v[b]; });
      CHECK(values(argsort(x, 0)) == Values(order.begin(), order.end()));
      CHECK(values(sort(stack({x, x}, 1), 0)) == values(stack({sort(x, 0), sort(x, 0)}, 1)));
      CHECK(values(sort(flip(x, 0), 0)) == sorted);
    }
  }
}

TEST_CASE("NaN goes last, -0 equals 0, infinities go to the ends") {
  float nan = std::nanf(""), inf = INFINITY;
  for (Dtype t : {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64}) {
    Values y = values(sort(astype(array{nan, 1.0f, -inf, inf, -nan, -1.0f}, t), 0));
    CHECK(Values(y.begin(), y.begin() + 4) == Values{-INFINITY, -1, 1, INFINITY});
    CHECK(std::isnan(y[4]));
    CHECK(std::isnan(y[5]));
    CHECK(values(argsort(astype(array{0.0f, nan, -0.0f, -1.0f, nan}, t), 0)) == Values{3, 0, 2, 1, 4});
  }
}

TEST_CASE("complex numbers sort by real, then imaginary part; parts that are NaN go last") {
  float nan = std::nanf("");
  std::vector<complex64_t> z{{nan, nan}, {nan, 0}, {1, nan}, {1, 2}, {1, -2}, {-3, 5}, {0, nan}};
  CHECK(values(argsort(array::from<complex64_t>(z, {7}), 0)) == Values{5, 4, 3, 6, 2, 1, 0});
  CHECK(values(real(slice_along(sort(array::from<complex64_t>(z, {7}), 0), 0, 0, 5))) == Values{-3, 1, 1, 0, 1});
}

TEST_CASE("partition and topk") {
  array x = scrambled(1000, Dtype::float32, 100000);
  Values sorted = values(sort(x, 0));
  for (int64_t kth : {0, 1, 500, 999, -1}) {
    Values y = values(partition(x, kth, 0));
    size_t at = static_cast<size_t>(kth < 0 ? kth + 1000 : kth);
    CHECK(y[at] == sorted[at]);
    CHECK(*std::max_element(y.begin(), y.begin() + static_cast<long>(at) + 1) == sorted[at]);
    CHECK(*std::min_element(y.begin() + static_cast<long>(at), y.end()) == sorted[at]);
    CHECK(values(take(x, argpartition(x, kth, 0), 0)) == y);
  }
  CHECK(values(topk(x, 3, 0)) == Values(sorted.end() - 3, sorted.end()));
  CHECK(topk(x, 0, 0).shape() == Shape{0});
  CHECK(values(topk(x, 1000, 0)) == sorted);
  CHECK_THROWS_AS(topk(x, 1001, 0), ValueError);
  CHECK_THROWS_AS(partition(x, 1000, 0), ValueError);
}

TEST_CASE("derivatives follow the permutation") {
  array x{3.0f, 1.0f, 2.0f};
  Function f = [](const Arrays& a) -> Arrays { return {sum(sort(a[0], 0) * array{1.0f, 10.0f, 100.0f})}; };
  CHECK(values(grad(f)({x})[0]) == Values{100, 1, 10});
  Function g = [](const Arrays& a) -> Arrays { return {topk(a[0], 2, 0)}; };
  CHECK(values(jvp(g, {x}, {array{5.0f, 6.0f, 7.0f}}).second[0]) == Values{7, 5});
}

TEST_CASE("searchsorted counts from the left or the right") {
  array s{1, 2, 2, 4};
  CHECK(values(searchsorted(s, array{0, 2, 3, 5})) == Values{0, 1, 3, 4});
  CHECK(values(searchsorted(s, array{0, 2, 3, 5}, true)) == Values{0, 3, 3, 4});
  CHECK(searchsorted(s, zeros({2, 0}, Dtype::int32)).shape() == Shape{2, 0});
  CHECK(values(searchsorted(zeros({0}), array{1.0f})) == Values{0});
  CHECK_THROWS_AS(searchsorted(zeros({2, 2}), array(1.0f)), ValueError);
}

TEST_CASE("unique fills up and cuts off") {
  Unique u = unique(array{3, 1, 1, 2}, 6);
  CHECK(values(u.values) == Values{1, 2, 3, 1, 1, 1});
  CHECK(values(u.index) == Values{1, 3, 0, 1, 1, 1});
  CHECK(values(u.inverse) == Values{2, 0, 0, 1});
  CHECK(values(u.counts) == Values{2, 1, 1, 0, 0, 0});
  u = unique(array{3, 1, 1, 2}, 2);
  CHECK(values(u.values) == Values{1, 2});
  CHECK(values(u.inverse) == Values{1, 0, 0, 1});
  CHECK(values(u.counts) == Values{2, 1});
  u = unique(array{5.0f, 5.0f}, 3, array(0.0f));
  CHECK(values(u.values) == Values{5, 0, 0});
  float nan = std::nanf("");
  CHECK(values(unique(array{nan, 1.0f, nan}, 3, array(0.0f)).counts) == Values{1, 2, 0});
  CHECK(values(unique(zeros({0}), 2).counts) == Values{0, 0});
}

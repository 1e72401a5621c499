// Running reductions: directions, long rows, special values, derivatives.
#include <doctest/doctest.h>

#include <cmath>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {
const double inf = INFINITY;
}  // namespace

TEST_CASE("scans run both ways, inclusive and exclusive") {
  array a{1.0f, 3.0f, 2.0f};
  CHECK(values(cumsum(a, 0)) == Values{1, 4, 6});
  CHECK(values(cumsum(a, 0, true)) == Values{6, 5, 2});
  CHECK(values(cumsum(a, 0, false, false)) == Values{0, 1, 4});
  CHECK(values(cumsum(a, 0, true, false)) == Values{5, 2, 0});
  CHECK(values(cumprod(a, 0, true)) == Values{6, 6, 2});
  CHECK(values(cummax(a, 0)) == Values{1, 3, 3});
  CHECK(values(cummax(a, 0, false, false)) == Values{-inf, 1, 3});
  CHECK(values(cummin(a, 0, true, false)) == Values{2, 2, inf});
  CHECK(values(logcumsumexp(a, 0, false, false))[0] == -inf);
  CHECK(values(cumargmax(array{1, 5, 5, 2}, 0)) == Values{0, 1, 1, 1});
  CHECK(values(cumargmin(array{1, 5, 1, 2}, 0, true)) == Values{2, 2, 2, 3});
  CHECK(cumsum(array{true, true}).dtype() == Dtype::int32);
  CHECK(values(cumsum(reshape(arange(6), {2, 3}))) == Values{0, 1, 3, 6, 10, 15});
  CHECK(cumsum(zeros({0, 2}), 0).shape() == Shape{0, 2});
  CHECK_THROWS_AS(cumsum(a, 1), AxisError);
}

TEST_CASE("long rows, every direction and layout, equal the loop") {
  for (int64_t n : {63, 64, 100, 8192, 8193, 50001}) {
    array x = astype(remainder(arange(n) * 7919, array(23)) - 11, Dtype::float32);
    Values v = values(x);
    for (bool reverse : {false, true}) {
      for (bool inclusive : {false, true}) {
        Values expected(v.size());
        double total = 0;
        for (size_t k = 0; k < v.size(); ++k) {
          size_t i = reverse ? v.size() - 1 - k : k;
          if (!inclusive) expected[i] = total;
          total += v[i];
          if (inclusive) expected[i] = total;
        }
        CAPTURE(n);
        CHECK(values(cumsum(x, 0, reverse, inclusive)) == expected);
        CHECK(values(cumsum(astype(x, Dtype::int32), 0, reverse, inclusive)) == expected);
        // As a column among others.
        array columns = cumsum(stack({x, x * 2.0, x}, 1), 0, reverse, inclusive);
        CHECK(values(slice_along(columns, 1, 0, 1)) == expected);
      }
    }
  }
}

TEST_CASE("a running product does not overflow where its factors cancel") {
  std::vector<float> x(4000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = i < 2000 ? 0.5f : 2.0f;
  for (double y : values(cumprod(array::from<float>(x, {4000}), 0))) CHECK(std::isfinite(y));
}

TEST_CASE("NaN stays in running extremes") {
  Values y = values(cummax(array{1.0f, std::nanf(""), 3.0f}, 0));
  CHECK(y[0] == 1);
  CHECK(std::isnan(y[1]));
  CHECK(std::isnan(y[2]));
}

TEST_CASE("logcumsumexp neither overflows nor makes NaN of -inf") {
  float low = -INFINITY;
  Values y = values(logcumsumexp(array{low, low, 1000.0f, 1000.0f, low}, 0));
  CHECK(y[0] == -inf);
  CHECK(y[1] == -inf);
  CHECK(y[2] == 1000);
  CHECK(y[3] == doctest::Approx(1000 + std::log(2)));
  Function f = [](const Arrays& x) -> Arrays { return {sum(logcumsumexp(x[0], 0))}; };
  for (double g : values(grad(f)({array{low, low, 0.0f, 1.0f, low}})[0])) CHECK(std::isfinite(g));
}

TEST_CASE("the derivative of cumprod is exact with several zeros, to second order") {
  array x = astype(array{2.0f, 0.0f, 3.0f, 0.0f, 4.0f}, Dtype::float64);
  Function f = [](const Arrays& a) -> Arrays { return {sum(cumprod(a[0], 0))}; };
  CHECK(values(grad(f)({x})[0]) == Values{1, 2 + 6, 0, 0, 0});
  // d2/dx1 dx3 of x0 x1 x2 x3 (1 + x4) = 2 * 3 * 5.
  Function g = [&](const Arrays& a) -> Arrays { return {grad(f)(a)[0]}; };
  array e1 = astype(array{0.0f, 1.0f, 0.0f, 0.0f, 0.0f}, Dtype::float64);
  CHECK(values(jvp(g, {x}, {e1}).second[0]) == Values{1 + 3, 0, 2, 30, 0});
}

TEST_CASE("the first of equal elements has the derivative of a running extreme") {
  Function f = [](const Arrays& a) -> Arrays { return {sum(cummax(a[0], 0))}; };
  CHECK(values(grad(f)({array{1.0f, 2.0f, 2.0f, 0.0f}})[0]) == Values{1, 3, 0, 0});
  Function r = [](const Arrays& a) -> Arrays { return {sum(cummin(a[0], 0, true))}; };
  CHECK(values(grad(r)({array{1.0f, 2.0f, 1.0f}})[0]) == Values{0, 0, 3});
}

TEST_CASE("linear_recurrence solves y[i] = a[i] y[i-1] + b[i] in both directions, and so do its derivatives") {
  array a{2.0f, 3.0f, 4.0f}, b{1.0f, 1.0f, 1.0f};
  CHECK(values(linear_recurrence(a, b, 0)) == Values{1, 4, 17});
  CHECK(values(linear_recurrence(a, b, 0, true)) == Values{2 * (3 * 1 + 1) + 1, 3 * 1 + 1, 1});
  Function f = [](const Arrays& x) -> Arrays { return {linear_recurrence(x[0], x[1], 0)}; };
  auto g = vjp(f, {a, b}, {array{0.0f, 0.0f, 1.0f}}).second;
  CHECK(values(g[1]) == Values{12, 4, 1});
  CHECK(values(g[0]) == Values{0, 4, 4});
}

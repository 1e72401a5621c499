// Convolutions in C++: shapes, errors, values; and every loop of the kernels against the definition.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "ops/cast.h"
#include "ops/conv.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {

array numbers(const Shape& shape, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<double> x(static_cast<size_t>(n_elems(shape)));
  for (double& v : x) v = static_cast<double>(rng() % 17) - 8;
  return array::from<double>(x, shape);
}

struct Case {
  Shape input, weight;
  int64_t stride = 1, low = 0, high = 0, kernel_dilation = 1, input_dilation = 1, groups = 1;
};

// One spatial axis, by the definition; small integers, so that every order of summation is exact.
std::vector<double> definition(const Case& c, const array& x, const array& w) {
  std::vector<double> in = values(x), kernel = values(w), out;
  int64_t n = c.input[1], k = c.weight[1], ci = c.weight[2], co = c.weight[0], spread = (n - 1) * c.input_dilation + 1;
  int64_t size = (spread + c.low + c.high - (k - 1) * c.kernel_dilation - 1) / c.stride + 1;
  for (int64_t b = 0; b < c.input[0]; ++b) {
    for (int64_t o = 0; o < size; ++o) {
      for (int64_t r = 0; r < co; ++r) {
        double sum = 0;
        for (int64_t t = 0; t < k; ++t) {
          int64_t at = o * c.stride + t * c.kernel_dilation - c.low;
          if (at < 0 || at >= spread || at % c.input_dilation != 0) continue;
          for (int64_t q = 0; q < ci; ++q) {
            int64_t channel = r / (co / c.groups) * ci + q;
            sum += in[static_cast<size_t>((b * n + at / c.input_dilation) * c.input[2] + channel)] * kernel[static_cast<size_t>((r * k + t) * ci + q)];
          }
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

void check(const Case& c) {
  CAPTURE(c.input);
  CAPTURE(c.weight);
  array x = numbers(c.input, 1), w = numbers(c.weight, 2);
  std::vector<double> expected = definition(c, x, w);
  for (Dtype t : {Dtype::float32, Dtype::float64, Dtype::complex64}) {
    Function f = [&](const Arrays& a) -> Arrays {
      return {conv_general(a[0], a[1], {c.stride}, {c.low}, {c.high}, {c.kernel_dilation}, {c.input_dilation}, c.groups)};
    };
    array a = astype(x, t), b = astype(w, t), y = f({a, b})[0];
    CHECK(y.dtype() == t);
    CHECK(values(is_complex(t) ? real(y) : y) == expected);
    if (is_complex(t)) continue;
    // <ct, conv(t, w)> = <pulled ct, t>, exactly.
    array ct = astype(numbers(y.shape(), 3), t), dx = astype(numbers(c.input, 4), t), dw = astype(numbers(c.weight, 5), t);
    Arrays pulled = vjp(f, {a, b}, {ct}).second;
    CHECK(sum(pulled[0] * dx).item<double>() == sum(ct * f({dx, b})[0]).item<double>());
    CHECK(sum(pulled[1] * dw).item<double>() == sum(ct * f({a, dw})[0]).item<double>());
  }
}

}  // namespace

TEST_CASE("convolutions of every kind meet the definition") {
  check({{2, 9, 3}, {4, 3, 3}});
  check({{1, 40, 20}, {33, 5, 20}, 1, 2, 2});
  check({{3, 30, 5}, {17, 4, 5}, 2, 3, 0, 2});
  check({{2, 50, 16}, {16, 3, 1}, 1, 1, 1, 1, 1, 16});
  check({{2, 50, 24}, {48, 3, 4}, 2, 1, 1, 1, 1, 6});
  check({{1, 20, 18}, {40, 4, 18}, 1, 3, 3, 1, 2});
  check({{2, 21, 6}, {6, 5, 1}, 3, 2, 4, 1, 2, 6});
  check({{1, 700, 1}, {1, 31, 1}, 1, 30, 30});
  check({{1, 12, 700}, {2, 3, 700}});
  check({{2, 10, 2}, {3, 2, 2}, 1, -2, -1});
  check({{2, 7, 64}, {64, 1, 64}});
}

TEST_CASE("long rows: many lines of outputs, tiles with several pieces, runs of taps") {
  check({.input = {3, 37, 20}, .weight = {18, 3, 20}, .low = 1, .high = 1});
  check({.input = {2, 70, 24}, .weight = {40, 5, 12}, .stride = 2, .low = 2, .high = 2, .groups = 2});
  check({.input = {2, 40, 16}, .weight = {32, 3, 16}, .low = 2, .high = 2, .kernel_dilation = 2});
  check({.input = {2, 19, 8}, .weight = {16, 4, 8}, .low = 3, .high = 2, .input_dilation = 2});
  check({.input = {2, 300, 3}, .weight = {16, 7, 3}, .stride = 2, .low = 3, .high = 3});
  for (int64_t n : {5, 9, 16, 31}) {
    check({.input = {2, n, 33}, .weight = {33, 7, 1}, .low = 3, .high = 3, .groups = 33});
    check({.input = {2, n, 16}, .weight = {16, 3, 1}, .low = 1, .high = 1, .groups = 16});
    check({.input = {2, 2 * n, 20}, .weight = {20, 5, 1}, .stride = 2, .low = 2, .high = 2, .groups = 20});
    check({.input = {1, n, 6}, .weight = {12, 11, 1}, .low = 5, .high = 5, .groups = 6});
  }
}

TEST_CASE("shapes") {
  array x = zeros({2, 10, 12, 6});
  CHECK(conv2d(x, zeros({8, 3, 5, 6})).shape() == Shape{2, 8, 8, 8});
  CHECK(conv2d(x, zeros({9, 3, 3, 2}), {2}, {1}, {1, 2}, 3).shape() == Shape{2, 5, 5, 9});
  CHECK(conv_transpose2d(x, zeros({8, 3, 3, 6}), {2, 1}, {1, 0}, {}, {1, 0}).shape() == Shape{2, 20, 14, 8});
  CHECK(conv3d(zeros({1, 4, 4, 4, 2}), zeros({3, 1, 2, 3, 2})).shape() == Shape{1, 4, 3, 2, 3});
  CHECK(conv1d(zeros({1, 5, 2}), zeros({3, 2, 2}, Dtype::float16)).dtype() == Dtype::float32);
  CHECK(values(convolve(array{1.0f, 2.0f, 3.0f}, array{0.0f, 1.0f, 0.5f})) == std::vector<double>{0, 1, 2.5, 4, 1.5});
}

TEST_CASE("what does not fit is refused") {
  array x = zeros({1, 6, 4}), w = zeros({2, 3, 4});
  CHECK_THROWS_AS(conv1d(x, zeros({2, 3, 3})), ValueError);
  CHECK_THROWS_AS(conv1d(x, zeros({2, 7, 4})), ValueError);
  CHECK_THROWS_AS(conv1d(x, zeros({2, 0, 4})), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, 0), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, 1, 0, -1), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, 1, 0, 1, 0), ValueError);
  CHECK_THROWS_AS(conv1d(x, zeros({3, 3, 2}), 1, 0, 1, 2), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, 1, -2), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, 1, int64_t(1) << 61), ValueError);
  CHECK_THROWS_AS(conv1d(x, w, int64_t(1) << 40), ValueError);
  CHECK_THROWS_AS(conv2d(x, w), ValueError);
  CHECK_THROWS_AS(conv_general(x, w, {1, 1}), ValueError);
  CHECK_THROWS_AS(conv_transpose1d(x, w, 1, 9), ValueError);
  CHECK_THROWS_AS(conv1d(astype(x, Dtype::int32), w), DtypeError);
  CHECK_THROWS_AS(convolve(zeros({0}), zeros({1})), ValueError);
  CHECK_THROWS_AS(convolve(zeros({2}), zeros({1}), "all"), ValueError);
}

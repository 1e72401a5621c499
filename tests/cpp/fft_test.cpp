// Fourier and Walsh-Hadamard transforms: values, shapes, plans, errors, derivatives.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "backend/cpu/fft_plan.h"
#include "base/error.h"
#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/fft.h"
#include "ops/hadamard.h"
#include "ops/movement.h"
#include "runtime/eval.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {

array noise(const Shape& shape) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  std::vector<complex64_t> x(static_cast<size_t>(n_elems(shape)));
  for (complex64_t& v : x) v = {normal(rng), normal(rng)};
  return array::from<complex64_t>(x, shape);
}

// The definition, in double precision.
double error_of(const array& x, const array& y, double sign) {
  std::vector<complex64_t> in = values<complex64_t>(x), out = values<complex64_t>(y);
  auto n = static_cast<int64_t>(in.size());
  double wrong = 0, all = 0;
  for (int64_t k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      double angle = sign * 2 * std::numbers::pi * double(j * k % n) / double(n);
      sum += std::complex<double>(in[size_t(j)]) * std::polar(1.0, angle);
    }
    wrong += std::norm(std::complex<double>(out[size_t(k)]) - sum);
    all += std::norm(sum);
  }
  return std::sqrt(wrong / all);
}

}  // namespace

TEST_CASE("transforms of every kind of size follow the definition") {
  for (int64_t n : {1, 2, 3, 5, 7, 8, 11, 12, 16, 60, 61, 67, 128, 192, 210, 256, 509, 1000, 1024, 1331}) {
    array x = noise({n});
    CHECK(error_of(x, fft::fft(x), -1) < 4e-7);
    CHECK(error_of(x, fft::ifft(x, {}, -1, fft::Norm::forward), 1) < 4e-7);
  }
}

TEST_CASE("shapes and dtypes of real transforms") {
  array x = noise({3, 8, 5});
  CHECK(fft::rfft(x).shape() == Shape{3, 8, 3});
  CHECK(fft::rfftn(x, {}, Axes{0, 1}).shape() == Shape{3, 5, 5});
  CHECK(fft::irfft(x).shape() == Shape{3, 8, 8});
  CHECK(fft::irfft(x, 7, 1).shape() == Shape{3, 7, 5});
  CHECK(fft::irfft(x).dtype() == Dtype::float32);
  CHECK(fft::fft(astype(real(x), Dtype::float64)).dtype() == Dtype::complex64);
  CHECK(fft::stft(real(noise({100})), 16).shape() == Shape{9, 26});
  CHECK(fft::istft(noise({9, 26}), {}).shape() == Shape{100});
}

TEST_CASE("wrong arguments throw") {
  array x = noise({4, 4});
  CHECK_THROWS_AS(fft::fft(x, 0), ValueError);
  CHECK_THROWS_AS(fft::fft(x, {}, 2), AxisError);
  CHECK_THROWS_AS(fft::fftn(x, {}, Axes{0, 0}), ValueError);
  CHECK_THROWS_AS(fft::fftn(x, Shape{2, 2}), ValueError);
  CHECK_THROWS_AS(fft::irfft(noise({1})), ValueError);
  CHECK_THROWS_AS(hadamard_transform(noise({6})), ValueError);
  CHECK_THROWS_AS(fft::parse_norm("none", "fft"), ValueError);
}

TEST_CASE("a plan is made once, and old ones make room") {
  auto plan = cpu::fft::plan_of(1000);
  CHECK(cpu::fft::plan_of(1000) == plan);
  CHECK(plan->kind != cpu::fft::Plan::chirp);
  CHECK(cpu::fft::plan_of(1009)->kind == cpu::fft::Plan::chirp);
  for (int64_t n = 3000; n < 3600; ++n) cpu::fft::plan_of(n);
  CHECK(cpu::fft::plan_of(1000) != plan);
}

TEST_CASE("roots of unity are symmetric and exact") {
  for (int64_t n : {1, 2, 3, 4, 8, 12, 1000, 65536}) {
    cpu::fft::Roots roots(n);
    for (int64_t k = 0; k < n; k += 1 + n / 50) {
      double angle = -2 * std::numbers::pi * double(k) / double(n);
      CHECK(std::abs(roots(k) - std::polar(1.0, angle)) < 3e-15);
    }
  }
}

TEST_CASE("the pullback of rfft is its transpose") {
  array x = real(noise({6})), ct = noise({4});
  array g = vjp([](const Arrays& a) { return Arrays{fft::rfft(a[0])}; }, {x}, {ct}).second[0];
  std::vector<complex64_t> want(6), c = values<complex64_t>(ct);
  for (size_t j = 0; j < 6; ++j) {
    for (size_t k = 0; k < 4; ++k) want[j] += c[k] * std::polar(1.0f, float(2 * std::numbers::pi * double(j * k) / 6));
  }
  std::vector<complex64_t> got = values<complex64_t>(g);
  for (size_t j = 0; j < 6; ++j) CHECK(got[j].real() == doctest::Approx(want[j].real()).epsilon(1e-5));
}

TEST_CASE("hadamard transforms of order 1 and 2") {
  array x = array::from<float>(std::vector<float>{3, 1}, {2});
  std::vector<complex64_t> y = values<complex64_t>(hadamard_transform(x, 1.0));
  CHECK(y[0] == complex64_t(4));
  CHECK(y[1] == complex64_t(2));
  CHECK(values<complex64_t>(hadamard_transform(array(5.0f)))[0] == complex64_t(5));
}

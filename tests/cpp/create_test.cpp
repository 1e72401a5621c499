// Creation: values and dtypes, no memory for constants, errors.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "mx.h"
#include "helpers.h"

using namespace mx;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("constants take no memory") {
  array a = zeros({1 << 20, 1 << 20}).eval();
  CHECK(a.storage().buffer->n_bytes <= 64);
  CHECK(a.strides() == Strides{0, 0});
  CHECK(values(full({2, 2}, 0.1, Dtype::float64)) == Values(4, 0.1));
  CHECK(values(full({2, 2}, array{1, 2})) == Values{1, 2, 1, 2});
  CHECK(full({2}, array(2.5f), Dtype::int32).dtype() == Dtype::int32);
  CHECK(ones_like(array{1, 2}).dtype() == Dtype::int32);
}

TEST_CASE("full lets the gradient through to its value") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(full({2, 3}, x[0]) * array{1.0f, 2.0f, 3.0f})}; };
  CHECK(values(grad(f)({array(5.0f)})[0]) == Values{12});
  CHECK(values(grad(f)({array{5.0f, 5.0f, 5.0f}})[0]) == Values{2, 4, 6});
}

TEST_CASE("sizes that cannot be are errors") {
  CHECK_THROWS_AS(zeros({-1, 2}), ValueError);
  CHECK_THROWS_AS(full({2}, array{1, 2, 3}), ValueError);
  CHECK_THROWS_AS(full({1}, array{1, 2, 3}), ValueError);
  CHECK_THROWS_AS(ones({int64_t(1) << 40, int64_t(1) << 40}), OverflowError);
  CHECK_THROWS_AS(eye(-1, 2), ValueError);
  CHECK_THROWS_AS(tri(2, -1), ValueError);
  CHECK_THROWS_AS(identity(int64_t(1) << 40), OverflowError);
  CHECK_THROWS_AS(linspace(0, 1, -1), ValueError);
  CHECK_THROWS_AS(tril(ones({3})), ValueError);
}

TEST_CASE("arange: integers are exact, floats start + i * step") {
  CHECK(values(arange(5)) == Values{0, 1, 2, 3, 4});
  CHECK(arange(5).dtype() == Dtype::int32);
  CHECK(values(arange(5, 0, -2)) == Values{5, 3, 1});
  CHECK(arange(5, 0).size() == 0);
  CHECK(arange(int64_t(1) << 40, (int64_t(1) << 40) + 2).dtype() == Dtype::int64);
  CHECK(arange((int64_t(1) << 31) - 2, int64_t(1) << 31).dtype() == Dtype::int32);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();
  array far = arange_int(kMin, kMax, kMax).eval();
  CHECK(far.size() == 3);
  CHECK(far.data<int64_t>()[2] == kMax - 1);
  CHECK_THROWS_AS(arange_int(kMin, kMax, 1), OverflowError);
  array tenth = arange(0.0, 1000.0, 0.1, Dtype::float64).eval();
  CHECK(tenth.size() == 10000);
  CHECK(tenth.data<double>()[9999] == 9999 * 0.1);
  CHECK(values(arange(0.5, 3.7, 0.7, Dtype::int32)) == Values{0, 1, 2, 3, 4});
  CHECK(values(arange(0, 5, 2, Dtype::float16)) == Values{0, 2, 4});
  CHECK(arange(0.0, 3.0, 1.0, Dtype::complex64).eval().data<complex64_t>()[2] == complex64_t(2, 0));
  CHECK_THROWS_AS(arange(0, 5, 0), ValueError);
  CHECK_THROWS_AS(arange(0.0, 5.0, 0.0, Dtype::float32), ValueError);
  CHECK_THROWS_AS(arange(0.0, kInf, 1.0, Dtype::float32), ValueError);
  CHECK_THROWS_AS(arange(std::nan(""), 1.0, 1.0, Dtype::float32), ValueError);
  CHECK_THROWS_AS(arange(0.0, 1e300, 1.0, Dtype::float32), OverflowError);
  CHECK_THROWS_AS(arange(5, Dtype::bool_), DtypeError);
}

TEST_CASE("linspace ends where it was told to") {
  CHECK(values(linspace(0, 1, 5)) == Values{0, 0.25, 0.5, 0.75, 1});
  CHECK(values(linspace(0, 5, 5, false)) == Values{0, 1, 2, 3, 4});
  CHECK(values(linspace(3, 5, 1)) == Values{3});
  CHECK(values(linspace(3, 5, 1, false)) == Values{3});
  CHECK(linspace(3, 5, 0).size() == 0);
  array a = linspace(0.1, 0.7, 1001, true, Dtype::float64).eval();
  CHECK(a.data<double>()[1000] == 0.7);
  CHECK(values(linspace(0, -5, 4, true, Dtype::int32)) == Values{0, -1, -3, -5});
  CHECK(std::isfinite(values(linspace(-1e308, 1e308, 3, true, Dtype::float64))[1]));
}

TEST_CASE("eye, tri, tril, triu") {
  CHECK(values(eye(2, 3, 1)) == Values{0, 1, 0, 0, 0, 1});
  CHECK(values(eye(3, 2, -1)) == Values{0, 0, 1, 0, 0, 1});
  CHECK(values(eye(2, 2, 5)) == Values{0, 0, 0, 0});
  CHECK(eye(0, 3).eval().shape() == Shape{0, 3});
  CHECK(values(identity(2, Dtype::bool_)) == Values{1, 0, 0, 1});
  CHECK(values(tri(2, 3)) == Values{1, 0, 0, 1, 1, 0});
  CHECK(values(tri(2, 2, -1)) == Values{0, 0, 1, 0});
  CHECK(values(tri(2, 2, std::numeric_limits<int64_t>::max())) == Values{1, 1, 1, 1});
  array a = reshape(arange(1, 7), {2, 3});
  CHECK(values(tril(a)) == Values{1, 0, 0, 4, 5, 0});
  CHECK(values(triu(a)) == Values{1, 2, 3, 0, 5, 6});
  CHECK(values(triu(a, 1)) == Values{0, 2, 3, 0, 0, 6});
  CHECK(values(triu(a, std::numeric_limits<int64_t>::min())) == Values{1, 2, 3, 4, 5, 6});
  CHECK(values(triu(a, 7)) == Values(6, 0.0));
  Function f = [](const Arrays& x) -> Arrays { return {sum(tril(x[0]))}; };
  CHECK(values(grad(f)({full({2, 2}, array(static_cast<float>(kInf)))})[0]) == Values{1, 0, 1, 1});
}

TEST_CASE("windows") {
  CHECK(values(hanning(3)) == Values{0, 1, 0});
  CHECK(values(bartlett(5)) == Values{0, 0.5, 1, 0.5, 0});
  CHECK(values(blackman(3)) == Values{0, 1, 0});
  CHECK(values(hamming(1)) == Values{1});
  CHECK(hanning(0).size() == 0);
  CHECK(hanning(-3).size() == 0);
  CHECK(values(hamming(4))[1] == doctest::Approx(0.77));
}

// Reductions and softmax: values for any axes and strides, accuracy, errors, and the derivatives that peers get wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "mx.h"
#include "helpers.h"

using namespace mx;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

array ramp(const Shape& shape) { return reshape(astype(arange(n_elems(shape)), Dtype::float32), shape); }

/// The gradient of sum(f(x)).
array gradient(const std::function<array(const array&)>& f, const array& x) {
  return grad([&](const Arrays& in) { return Arrays{sum(f(in[0]))}; })({x})[0];
}

}  // namespace

TEST_CASE("reductions_take_any_axes_and_strides") {
  array x = ramp({2, 3, 4});
  CHECK(values(sum(x)) == Values{276});
  CHECK(values(sum(x, 0)) == Values{12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34});
  CHECK(values(sum(x, Axes{0, -1})) == Values{60, 92, 124});
  CHECK(sum(x, Axes{0, 2}, true).shape() == Shape{1, 3, 1});
  CHECK(values(max(x, Axes{1, 2})) == Values{11, 23});
  CHECK(values(min(transpose(x), 0)) == values(transpose(min(x, 2))));
  // Backwards, with gaps, and repeated.
  array odd = slice(x, {1, 2, 3}, {-3, -4, -5}, {-1, -1, -2});
  CHECK(values(sum(odd, 2)) == Values{44, 36, 28, 20, 12, 4});
  CHECK(values(prod(broadcast_to(array(2.0f), {3, 5}), 1)) == Values{32, 32, 32});
  CHECK(values(argmax(odd, 1)) == Values{0, 0, 0, 0});
  CHECK(values(sum(astype(x, Dtype::bfloat16), 1)) == values(sum(x, 1)));
}

TEST_CASE("narrow_integers_are_summed_in_32_bits") {
  CHECK(sum(zeros({2}, Dtype::int8)).dtype() == Dtype::int32);
  CHECK(sum(zeros({2}, Dtype::bool_)).dtype() == Dtype::int32);
  CHECK(prod(zeros({2}, Dtype::uint16)).dtype() == Dtype::uint32);
  CHECK(sum(zeros({2}, Dtype::int64)).dtype() == Dtype::int64);
  CHECK(mean(zeros({2}, Dtype::int64)).dtype() == Dtype::float32);
  CHECK(values(sum(full({1000}, 200, Dtype::uint8))) == Values{200000});
}

TEST_CASE("nothing_sums_to_zero_and_has_no_largest") {
  CHECK(values(sum(zeros({0, 2}), 0)) == Values{0, 0});
  CHECK(values(prod(zeros({0}))) == Values{1});
  CHECK(values(all(zeros({0}))) == Values{1});
  CHECK(values(any(zeros({0}))) == Values{0});
  CHECK(std::isnan(mean(zeros({0})).item<float>()));
  CHECK_THROWS_AS(max(zeros({0, 2})), ValueError);
  CHECK_THROWS_AS(argmin(zeros({2, 0}), 1), ValueError);
  CHECK_THROWS_AS(median(zeros({0})), ValueError);
  CHECK(max(zeros({0, 2}), 1).shape() == Shape{0});
  CHECK_THROWS_AS(sum(zeros({2}), 1), AxisError);
  CHECK_THROWS_AS(sum(zeros({2, 2}), Axes{0, -2}), ValueError);
}

TEST_CASE("nan_wins") {
  array x{1.0f, kNaN, kInf};
  for (const array& y : {max(x), min(x), median(x), logsumexp(x), sum(x)}) CHECK(std::isnan(y.item<float>()));
  CHECK(argmax(x).item<int>() == 1);
  CHECK(argmin(x).item<int>() == 1);
  // In long rows and in columns, too.
  array wide = slice_update(zeros({3, 3000}), full({3, 1}, kNaN, Dtype::float32), {0, 2000}, {3, 2001});
  CHECK(values(argmax(wide, 1)) == Values{2000, 2000, 2000});
  CHECK(values(sum(astype(isnan(max(transpose(wide), 0)), Dtype::int32))) == Values{3});
}

TEST_CASE("long_float_sums_are_accurate") {
  int64_t n = 3'000'001;
  array x = full({n}, 0.1f, Dtype::float32);
  array copied = contiguous(x);
  double exact = static_cast<double>(0.1f) * static_cast<double>(n);
  CHECK(std::abs(sum(copied).item<double>() - exact) < 1e-6 * exact);
  array columns = reshape(slice_along(copied, 0, 0, 3'000'000), {1'000'000, 3});
  for (double y : values(sum(columns, 0))) CHECK(y == doctest::Approx(static_cast<double>(0.1f) * 1e6).epsilon(1e-6));
}

TEST_CASE("variance_of_equal_elements_is_exactly_zero") {
  array x = full({7}, 0.1f, Dtype::float32);
  CHECK(values(var(x)) == Values{0});
  CHECK(values(gradient([](const array& a) { return mx::std(a); }, x)) == Values(7, 0.0));
  CHECK(std::isinf(var(array{1.0f, 2.0f}, false, 2).item<float>()));
}

TEST_CASE("max_shares_its_derivative_between_ties") {
  array rows = reshape(array{1.0f, 3.0f, 3.0f, 1.0f, 2.0f, 1.0f}, {2, 3});
  CHECK(values(gradient([](const array& a) { return max(a, 1); }, rows)) == Values{0, 0.5, 0.5, 0, 1, 0});
  CHECK(values(gradient([](const array& a) { return max(a); }, array{1.0f, 3.0f, 3.0f})) == Values{0, 0.5, 0.5});
  CHECK(values(jvp([](const Arrays& a) { return Arrays{min(a[0])}; }, {array{1.0f, 1.0f}}, {array{2.0f, 4.0f}}).second[0]) == Values{3});
}

TEST_CASE("derivatives_of_prod_are_exact_at_zeros") {
  auto f = [](const array& a) { return prod(a); };
  CHECK(values(gradient(f, array{0.0f, 2.0f, 3.0f})) == Values{6, 0, 0});
  CHECK(values(gradient(f, array{0.0f, 0.0f, 3.0f})) == Values{0, 0, 0});
  // d/dx0 of the gradient's sum: with two zeros only the pairs that hold both survive.
  CHECK(values(gradient([&](const array& a) { return gradient(f, a); }, array{0.0f, 0.0f, 3.0f})) == Values{3, 3, 0});
  // Over two axes at once: as over one that holds both.
  auto merged = [](const array& a) { return prod(reshape(transpose(a, {1, 0, 2}), {2, 4}), 1); };
  array x = ramp({2, 2, 2});
  CHECK(values(gradient([](const array& a) { return prod(a, Axes{0, 2}); }, x)) == values(gradient(merged, x)));
}

TEST_CASE("logsumexp_of_minus_infinities") {
  array x = full({3}, -kInf, Dtype::float32);
  CHECK(logsumexp(x).item<float>() == -kInf);
  CHECK(values(gradient([](const array& a) { return logsumexp(a); }, x)) == Values{0, 0, 0});
  CHECK(logsumexp(array{1.0f, kInf}).item<float>() == kInf);
  CHECK(logsumexp(array{1000.0f, 1000.0f}).item<float>() == doctest::Approx(1000 + std::log(2.0)));
}

TEST_CASE("softmax_of_long_rows_equals_that_of_columns") {
  array x = mx::sin(ramp({40000, 2}));
  array by_row = softmax(contiguous(transpose(x)), 1), by_column = softmax(x, 0);
  CHECK(allclose(by_row, transpose(by_column), 1e-5, 1e-12).item<bool>());
  CHECK(sum(by_row).item<float>() == doctest::Approx(2));
  // A part of nothing but -inf in a long row.
  array hole = concatenate({full({40000}, -kInf, Dtype::float32), zeros({2})});
  CHECK(values(slice_along(softmax(hole), 0, 39999, 40002)) == Values{0, 0.5, 0.5});
  CHECK(logsumexp(hole).item<float>() == doctest::Approx(std::log(2.0)));
}

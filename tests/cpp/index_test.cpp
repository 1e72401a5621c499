// Gather and scatter: values, windows, bounds, repeated indices and their derivatives.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "runtime/eval.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"
#include "helpers.h"

using namespace mx;

namespace {

array range(const Shape& shape) {
  return reshape(arange(0.0, static_cast<double>(n_elems(shape)), 1.0, Dtype::float32), shape);
}

// Central differences of f at x along t, against jvp.
void check_slope(const std::function<array(const array&)>& f, const array& x, const array& t) {
  Function g = [&](const Arrays& a) -> Arrays { return {f(a[0])}; };
  double h = 1e-5;
  Values up = values(f(x + h * t)), down = values(f(x - h * t)), slope = values(jvp(g, {x}, {t}).second[0]);
  REQUIRE(slope.size() == up.size());
  for (size_t i = 0; i < up.size(); ++i) CHECK(slope[i] == doctest::Approx((up[i] - down[i]) / (2 * h)).epsilon(1e-5));
}

}  // namespace

TEST_CASE("take wraps negative indices, of any integer dtype") {
  array a = range({3, 2});
  for (Dtype t : {Dtype::int8, Dtype::int16, Dtype::int32, Dtype::int64}) {
    CHECK(values(take(a, astype(array{-1, 0}, t), 0)) == Values{4, 5, 0, 1});
  }
  for (Dtype t : {Dtype::uint8, Dtype::uint16, Dtype::uint32, Dtype::uint64}) {
    CHECK(values(take(a, astype(array{2, 0}, t), 1 - 1)) == Values{4, 5, 0, 1});
  }
  CHECK(take(a, zeros({2, 0}, Dtype::int32), 0).shape() == Shape{2, 0, 2});
  CHECK(values(take(a, array{5, -6})) == Values{5, 0});
  CHECK(values(take(a, 1, -1)) == Values{1, 3, 5});
}

TEST_CASE("indices out of bounds are found when they are read") {
  array a = range({3, 2});
  for (int i : {3, -4, 1 << 30}) CHECK_THROWS_AS(eval({take(a, array{i}, 0)}), IndexError);
  CHECK_THROWS_AS(eval({take(a, array(~uint64_t{0}, Dtype::uint64), 0)}), IndexError);
  CHECK_THROWS_AS(eval({take_along_axis(a, array::from<int>(std::vector<int>{0, 2}, {1, 2}), 1)}), IndexError);
  CHECK_THROWS_AS(eval({scatter_at(a, {array{3}}, array(1.0f), {0}, 0, ScatterMode::add)}), IndexError);
  CHECK_THROWS_AS(eval({take(zeros({0, 2}), array{0}, 0)}), IndexError);
  CHECK_THROWS_AS(take(a, int64_t{3}, 0), IndexError);
  CHECK_THROWS_AS(take(a, array{0.5f}, 0), DtypeError);
  CHECK_THROWS_WITH(eval({take(a, array{7}, 0)}), "[index] index 7 is out of bounds for axis 0 with size 3; need -3 <= index < 3.");
}

TEST_CASE("gather reads windows, scatter writes them") {
  array a = range({4, 5});
  array rows{0, 2}, cols{1, 3};
  array g = gather(a, {rows, cols}, {0, 1}, {2, 2});
  CHECK(g.shape() == Shape{2, 2, 2});
  CHECK(values(g) == Values{1, 2, 6, 7, 13, 14, 18, 19});
  CHECK(values(gather(a, {cols}, {1}, {2, 1})) == Values{1, 6, 3, 8});
  CHECK(gather(a, {cols}, {1}, {2, 1}).shape() == Shape{2, 2, 1});
  // A window that leaves the array is an error, also one that wraps back into it.
  CHECK_THROWS_AS(eval({gather(a, {array{3}}, {0}, {2, 5})}), IndexError);
  CHECK_THROWS_AS(eval({gather(a, {array{-5}}, {0}, {2, 5})}), IndexError);
  CHECK(values(gather(a, {array{-2}}, {0}, {2, 1})) == Values{10, 15});

  array back = scatter_add(zeros({4, 5}), {rows, cols}, g, {0, 1});
  CHECK(values(gather(back, {rows, cols}, {0, 1}, {2, 2})) == values(g));
  CHECK(values(sum(back))[0] == doctest::Approx(values(sum(g))[0]));
  // Overlapping windows add up.
  array twice = scatter_add(zeros({3}), {array{0, 1}}, ones({2, 2}), {0});
  CHECK(values(twice) == Values{1, 2, 1});
}

TEST_CASE("scatter modes, in every dtype") {
  array i{0, 2, 0};
  for (int t = 0; t < kDtypeCount; ++t) {
    auto dtype = static_cast<Dtype>(t);
    CAPTURE(dtype);
    array a = astype(array{1, 2, 3}, dtype), u = astype(array{2, 2, 4}, dtype);
    auto run = [&](ScatterMode m) { return values(real(scatter_at(a, {i}, u, {0}, 0, m))); };
    if (dtype == Dtype::bool_) continue;
    CHECK(run(ScatterMode::set) == Values{4, 2, 2});
    CHECK(run(ScatterMode::add) == Values{7, 2, 5});
    CHECK(run(ScatterMode::multiply) == Values{8, 2, 6});
    CHECK(run(ScatterMode::minimum) == Values{1, 2, 2});
    CHECK(run(ScatterMode::maximum) == Values{4, 2, 3});
  }
}

TEST_CASE("long sums in half precision do not stall") {
  for (Dtype t : {Dtype::float16, Dtype::bfloat16}) {
    array s = scatter_at(zeros({1}, t), {zeros({4000}, Dtype::int32)}, ones({4000}, t), {0}, 0, ScatterMode::add);
    CHECK(values(s)[0] == doctest::Approx(4000).epsilon(0.01));
  }
}

TEST_CASE("scatter works along middle axes, on broadcast and transposed operands") {
  array a = transpose(range({4, 3, 2}));  // (2, 3, 4)
  array i{2, 0};
  array u = broadcast_to(array(9.0f), {2, 2, 4});
  array set = scatter_at(a, {i}, u, {1}, 1, ScatterMode::set);
  CHECK(values(take(set, array{1}, 1)) == values(take(a, array{1}, 1)));
  CHECK(values(take(set, i, 1)) == Values(16, 9.0));
  // Index dimensions in front instead.
  array front_u = moveaxis(range({2, 2, 4}), 1, 0);
  CHECK(values(scatter_at(a, {i}, front_u, {1}, 0, ScatterMode::set)) ==
        values(scatter_at(a, {i}, range({2, 2, 4}), {1}, 1, ScatterMode::set)));
}

TEST_CASE("set: only the last write to a place has a derivative") {
  array i{1, 0, 1};
  Function f = [&](const Arrays& x) -> Arrays {
    return {sum(scatter_at(x[0], {i}, x[1], {0}, 0, ScatterMode::set) * array{10.0f, 20.0f, 30.0f})};
  };
  array a = range({3}), u = range({3}) + 5.0;
  auto g = vjp(f, {a, u}, {array(1.0f)}).second;
  CHECK(values(g[0]) == Values{0, 0, 30});
  CHECK(values(g[1]) == Values{0, 10, 20});
  CHECK(values(jvp(f, {a, u}, {ones({3}), array{1.0f, 2.0f, 4.0f}}).second[0])[0] == 20 * 4 + 10 * 2 + 30);
  Function along = [&](const Arrays& x) -> Arrays { return {sum(put_along_axis(x[0], i, x[1], 0) * array{10.0f, 20.0f, 30.0f})}; };
  CHECK(values(vjp(along, {a, u}, {array(1.0f)}).second[1]) == Values{0, 10, 20});
}

TEST_CASE("multiply: derivatives with repeated indices and zeros, to second order") {
  array i{1, 0, 1, 1};
  array a = astype(array{2.0f, 3.0f, 5.0f}, Dtype::float64), u = astype(array{0.0f, 7.0f, 0.0f, 2.0f}, Dtype::float64);
  array t = astype(array{0.3f, -0.7f, 1.1f, 0.9f}, Dtype::float64), w = astype(array{1.5f, -2.0f, 0.5f}, Dtype::float64);
  auto f = [&](const array& x) { return scatter_at(a, {i}, x, {0}, 0, ScatterMode::multiply); };
  check_slope(f, u, t);
  Function loss = [&](const Arrays& x) -> Arrays { return {sum(f(x[0]) * w)}; };
  auto slope = [&](const array& x) { return grad(loss)({x})[0]; };
  check_slope(slope, u, t);
  CHECK(values(slope(u)) == Values{0, 3, 0, 0});
  // Two zeros at one place: only the mixed second derivative is left.
  Function g = [&](const Arrays& x) -> Arrays { return {slope(x[0])}; };
  CHECK(values(jvp(g, {u}, {astype(array{1.0f, 0.0f, 0.0f, 0.0f}, Dtype::float64)}).second[0]) == Values{0, 0, -2.0 * 3 * 2, 0});
}

TEST_CASE("maximum and minimum share the tangent between ties") {
  array i{0, 0, 1};
  Function f = [&](const Arrays& x) -> Arrays { return {sum(scatter_at(x[0], {i}, x[1], {0}, 0, ScatterMode::maximum))}; };
  auto g = vjp(f, {array{2.0f, 1.0f, 4.0f}, array{2.0f, 1.0f, 3.0f}}, {array(1.0f)}).second;
  CHECK(values(g[0]) == Values{0.5, 0, 1});
  CHECK(values(g[1]) == Values{0.5, 0, 1});
  array nan = array(std::nanf(""));
  CHECK(std::isnan(values(scatter_at(range({2}), {array{0}}, reshape(nan, {1}), {0}, 0, ScatterMode::minimum))[0]));
}

TEST_CASE("vmap of gather and scatter for every subset of mapped inputs") {
  array a = range({2, 3, 4}), u = range({2, 2, 3}) * -1.0, i = array::from<int>(std::vector<int>{0, 3, -2, 1}, {2, 2});
  for (ScatterMode mode : {ScatterMode::set, ScatterMode::add, ScatterMode::multiply, ScatterMode::maximum}) {
    for (int subset = 1; subset < 8; ++subset) {
      CAPTURE(mode);
      CAPTURE(subset);
      Arrays inputs{a, u, i};
      BatchAxes axes(3);
      for (int k = 0; k < 3; ++k) {
        if (subset >> k & 1) axes[static_cast<size_t>(k)] = 0;
        else inputs[static_cast<size_t>(k)] = take(inputs[static_cast<size_t>(k)], 0, 0);
      }
      Function f = [&](const Arrays& x) -> Arrays {
        return {scatter_at(x[0], {x[2]}, x[1], {1}, 0, mode), gather_at(x[0], {x[2]}, {1}, 1)};
      };
      Arrays batch = vmap(f, inputs, axes, front);
      for (int64_t b = 0; b < 2; ++b) {
        Arrays one;
        for (int k = 0; k < 3; ++k) one.push_back(subset >> k & 1 ? take(inputs[size_t(k)], b, 0) : inputs[size_t(k)]);
        Arrays expected = f(one);
        for (size_t k = 0; k < 2; ++k) CHECK(values(take(batch[k], b, 0)) == values(expected[k]));
      }
    }
  }
}

TEST_CASE("masks select and assign") {
  array a = range({2, 3}), mask = greater(a, array(1.5f));
  CHECK(values(masked_select(a, mask)) == Values{2, 3, 4, 5});
  Arrays places = nonzero(mask);
  CHECK(values(places[0]) == Values{0, 1, 1, 1});
  CHECK(values(places[1]) == Values{2, 0, 1, 2});
  CHECK(values(masked_assign(a, mask, array(9))) == Values{0, 1, 9, 9, 9, 9});
  CHECK(values(masked_assign(a, mask, range({4}) * -1.0)) == Values{0, 1, 0, -1, -2, -3});
  CHECK(values(masked_assign(a, array{true, false}, range({3}) * 10.0)) == Values{0, 10, 20, 3, 4, 5});
  CHECK_THROWS_AS(masked_assign(a, mask, range({3})), ValueError);
  CHECK_THROWS_AS(masked_select(a, array{true, false, true}), AxisError);
  CHECK_THROWS_AS(nonzero(array(1)), ValueError);
}

TEST_CASE("shapes that do not fit are refused with their shapes") {
  array a = range({3, 2});
  CHECK_THROWS_WITH(scatter_at(a, {array{0, 1}}, zeros({3, 2}), {0}, 0, ScatterMode::set),
                    doctest::Contains("(3, 2)") );
  CHECK_THROWS_AS(gather_at(a, {array{0}, array{1}}, {0, 0}, 0), ValueError);
  CHECK_THROWS_AS(gather(a, {array{0}}, {0}, {4, 2}), ValueError);
  CHECK_THROWS_AS(take_along_axis(a, array{0}, 0), ValueError);
  CHECK_THROWS_AS(put_along_axis(a, zeros({1, 3}, Dtype::int32), array(1), 0), ValueError);
}

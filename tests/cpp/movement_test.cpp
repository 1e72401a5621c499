// Movement: values, views, errors; and every rule against its definition: forward and reverse mode are transposes of each
// other, a batch is a loop over its examples, for every choice of mapped inputs.
#include <doctest/doctest.h>

#include <numeric>

#include "mx.h"
#include "helpers.h"

using namespace mx;

namespace {

// 1, 2, 3, ...: small whole numbers, so that all sums below are exact.
array ramp(const Shape& shape, float first = 1) {
  return reshape(arange(first, first + static_cast<float>(n_elems(shape)), 1.0, Dtype::float32), shape);
}

double inner(const Arrays& a, const Arrays& b) {
  double out = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    Values x = values(a[i]), y = values(b[i]);
    REQUIRE(x.size() == y.size());
    out += std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  }
  return out;
}

void check_equal(const Arrays& a, const Arrays& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].shape() == b[i].shape());
    CHECK(values(a[i]) == values(b[i]));
  }
}

// `f` over each subset of inputs as a batch of `size` (copies that differ), against a loop.
void check_batch(const Function& f, const Arrays& inputs, int64_t size) {
  size_t n = inputs.size();
  for (size_t subset = 1; subset < (size_t(1) << n); ++subset) {
    CAPTURE(subset);
    Arrays batched = inputs;
    BatchAxes axes(n);
    for (size_t i = 0; i < n; ++i) {
      if (!(subset >> i & 1)) continue;
      Arrays copies;
      for (int64_t k = 0; k < size; ++k) {
        copies.push_back(is_integer(inputs[i].dtype()) ? inputs[i] + static_cast<int>(k) : inputs[i] * static_cast<float>(k + 1));
      }
      // In the last place, to see that the engine's moving of axes and the strides it makes are handled.
      batched[i] = stack(copies, -1);
      axes[i] = -1;
    }
    Arrays got = vmap(f, batched, axes, [](size_t k) { return BatchAxes(k, 0); });
    for (int64_t k = 0; k < size; ++k) {
      Arrays one = batched;
      for (size_t i = 0; i < n; ++i) {
        if (axes[i]) one[i] = squeeze(slice_along(batched[i], -1, k, k + 1), -1);
      }
      Arrays want = f(one), example;
      for (const array& g : got) example.push_back(squeeze(slice_along(g, 0, k, k + 1), 0));
      check_equal(example, want);
    }
  }
}

// All of the rules of the linear function `f` of `inputs`; integer inputs are held.
void check_rules(const Function& f, const Arrays& inputs) {
  Arrays outs = f(inputs), ts, cts;
  for (const array& x : inputs) ts.push_back(is_inexact(x.dtype()) ? ramp(x.shape(), -3) : array());
  for (const array& y : outs) cts.push_back(ramp(y.shape(), -2));
  Arrays jt = jvp(f, inputs, ts).second, jct = vjp(f, inputs, cts).second;
  Arrays real_ts, real_cts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!ts[i].defined()) continue;
    real_ts.push_back(ts[i]);
    real_cts.push_back(jct[i].defined() ? jct[i] : zeros_like(inputs[i]));
    // One input at a time, too.
    Arrays single(inputs.size());
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (is_inexact(inputs[k].dtype())) single[k] = k == i ? ts[i] : zeros_like(inputs[k]);
    }
    CHECK(inner(cts, jvp(f, inputs, single).second) == inner({real_cts.back()}, {ts[i]}));
  }
  CHECK(inner(cts, jt) == inner(real_cts, real_ts));
  check_batch(f, inputs, 3);
  check_batch(f, inputs, 1);
  // Two batch axes, and the gradient of examples: vmap over what the rules themselves made.
  Function batched = [&](const Arrays& xs) { return vmap(f, xs, BatchAxes(xs.size(), 0), [](size_t k) { return BatchAxes(k, 0); }); };
  Arrays twice;
  for (const array& x : inputs) twice.push_back(is_integer(x.dtype()) ? stack({x, x}) : stack({x, x * 2.0f}));
  check_batch(batched, twice, 2);
  Function pullback = [&](const Arrays& xs) -> Arrays {
    Function square = [&](const Arrays& ys) -> Arrays {
      Arrays made = f(ys);
      array total(0.0f);
      for (const array& y : made) total = total + sum(y * y);
      return {total};
    };
    std::vector<int> argnums;
    for (size_t i = 0; i < xs.size(); ++i) {
      if (is_inexact(xs[i].dtype())) argnums.push_back(static_cast<int>(i));
    }
    return value_and_grad(square, xs, argnums).second;
  };
  check_batch(pullback, inputs, 2);
  // Second order: for a linear f, the Hessian of sum(f^2) applied to t is 2 f^T f t.
  Arrays hv = jvp(pullback, inputs, ts).second, gram = vjp(f, inputs, jt).second;
  size_t k = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_inexact(inputs[i].dtype())) continue;
    array want = gram[i].defined() ? gram[i] * 2.0f : zeros_like(inputs[i]);
    check_equal({hv[k].defined() ? hv[k] : zeros_like(inputs[i])}, {want});
    ++k;
  }
}

Function of(std::function<array(const array&)> f) {
  return [f](const Arrays& x) -> Arrays { return {f(x[0])}; };
}

// Does evaluating `y` make it share x's memory?
bool shares(const array& x, const array& y) {
  eval({x, y});
  return x.storage().buffer == y.storage().buffer;
}

}  // namespace

TEST_CASE("reshape is a view exactly where strides allow") {
  array a = ramp({2, 3, 4});
  CHECK(shares(a, reshape(a, {6, 4})));
  CHECK(shares(a, reshape(a, {3, 2, -1})));
  array t = transpose(a, {1, 0, 2});
  CHECK(shares(a, reshape(t, {3, 2, 2, 2})));
  CHECK_FALSE(shares(a, reshape(t, {6, 4})));
  array cut = slice(a, {0, 0, 0}, {2, 3, 4}, {1, 1, 2});
  CHECK(shares(a, reshape(cut, {6, 2})));
  CHECK(values(reshape(cut, {12})) == Values{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23});
  array wide = broadcast_to(array(2.0f), {4, 5});
  CHECK(reshape(wide, {2, 10}).eval().storage().buffer->n_bytes <= 64);
  array reversed = flip(ramp({4}));
  CHECK(values(reshape(reversed, {2, 2})) == Values{4, 3, 2, 1});
  CHECK(shares(reversed, reshape(reversed, {2, 2})));
}

TEST_CASE("calls that change nothing return their input") {
  array a = ramp({2, 3});
  CHECK(reshape(a, {2, -1}).node() == a.node());
  CHECK(transpose(a, {0, 1}).node() == a.node());
  CHECK(broadcast_to(a, {2, 3}).node() == a.node());
  CHECK(slice(a, {0, 0}, {2, 3}).node() == a.node());
  CHECK(concatenate({a}).node() == a.node());
  CHECK(pad(a, {0, 1}, {0, 0}, {0, 0}).node() == a.node());
  CHECK(roll(a, 3, 1).node() == a.node());
  CHECK(tile(a, {1, 1}).node() == a.node());
  CHECK(expand_dims(a, Axes{}).node() == a.node());
}

TEST_CASE("shapes that do not fit are errors that name them") {
  array a = ramp({2, 3});
  CHECK_THROWS_WITH_AS(reshape(a, {4}),
                       "[reshape] the number of elements differs: a has shape (2, 3), 6 elements; the new shape is (4,).", ValueError);
  CHECK_THROWS_AS(reshape(a, {-1, -1}), ValueError);
  CHECK_THROWS_AS(reshape(a, {4, -1}), ValueError);
  CHECK_THROWS_AS(reshape(a, {-2, -3}), ValueError);
  CHECK_THROWS_AS(reshape(zeros({0}), {0, -1}), ValueError);
  CHECK_THROWS_AS(reshape(a, {int64_t(1) << 40, int64_t(1) << 40}), OverflowError);
  CHECK_THROWS_AS(broadcast_to(a, {3}), ValueError);
  CHECK_THROWS_AS(broadcast_to(a, {4, 3}), ValueError);
  CHECK_THROWS_AS(broadcast_to(a, {-1, 2, 3}), ValueError);
  CHECK_THROWS_AS(broadcast_to(array(1.0f), {int64_t(1) << 40, int64_t(1) << 40}), OverflowError);
  CHECK_THROWS_AS(transpose(a, {0}), ValueError);
  CHECK_THROWS_AS(transpose(a, {0, 0}), ValueError);
  CHECK_THROWS_AS(transpose(a, {0, 2}), AxisError);
  CHECK_THROWS_AS(squeeze(a, 1), ValueError);
  CHECK_THROWS_AS(squeeze(a, 2), AxisError);
  CHECK_THROWS_AS(expand_dims(a, {0, 0}), ValueError);
  CHECK_THROWS_AS(unflatten(a, 1, {2, -1}), ValueError);
  CHECK_THROWS_AS(flatten(a, 1, 0), ValueError);
  CHECK_THROWS_AS(concatenate({}), ValueError);
  CHECK_THROWS_AS(concatenate({a, ramp({3, 2})}), ValueError);
  CHECK_THROWS_AS(stack({a, ramp({3, 2})}), ValueError);
  CHECK_THROWS_AS(split(a, 2, 1), ValueError);
  CHECK_THROWS_AS(split(a, int64_t(0)), ValueError);
  CHECK_THROWS_AS(slice(a, {0}, {1}), ValueError);
  CHECK_THROWS_AS(slice(a, {0, 0}, {1, 1}, {1, 0}), ValueError);
  CHECK_THROWS_AS(slice_update(a, ramp({4}), {0, 0}, {2, 3}), ValueError);
  CHECK_THROWS_AS(dynamic_slice(a, array{0}, {0}, {3, 3}), ValueError);
  CHECK_THROWS_AS(dynamic_slice(a, array{0, 0}, {0}, {1, 3}), ValueError);
  CHECK_THROWS_AS(dynamic_slice(a, array{0.0f}, {0}, {1, 3}), DtypeError);
  CHECK_THROWS_AS(dynamic_slice_update(a, ramp({3, 3}), array{0}, {0}), ValueError);
  CHECK_THROWS_AS(as_strided(a, {7}, {1}), ValueError);
  CHECK_THROWS_AS(as_strided(a, {2}, {-1}), ValueError);
  CHECK_THROWS_AS(as_strided(a, {3}, {int64_t(1) << 62}), ValueError);
  CHECK_THROWS_AS(diagonal(a, 0, 1, 1), ValueError);
  CHECK_THROWS_AS(diag(ramp({1, 1, 1})), ValueError);
  CHECK_THROWS_AS(pad(a, {0}, {-1}, {0}), ValueError);
  CHECK_THROWS_AS(pad(zeros({0}), {0}, {1}, {0}, {}, PadMode::edge), ValueError);
  CHECK_THROWS_AS(repeat(a, -1), ValueError);
  CHECK_THROWS_AS(tile(a, {-1}), ValueError);
  CHECK_THROWS_AS(repeat(a, int64_t(1) << 62, 0), OverflowError);
  CHECK_THROWS_AS(diff(a, -1), ValueError);
}

TEST_CASE("slices are Python's") {
  array a = ramp({7}, 0);
  auto cut = [&](int64_t start, int64_t stop, int64_t step) { return values(slice(a, {start}, {stop}, {step})); };
  CHECK(cut(1, 6, 2) == Values{1, 3, 5});
  CHECK(cut(-3, 100, 1) == Values{4, 5, 6});
  CHECK(cut(-1, -8, -3) == Values{6, 3, 0});
  CHECK(cut(100, 2, -2) == Values{6, 4});
  CHECK(cut(5, 2, 1).empty());
  CHECK(cut(3, 4, std::numeric_limits<int64_t>::max()) == Values{3});
  CHECK(cut(6, -100, std::numeric_limits<int64_t>::min()) == Values{6});
  CHECK(shares(a, slice(a, {5}, {1}, {-2})));
  array b = slice_update(a, array{9.0f}, {-1}, {-8}, {-3});
  CHECK(values(b) == Values{9, 1, 2, 9, 4, 5, 9});
}

TEST_CASE("dynamic slices clamp their starts so that the block fits") {
  array a = ramp({3, 4}, 0);
  CHECK(values(dynamic_slice(a, array{1, 5}, {0, 1}, {2, 2})) == Values{6, 7, 10, 11});
  CHECK(values(dynamic_slice(a, array{-7}, {1}, {1, 2})) == Values{0, 1});
  CHECK(values(dynamic_slice(a, array{5, 1}, {-1, 0}, {2, 2})) == Values{6, 7, 10, 11});
  CHECK(values(dynamic_slice_update(a, array{50.0f, 60.0f}, array{9, 9}, {0, 1})) == Values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 50, 60});
  array huge = full({1}, array(~uint64_t(0), Dtype::uint64));
  CHECK(values(dynamic_slice(ramp({3}), huge, {0}, {1})) == Values{3});
}

TEST_CASE("joins promote, and skip what is empty") {
  array a = concatenate({array{1, 2}, array{0.5f}, zeros({0})});
  CHECK(a.dtype() == Dtype::float32);
  CHECK(values(a) == Values{1, 2, 0.5});
  CHECK(values(stack({array{1, 2}, array{3, 4}}, -1)) == Values{1, 3, 2, 4});
  CHECK(unstack(ramp({2, 3}), 1).size() == 3);
  Arrays parts = split(ramp({6}), Shape{4, 2, -1});
  CHECK(values(parts[0]) == Values{1, 2, 3, 4});
  CHECK(parts[1].size() == 0);
  CHECK(values(parts[2]) == Values{3, 4, 5});
  CHECK(values(parts[3]) == Values{6});
}

TEST_CASE("repeat, tile, roll, flip, diff, meshgrid") {
  array a = ramp({2, 2});
  CHECK(values(repeat(a, 2, 1)) == Values{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(values(repeat(a, 2, 0)) == Values{1, 2, 1, 2, 3, 4, 3, 4});
  CHECK(values(repeat(a, 2)) == Values{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(values(tile(a, {2, 1})) == Values{1, 2, 3, 4, 1, 2, 3, 4});
  CHECK(values(tile(a, {2})) == Values{1, 2, 1, 2, 3, 4, 3, 4});
  CHECK(tile(array(1.0f), {2, 3}).shape() == Shape{2, 3});
  CHECK(values(roll(ramp({5}), -7)) == Values{3, 4, 5, 1, 2});
  CHECK(values(roll(ramp({2, 3}), Shape{1, 1}, Axes{0, 1})) == Values{6, 4, 5, 3, 1, 2});
  CHECK(values(flip(ramp({2, 3}), 1)) == Values{3, 2, 1, 6, 5, 4});
  CHECK(values(diff(array{1, 4, 9, 16}, 2)) == Values{2, 2});
  CHECK(diff(array{1, 4}, 5).shape() == Shape{0});
  CHECK(values(diff(array{true, false, false})) == Values{1, 0});
  Arrays grid = meshgrid({array{1, 2, 3}, array{4, 5}});
  CHECK(grid[0].shape() == Shape{2, 3});
  CHECK(values(grid[1]) == Values{4, 4, 4, 5, 5, 5});
}

TEST_CASE("padding: constant, edge, and mirrors however far out") {
  array a = ramp({3});
  auto with = [&](PadMode mode, int64_t low, int64_t high) { return values(pad(a, {0}, {low}, {high}, {}, mode)); };
  CHECK(with(PadMode::constant, 1, 2) == Values{0, 1, 2, 3, 0, 0});
  CHECK(values(pad(a, {0}, {1}, {1}, array(7.5f))) == Values{7.5, 1, 2, 3, 7.5});
  CHECK(with(PadMode::edge, 2, 1) == Values{1, 1, 1, 2, 3, 3});
  CHECK(with(PadMode::reflect, 2, 1) == Values{3, 2, 1, 2, 3, 2});
  CHECK(with(PadMode::symmetric, 2, 1) == Values{2, 1, 1, 2, 3, 3});
  CHECK(with(PadMode::reflect, 5, 4) == Values{2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3});
  CHECK(with(PadMode::symmetric, 4, 4) == Values{3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1});
  CHECK(values(pad(ramp({1}), {0}, {2}, {1}, {}, PadMode::reflect)) == Values{1, 1, 1, 1});
  CHECK(pad(zeros({0, 2}), {0}, {1}, {1}).shape() == Shape{2, 2});
}

TEST_CASE("diagonals") {
  array a = ramp({3, 4}, 0);
  CHECK(values(diagonal(a, 2)) == Values{2, 7});
  CHECK(values(diagonal(a, -1)) == Values{4, 9});
  CHECK(diagonal(a, 9).shape() == Shape{0});
  CHECK(diagonal(a, std::numeric_limits<int64_t>::min()).shape() == Shape{0});
  CHECK(diagonal(ramp({2, 3, 4}), 0, 0, 2).shape() == Shape{3, 2});
  CHECK(shares(a, diagonal(a)));
  CHECK(values(diag(array{1, 2}, -1)) == Values{0, 0, 0, 1, 0, 0, 0, 2, 0});
  CHECK(values(diag(diag(array{1, 2}, 1), 1)) == Values{1, 2});
  CHECK(trace(ones({3, 3}, Dtype::int8)).dtype() == Dtype::int32);
  CHECK(values(trace(a)) == Values{15});
}

TEST_CASE("as_strided reads elements in row order, whatever the layout") {
  array t = transpose(ramp({2, 5}, 0));
  CHECK(values(as_strided(t, {3}, {1}, 2)) == Values{1, 6, 2});
  CHECK(values(as_strided(flip(ramp({5}, 0)), {2, 3}, {1, 1})) == Values{4, 3, 2, 3, 2, 1});
  CHECK(values(as_strided(ramp({5}, 0), {3}, {-2}, 4)) == Values{4, 2, 0});
  CHECK(values(as_strided_add(ones({3, 3}), 5, {1, 1})) == Values{1, 2, 3, 2, 1});
  array half = as_strided_add(ones({4096}, Dtype::float16), 1, {0});
  CHECK(values(half) == Values{4096});
}

TEST_CASE("rules of shape and axes") {
  array a = ramp({2, 3, 4});
  check_rules(of([](const array& x) { return reshape(x, {4, 6}); }), {a});
  check_rules(of([](const array& x) { return broadcast_to(x, {2, 3, 2, 4}); }), {ramp({3, 1, 4})});
  check_rules(of([](const array& x) { return broadcast_to(x, {2, 3}); }), {array(2.0f)});
  check_rules(of([](const array& x) { return transpose(x, {2, 0, 1}); }), {a});
  check_rules(of([](const array& x) { return flip(x, {0, 2}); }), {a});
  check_rules(of([](const array& x) { return flatten(moveaxis(x, 0, 2)); }), {a});
}

TEST_CASE("rules of slices and updates, for every choice of what varies") {
  array a = ramp({4, 5});
  check_rules(of([](const array& x) { return slice(x, {1, -1}, {4, -6}, {2, -2}); }), {a});
  check_rules(of([](const array& x) { return slice(x, {1, 2}, {1, 3}); }), {a});
  check_rules([](const Arrays& x) -> Arrays { return {slice_update(x[0], x[1], {3, 0}, {-9, 5}, {-2, 2})}; }, {a, ramp({2, 3})});
  check_rules([](const Arrays& x) -> Arrays { return {slice_update(x[0], x[1], {1, 0}, {2, 5})}; }, {a, array(3.0f)});
  check_rules([](const Arrays& x) -> Arrays { return {slice_update(x[0], x[1], {0, 0}, {4, 5})}; }, {a, ramp({5})});
  check_rules([](const Arrays& x) -> Arrays { return {slice_update(x[0], x[1], {0}, {2})}; }, {zeros({3}), array(3.0f)});
  check_rules([](const Arrays& x) -> Arrays { return {dynamic_slice(x[0], x[1], {1, 0}, {2, 3})}; }, {a, array{1, 0}});
  check_rules([](const Arrays& x) -> Arrays { return {dynamic_slice_update(x[0], x[1], x[2], {0})}; }, {a, ramp({2, 5}), array{1}});
}

TEST_CASE("rules of windows and diagonals") {
  check_rules(of([](const array& x) { return as_strided(x, {3, 3}, {1, 2}, 1); }), {ramp({2, 4})});
  check_rules(of([](const array& x) { return as_strided(x, {4, 2}, {0, -1}, 3); }), {ramp({5})});
  check_rules(of([](const array& x) { return as_strided_add(x, 7, {1, 2}, 1); }), {ramp({3, 2})});
  check_rules(of([](const array& x) { return diagonal(x, 1, 2, 0); }), {ramp({3, 2, 4})});
  check_rules(of([](const array& x) { return diagonal(x, -1); }), {ramp({4, 3})});
  check_rules(of([](const array& x) { return diag(x, -2); }), {ramp({3})});
  check_rules(of([](const array& x) { return trace(x); }), {ramp({3, 3})});
}

TEST_CASE("rules of joins and padding") {
  check_rules([](const Arrays& x) -> Arrays { return {concatenate(x, 1)}; }, {ramp({2, 1}), ramp({2, 3}), ramp({2, 2})});
  check_rules([](const Arrays& x) -> Arrays { return {stack(x, -1)}; }, {ramp({2}), ramp({2}, 5)});
  check_rules([](const Arrays& x) -> Arrays { return split(x[0], Shape{1, 3}); }, {ramp({5, 2})});
  check_rules(of([](const array& x) { return repeat(x, 2, 1); }), {ramp({2, 3})});
  check_rules(of([](const array& x) { return tile(x, {2, 3}); }), {ramp({2, 3})});
  check_rules(of([](const array& x) { return roll(x, Shape{1, 2}, Axes{0, 1}); }), {ramp({2, 3})});
  check_rules([](const Arrays& x) -> Arrays { return {pad(x[0], {0, 1}, {1, 0}, {2, 1}, x[1])}; }, {ramp({2, 3}), array(4.0f)});
  check_rules([](const Arrays& x) -> Arrays { return {pad(x[0], {0, 1}, {1, 0}, {2, 1}, x[1])}; }, {ramp({2, 3}), ramp({5, 1})});
  for (PadMode mode : {PadMode::edge, PadMode::reflect, PadMode::symmetric}) {
    check_rules(of([=](const array& x) { return pad(x, {0, 1}, {1, 4}, {3, 0}, {}, mode); }), {ramp({2, 3})});
  }
  check_rules([](const Arrays& x) { return meshgrid(x); }, {ramp({2}), ramp({3})});
  check_rules(of([](const array& x) { return diff(x, 2, 0); }), {ramp({4, 2})});
}

TEST_CASE("empty arrays pass through every movement") {
  array e = zeros({0, 3});
  CHECK(reshape(e, {3, 0, 2}).eval().size() == 0);
  CHECK(values(concatenate({e, ramp({1, 3})})) == Values{1, 2, 3});
  CHECK(flip(e).eval().size() == 0);
  CHECK(transpose(e).eval().shape() == Shape{3, 0});
  CHECK(broadcast_to(zeros({0, 1}), {4, 0, 3}).eval().size() == 0);
  CHECK(values(sum(slice_update(e, array(1.0f), {0, 0}, {0, 3}))) == Values{0});
  CHECK(dynamic_slice(e, array{0}, {1}, {0, 2}).eval().shape() == Shape{0, 2});
  CHECK(diff(e, 1, 0).eval().size() == 0);
  CHECK(roll(e, 1).eval().size() == 0);
  array grad_of_empty = grad(of([](const array& x) { return sum(broadcast_to(reshape(x, {1, 0}), {3, 0})); }))({zeros({0})})[0];
  CHECK(grad_of_empty.shape() == Shape{0});
}

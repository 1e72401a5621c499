// Loops and branches from C++: values, derivatives, batches, errors. Everything else is in tests/python/test_control.py.

#include <doctest/doctest.h>

#include "helpers.h"
#include "mx.h"

using namespace mx;

namespace {

array scalar(float x) { return array(x, Dtype::float32); }

// h <- h * w + x, along xs; also every h.
Arrays recurrence(const array& w, const array& xs) {
  auto step = [&](const Arrays& in) {
    array h = add(multiply(in[0], w), in[1]);
    return Arrays{h, h};
  };
  return scan(step, {scalar(1)}, {xs}, xs.shape(0));
}

// Doubles x until it reaches 100.
Arrays doubled(const array& x, std::optional<int64_t> max_steps) {
  auto small = [](const Arrays& in) { return Arrays{less(in[0], scalar(100))}; };
  auto twice = [](const Arrays& in) { return Arrays{multiply(in[0], scalar(2))}; };
  return while_loop(small, twice, {x}, max_steps);
}

array absolute(const array& x) {
  auto same = [](const Arrays& in) { return in; };
  auto flipped = [](const Arrays& in) { return Arrays{negative(in[0])}; };
  return cond(greater(x, scalar(0)), same, flipped, {x})[0];
}

Function of(array (*f)(const array&)) {
  return [f](const Arrays& in) { return Arrays{f(in[0])}; };
}

Arrays batch(const Function& f, const array& xs) {
  return vmap(f, {xs}, {0}, [](size_t n) { return BatchAxes(n, 0); });
}

}  // namespace

TEST_CASE("scan carries and stacks") {
  Arrays found = recurrence(scalar(2), {1.0f, 1.0f, 1.0f});
  REQUIRE(found.size() == 2);
  CHECK(found[0].item<float>() == 15);
  CHECK(values(found[1]) == Values{3, 7, 15});
}

TEST_CASE("scan backwards keeps the order of the ys") {
  auto sum = [](const Arrays& in) {
    array s = add(in[0], in[1]);
    return Arrays{s, s};
  };
  Arrays found = scan(sum, {scalar(0)}, {array{1.0f, 2.0f, 3.0f}}, 3, true);
  CHECK(values(found[1]) == Values{6, 5, 3});
}

TEST_CASE("a scan is one node, and its gradient does not grow with its length") {
  array w = scalar(2);
  array y = recurrence(w, ones({1000}, Dtype::float32))[0];
  CHECK(y.primitive() == &scan_p);
  auto last = [](const Arrays& in) { return Arrays{recurrence(in[0], ones({3}, Dtype::float32))[0]}; };
  // y = w^3 + w^2 + w + 1
  CHECK(grad(last)({w})[0].item<float>() == 17);
  CHECK(grad(grad(last))({w})[0].item<float>() == 14);
  CHECK(jvp(last, {w}, {scalar(1)}).second[0].item<float>() == 17);
}

TEST_CASE("a captured array may be the example of a batch") {
  auto last = [](const Arrays& in) { return Arrays{recurrence(in[0], ones({3}, Dtype::float32))[0]}; };
  array ws{0.0f, 1.0f, 2.0f};
  CHECK(values(batch(last, ws)[0]) == Values{1, 4, 15});
  CHECK(values(batch(grad(last), ws)[0]) == Values{1, 6, 17});
}

TEST_CASE("a step may write over the carry, never over the arguments") {
  array start = ones({4}, Dtype::float32), copy = start;
  eval({start});
  Arrays found = scan([](const Arrays& in) { return Arrays{add(in[0], in[0])}; }, {start}, {}, 5);
  CHECK(values(found[0]) == Values{32, 32, 32, 32});
  CHECK(values(copy) == Values{1, 1, 1, 1});
}

TEST_CASE("no steps") {
  Arrays found = recurrence(scalar(2), zeros({0}, Dtype::float32));
  CHECK(found[0].item<float>() == 1);
  CHECK(found[1].shape() == Shape{0});
}

TEST_CASE("while_loop runs until the condition fails, or its bound") {
  CHECK(doubled(scalar(3), std::nullopt)[0].item<float>() == 192);
  CHECK(doubled(scalar(3), 2)[0].item<float>() == 12);
  CHECK(doubled(scalar(300), 9)[0].item<float>() == 300);
}

TEST_CASE("while_loop has a reverse mode if it is bounded") {
  auto bounded = [](const Arrays& in) { return doubled(in[0], 10); };
  CHECK(grad(bounded)({scalar(3)})[0].item<float>() == 64);
  CHECK(values(batch(grad(bounded), {3.0f, 60.0f, 300.0f})[0]) == Values{64, 2, 1});
  auto unbounded = [](const Arrays& in) { return doubled(in[0], std::nullopt); };
  CHECK(jvp(unbounded, {scalar(3)}, {scalar(1)}).second[0].item<float>() == 64);
  CHECK_THROWS_WITH_AS(grad(unbounded)({scalar(3)}), doctest::Contains("max_steps"), TransformError);
}

TEST_CASE("cond and switch compute one branch, a batch all") {
  CHECK(absolute(scalar(-3)).item<float>() == 3);
  CHECK(grad(of(absolute))({scalar(-3)})[0].item<float>() == -1);
  CHECK(values(batch(of(absolute), {-3.0f, 4.0f})[0]) == Values{3, 4});
  std::vector<Function> branches;
  for (float k : {1.0f, 2.0f, 3.0f}) branches.push_back([k](const Arrays& in) { return Arrays{multiply(in[0], scalar(k))}; });
  CHECK(switch_case(array(1), branches, {scalar(5)})[0].item<float>() == 10);
  CHECK(switch_case(array(-7), branches, {scalar(5)})[0].item<float>() == 5);
  CHECK(switch_case(array(int64_t(1) << 40, Dtype::int64), branches, {scalar(5)})[0].item<float>() == 15);
}

TEST_CASE("an output that is asked for later is computed later") {
  // The history of a loop that was evaluated while its function was being differentiated.
  auto f = [](const Arrays& in) {
    array y = doubled(in[0], 10)[0];
    y.eval();
    return Arrays{multiply(y, y)};
  };
  CHECK(grad(f)({scalar(3)})[0].item<float>() == 2 * 192 * 64);
}

TEST_CASE("each step draws its own numbers") {
  auto draw = [](const Arrays& in) { return Arrays{in[0], random::uniform(Shape{})}; };
  Values drawn = values(scan(draw, {scalar(0)}, {}, 3)[1]);
  CHECK(drawn[0] != drawn[1]);
  CHECK(drawn[1] != drawn[2]);
}

TEST_CASE("wrong calls of control flow") {
  auto half = [](const Arrays& in) { return Arrays{astype(in[0], Dtype::float16)}; };
  auto same = [](const Arrays& in) { return in; };
  auto wider = [](const Arrays& in) { return Arrays{expand_dims(in[0], {0})}; };
  CHECK_THROWS_WITH_AS(scan(half, {scalar(0)}, {}, 3), doctest::Contains("changes its type"), ValueError);
  CHECK_THROWS_WITH_AS(scan([](const Arrays&) { return Arrays{}; }, {scalar(0)}, {}, 3), doctest::Contains("0 arrays for a carry of 1"), ValueError);
  CHECK_THROWS_WITH_AS(scan(same, {}, {array{1.0f, 2.0f}}, 3), doctest::Contains("need 3 steps"), ValueError);
  CHECK_THROWS_WITH_AS(scan(same, {}, {}, -1), doctest::Contains("length is -1"), ValueError);
  CHECK_THROWS_WITH_AS(while_loop(same, same, {scalar(0)}), doctest::Contains("cond gives float32()"), ValueError);
  CHECK_THROWS_WITH_AS(while_loop(of([](const array& x) { return greater(x, x); }), wider, {scalar(0)}), doctest::Contains("(1,)"), ValueError);
  CHECK_THROWS_WITH_AS(cond(array{true, false}, same, same, {}), doctest::Contains("shape (2,)"), ValueError);
  CHECK_THROWS_WITH_AS(cond(array(true), same, half, {scalar(0)}), doctest::Contains("need equal shapes and dtypes"), ValueError);
  CHECK_THROWS_WITH_AS(switch_case(array(0), {}, {}), doctest::Contains("no branches"), ValueError);
}

TEST_CASE("an error in a step ends the loop") {
  array x{1.0f, 2.0f};
  auto read = [&](const Arrays& in) { return Arrays{add(in[0], array(1, Dtype::int32)), take(x, in[0], 0)}; };
  CHECK(scan(read, {array(0)}, {}, 2)[1].shape() == Shape{2});
  CHECK_THROWS_AS(eval(scan(read, {array(0)}, {}, 3)), IndexError);
}

// Derivatives as linear maps and as matrices: what is kept, values against closed forms, errors.
#include <doctest/doctest.h>

#include <cmath>

#include "mx.h"
#include "helpers.h"

using namespace mx;

namespace {
Function twice(const Function& f, int& calls) {
  return [f, &calls](const Arrays& xs) {
    ++calls;
    return f(xs);
  };
}
const Function kProduct = [](const Arrays& x) -> Arrays { return {sin(x[0]) * x[1], x[1]}; };
}  // namespace

TEST_CASE("a linearised function runs once, its map often") {
  int calls = 0;
  array x(0.5f), y(3.0f);
  auto [outs, map] = linearize(twice(kProduct, calls), {x, y});
  CHECK(outs[0].item<float>() == doctest::Approx(3 * std::sin(0.5)));
  for (float t : {1.0f, -2.0f}) {
    Arrays moved = map({array(t), array(2 * t)});
    CHECK(moved[0].item<float>() == doctest::Approx(t * 3 * std::cos(0.5) + 2 * t * std::sin(0.5)));
    CHECK(moved[1].item<float>() == 2 * t);
  }
  CHECK(calls == 1);
}

TEST_CASE("what does not depend on the tangents is captured, not repeated") {
  // The rules of norm's or softmax's parts go through `expand` and marks of their own.
  Function f = [](const Arrays& x) -> Arrays { return {logsumexp(exp(sin(x[0])), {0}), softmax(x[0] * x[0], {0})}; };
  array x{0.1f, 0.2f, 0.3f};
  for (const LinearMap& map : {linearize(f, {x}).second, vjp_fn(f, {x}).second}) {
    for (const Step& s : map.graph().steps) {
      CAPTURE(s.primitive->name);
      for (auto* name : {"exp", "sin", "cos", "log", "softmax", "logsumexp"}) CHECK(s.primitive->name != name);
    }
    CHECK(!map.captured().empty());
  }
}

TEST_CASE("vjp_fn is the transpose of linearize") {
  array x{0.5f, 1.0f}, y{3.0f, -1.0f}, one{1.0f, 1.0f}, ct{2.0f, 5.0f};
  Arrays ts = linearize(kProduct, {x, y}).second({one, ct});
  auto [outs, pullback] = vjp_fn(kProduct, {x, y});
  Arrays cts = pullback({ct, array()});
  float left = at(sum(ts[0] * ct), 0), right = at(sum(cts[0] * one + cts[1] * ct), 0);
  CHECK(left == doctest::Approx(right));
  CHECK(pullback.input_types().size() == 2);
  CHECK(pullback.output_types()[1] == y.type());
}

TEST_CASE("a map is transformed like any function") {
  array x{0.5f, 1.0f};
  Function f = [](const Arrays& a) -> Arrays { return {sin(a[0])}; };
  LinearMap map = linearize(f, {x}).second;
  Function linear = [&](const Arrays& t) { return map(t); };
  array rows = vmap(linear, {identity(2)}, {0}, front)[0];
  CHECK(at(rows, 0) == doctest::Approx(std::cos(0.5)));
  CHECK(at(rows, 1) == 0);
  CHECK(at(vjp(linear, {x}, {x}).second[0], 1) == doctest::Approx(std::cos(1.0)));
  Function through = [&](const Arrays& a) -> Arrays { return {sum(linearize(f, a).second({x})[0])}; };
  CHECK(at(grad(through)({x})[0], 1) == doctest::Approx(-std::sin(1.0)));
}

TEST_CASE("integers do not move, and wrong inputs are refused") {
  Function f = [](const Arrays& x) -> Arrays { return {x[0] * x[1], x[1]}; };
  array x(2.0f), n(3);
  LinearMap map = linearize(f, {x, n}).second;
  Arrays moved = map({array(1.0f), array()});
  CHECK(moved[0].item<float>() == 3);
  CHECK(moved[1].dtype() == Dtype::int32);
  CHECK(moved[1].item<int32_t>() == 0);
  CHECK_THROWS_AS(map({x}), TransformError);
  CHECK_THROWS_AS(map({ones({2}), n}), TransformError);
}

TEST_CASE("Jacobians by both modes, whole and in chunks") {
  Function f = [](const Arrays& x) -> Arrays { return {reshape(x[0], {2, 1}) * x[1], sum(x[0] * x[0])}; };
  array x{2.0f, 3.0f}, y{5.0f, 6.0f, 7.0f};
  for (auto* transform : {&jacfwd, &jacrev}) {
    for (std::optional<int64_t> chunk : {std::optional<int64_t>(), {1}, {2}, {100}}) {
      Jacobian j = transform(f, {x, y}, chunk);
      CHECK(j.outputs[1].item<float>() == 13);
      CHECK(j.blocks[0][0].shape() == Shape{2, 3, 2});
      CHECK(j.blocks[0][1].shape() == Shape{2, 3, 3});
      CHECK(j.blocks[1][0].shape() == Shape{2});
      for (int i = 0; i < 2; ++i) {
        CHECK(at(j.blocks[1][0], i) == 2 * at(x, i));
        for (int k = 0; k < 3; ++k) {
          for (int l = 0; l < 2; ++l) CHECK(at(j.blocks[0][0], (i * 3 + k) * 2 + l) == (i == l ? at(y, k) : 0));
          for (int l = 0; l < 3; ++l) CHECK(at(j.blocks[0][1], (i * 3 + k) * 3 + l) == (k == l ? at(x, i) : 0));
        }
      }
    }
  }
  CHECK_THROWS_AS(jacfwd(f, {array(1), y}), TransformError);
  CHECK_THROWS_AS(jacrev([](const Arrays& a) -> Arrays { return {astype(a[0], Dtype::int32)}; }, {x}), TransformError);
  CHECK_THROWS_AS(jacrev([](const Arrays& a) -> Arrays { return {astype(a[0], Dtype::complex64)}; }, {x}), TransformError);
}

TEST_CASE("the derivative of a holomorphic function") {
  array z(complex64_t(1, 2));
  Function f = [](const Arrays& a) -> Arrays { return {a[0] * a[0] * a[0]}; };
  for (auto* transform : {&jacfwd, &jacrev}) {
    auto d = transform(f, {z}, {}).blocks[0][0].item<complex64_t>();  // 3 (1 + 2i)^2
    CHECK(d.real() == doctest::Approx(-9));
    CHECK(d.imag() == doctest::Approx(12));
  }
}

TEST_CASE("a Hessian and its products") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(x[0] * x[0] * x[0]) * x[1], x[0]}; };
  array x{1.0f, 2.0f}, s(3.0f), v{1.0f, -1.0f};
  Jacobian h = hessian(f, {x, s}, 2);
  CHECK(at(h.outputs[0], 1) == 36);
  CHECK(h.blocks[0][0].shape() == Shape{2, 2});
  CHECK(at(h.blocks[0][0], 0) == 18);
  CHECK(at(h.blocks[0][0], 1) == 0);
  CHECK(at(h.blocks[0][1], 1) == 12);
  CHECK(at(h.blocks[1][0], 1) == 12);
  CHECK(at(h.blocks[1][1], 0) == 0);
  auto [outs, products] = hvp(f, {x, s}, {v, array()});
  CHECK(outs[0].item<float>() == 27);
  CHECK(outs.size() == 2);
  CHECK(at(products[0], 0) == 18);
  CHECK(at(products[0], 1) == -36);
  CHECK(at(products[1], 0) == 3 - 12);
}

TEST_CASE("vmap in chunks, and of a batch without arrays") {
  Function f = [](const Arrays& x) -> Arrays { return {x[0] * x[0], ones({2})}; };
  auto axes = [](size_t) -> BatchAxes { return {0, std::nullopt}; };
  array x = astype(arange(5), Dtype::float32);
  Arrays got = vmap(f, {x}, {0}, axes, {.axis_size = {}, .chunk_size = 2});
  for (int i = 0; i < 5; ++i) CHECK(at(got[0], i) == i * i);
  CHECK(got[1].shape() == Shape{2});
  Function none = [](const Arrays&) -> Arrays { return {ones({3})}; };
  CHECK(vmap(none, {}, {}, front, {.axis_size = 4, .chunk_size = {}})[0].shape() == Shape{4, 3});
  CHECK_THROWS_AS(vmap(f, {x}, {0}, axes, {.axis_size = 4, .chunk_size = {}}), TransformError);
  CHECK_THROWS_AS(vmap(f, {x}, {0}, axes, {.axis_size = {}, .chunk_size = 0}), ValueError);
  CHECK_THROWS_AS(vmap(none, {}, {}, front), TransformError);
}

// Transformations computed: values against closed forms.
#include <doctest/doctest.h>

#include <cmath>

#include "mx.h"
#include "helpers.h"

using namespace mx;

TEST_CASE("derivatives of sin to third order") {
  Function f = [](const Arrays& x) -> Arrays { return {sin(x[0])}; };
  array x(0.7f);
  CHECK(grad(f)({x})[0].item<float>() == doctest::Approx(std::cos(0.7)));
  CHECK(grad(grad(f))({x})[0].item<float>() == doctest::Approx(-std::sin(0.7)));
  CHECK(grad(grad(grad(f)))({x})[0].item<float>() == doctest::Approx(-std::cos(0.7)));
}

TEST_CASE("nested levels do not confuse their perturbations") {
  // d/dx [x * d/dy (x + y)] = 1
  Function outer = [](const Arrays& x) -> Arrays {
    Function inner = [&](const Arrays& y) -> Arrays { return {x[0] + y[0]}; };
    return {x[0] * grad(inner)({array(1.0f)})[0]};
  };
  CHECK(grad(outer)({array(1.0f)})[0].item<float>() == 1);
}

TEST_CASE("forward over reverse gives Hessian-vector products") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(x[0] * x[0] * x[0])}; };
  array x{1.0f, 2.0f, 3.0f}, v{1.0f, 0.0f, 1.0f};
  Arrays hv = jvp(grad(f), {x}, {v}).second;
  CHECK(at(hv[0], 0) == 6);
  CHECK(at(hv[0], 1) == 0);
  CHECK(at(hv[0], 2) == 18);
}

TEST_CASE("vmap of grad is the gradient of each example") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(x[0] * x[0])}; };
  array xs = reshape(astype(arange(6), Dtype::float32), {3, 2});
  array g = vmap(grad(f), {xs}, {0}, front)[0];
  CHECK(g.shape() == Shape{3, 2});
  for (int i = 0; i < 6; ++i) CHECK(at(g, i) == 2 * i);
}

TEST_CASE("stop_gradient and captured arrays") {
  Function f = [](const Arrays& x) -> Arrays { return {x[0] * stop_gradient(x[0])}; };
  CHECK(grad(f)({array(3.0f)})[0].item<float>() == 3);
}

TEST_CASE("checkpoint gives the same gradients, for captured arrays too") {
  Function f = [](const Arrays& w) -> Arrays {
    return {checkpoint([&](const Arrays& x) -> Arrays { return {sin(x[0]) * w[0]}; }, {w[0] * 2.0})[0]};
  };
  Function plain = [](const Arrays& w) -> Arrays { return {sin(w[0] * 2.0) * w[0]}; };
  CHECK(grad(f)({array(0.3f)})[0].item<float>() == doctest::Approx(grad(plain)({array(0.3f)})[0].item<float>()));
  CHECK(grad(grad(f))({array(0.3f)})[0].item<float>() == doctest::Approx(grad(grad(plain))({array(0.3f)})[0].item<float>()));
}

TEST_CASE("a custom vjp is used, survives vmap, and gives the jvp by transposition") {
  auto rules = std::make_shared<CustomRules>();
  rules->vjp = [](const Arrays&, const Arrays& cts, const Arrays&) -> Arrays { return {cts[0] * 10.0}; };
  Function f = [&](const Arrays& x) -> Arrays {
    return {custom_function([](const Arrays& y) -> Arrays { return {sin(y[0])}; }, rules, x)[0]};
  };
  CHECK(grad(f)({array(1.0f)})[0].item<float>() == 10);
  CHECK(jvp(f, {array(1.0f)}, {array(2.0f)}).second[0].item<float>() == 20);
  array g = vmap(grad(f), {ones({3})}, {0}, front)[0];
  CHECK(at(g, 2) == 10);
  Function batched = [&](const Arrays& x) -> Arrays { return {sum(vmap(f, x, {0}, front)[0])}; };
  CHECK(at(grad(batched)({ones({3})})[0], 1) == 10);
}

TEST_CASE("a compiled trace computes what the function does, under transformations too") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(tanh(x[0] * 3.0) + sin(x[0]))}; };
  array x{0.1f, 0.2f, 0.3f};
  auto trace = std::make_shared<CompiledTrace>(f, Types{x.type()});
  Function compiled = [trace](const Arrays& in) { return (*trace)(in); };
  CHECK(compiled({x})[0].item<float>() == doctest::Approx(f({x})[0].item<float>()));
  CHECK(at(grad(compiled)({x})[0], 1) == doctest::Approx(at(grad(f)({x})[0], 1)));
  array xs = ones({4, 3});
  CHECK(at(vmap(compiled, {xs}, {0}, front)[0], 3) == doctest::Approx(f({ones({3})})[0].item<float>()));
}

TEST_CASE("random draws without a key differ between examples") {
  Function f = [](const Arrays& x) -> Arrays { return {x[0] + random::uniform({2})}; };
  array y = vmap(f, {zeros({3})}, {0}, front)[0];
  CHECK(at(y, 0) != at(y, 2));
}

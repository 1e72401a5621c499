// Every transformation traces, infers shapes and composes without a backend.
#include <doctest/doctest.h>

#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "primitives.h"
#include "transforms/checkpoint.h"
#include "transforms/custom.h"
#include "transforms/jvp.h"
#include "transforms/rules.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"
#include "helpers.h"

using namespace mx;

namespace {
array matrix(int64_t m, int64_t n) {
  return array::from<float>(std::vector<float>(static_cast<size_t>(m * n), 0.5f), {m, n});
}
}  // namespace

TEST_CASE("every primitive has every rule, written or derived, or says that it has no derivative") {
  for (const Primitive* p : all_primitives()) {
    CAPTURE(p->name);
    CHECK(p->infer);
    if (p->differentiable) {
      CHECK(std::string_view(jvp_source(*p)) != "none");
      CHECK(std::string_view(vjp_source(*p)) != "none");
    }
    CHECK((p->vmap || p->expand || std::string_view(vmap_source(*p)) == "loop"));
  }
}

TEST_CASE("grad of grad of a scalar function has the shape of its input") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(sin(x[0]) * x[0], Axes{0, 1}, false)}; };
  Function g = [&](const Arrays& x) -> Arrays { return {sum(grad(f)(x)[0], Axes{0, 1}, false)}; };
  CHECK(grad(g)({matrix(2, 3)})[0].shape() == Shape{2, 3});
}

TEST_CASE("vmap puts the batch axis where it is asked to") {
  Function f = [](const Arrays& x) -> Arrays { return {matmul(x[0], x[1])}; };
  array a = array::from<float>(std::vector<float>(24, 1.0f), {2, 4, 3}), b = matrix(3, 5);
  auto last = [](size_t n) { return BatchAxes(n, -1); };
  CHECK(vmap(f, {a, b}, {0, std::nullopt}, front)[0].shape() == Shape{2, 4, 5});
  CHECK(vmap(f, {a, b}, {1, std::nullopt}, last)[0].shape() == Shape{2, 5, 4});
}

TEST_CASE("jvp and vjp refuse tangents of the wrong count or shape") {
  Function f = [](const Arrays& x) -> Arrays { return {sin(x[0])}; };
  CHECK_THROWS_AS(jvp(f, {matrix(2, 2)}, {}), TransformError);
  CHECK_THROWS_AS(jvp(f, {matrix(2, 2)}, {matrix(2, 3)}), TransformError);
  CHECK_THROWS_AS(vjp(f, {matrix(2, 2)}, {matrix(3, 2)}), TransformError);
}

TEST_CASE("gradient graphs grow linearly with the chain") {
  auto size = [](int n) {
    Function f = [n](const Arrays& x) -> Arrays {
      array y = x[0];
      for (int i = 0; i < n; ++i) y = max(broadcast_to(y, {2, 2}), Axes{0}, false) * y;
      return {sum(y, Axes{0}, false)};
    };
    uint64_t before = next_serial();
    grad(f)({array{1.0f, 2.0f}});
    return next_serial() - before;
  };
  uint64_t a = size(50), b = size(100), c = size(200);
  CHECK(double(c - b) / double(b - a) < 2.1);
}

TEST_CASE("a checkpoint is one call whose captured arrays are inputs") {
  array w = matrix(3, 3);
  Arrays out = checkpoint([&](const Arrays& x) -> Arrays { return {tanh(matmul(x[0], w))}; }, {matrix(3, 3)});
  CHECK(out[0].primitive()->name == "checkpoint");
  CHECK(out[0].call()->inputs.size() == 2);
}

TEST_CASE("a custom rule of the wrong shape is refused by name") {
  auto rules = std::make_shared<CustomRules>();
  rules->name = "mine";
  rules->vjp = [](const Arrays&, const Arrays&, const Arrays&) -> Arrays { return {matrix(1, 1)}; };
  Function f = [&](const Arrays& x) -> Arrays {
    return {sum(custom_function([](const Arrays& y) -> Arrays { return {exp(y[0])}; }, rules, x)[0], Axes{0, 1}, false)};
  };
  CHECK_THROWS_WITH_AS(grad(f)({matrix(2, 2)}), doctest::Contains("[mine]"), TransformError);
}

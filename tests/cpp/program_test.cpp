// Programs as text, and what they cost; no value is computed.
#include <doctest/doctest.h>

#include "mx.h"
#include "control/scan.h"

using namespace mx;

namespace {
const Type kPair{Dtype::float32, {2, 3}};
}

TEST_CASE("a program has a line for each operation") {
  ReadableProgram p = make_program("f", [](const Arrays& x) -> Arrays { return {sum(x[0] * 0.5f, {1}, true)}; }, {kPair});
  CHECK(p.text() ==
        "program f: 3 steps, 12 flops, 84 bytes\n"
        "  %0 float32[2, 3] = input\n"
        "  %1 float32[] = constant 0.5\n"
        "  %2 float32[2, 3] = broadcast(%1, shape=(2, 3))\n"
        "  %3 float32[2, 3] = multiply(%0, %2)\n"
        "  %4 float32[2, 1] = sum(%3, axes=(1,), keepdims=True)\n"
        "  return %4\n");
  CHECK(p.counts()["sum"] == 1);
}

TEST_CASE("graphs among the parameters are bodies, named after them") {
  auto f = [](const Arrays& x) { return checkpoint([](const Arrays& y) -> Arrays { return {exp(y[0])}; }, x); };
  ReadableProgram p = make_program("f", f, {kPair});
  REQUIRE(p.steps.size() == 1);
  REQUIRE(p.steps[0].bodies.size() == 1);
  CHECK(p.steps[0].bodies[0].name == "graph");
  CHECK(p.steps[0].bodies[0].program.steps[0].op == "exp");
  CHECK(p.cost.flops == 6);
}

TEST_CASE("a loop costs its body once for each step") {
  auto f = [](const Arrays& x) {
    return scan([](const Arrays& in) -> Arrays { return {in[0] + in[1]}; }, {zeros({3}, Dtype::float32)}, x, 2);
  };
  CHECK(make_program("f", f, {kPair}).cost.flops == 2 * 3);
}

TEST_CASE("types are found without computing") {
  Type huge{Dtype::float32, {1 << 20, 1 << 20}};
  Types found = eval_shape([](const Arrays& x) -> Arrays { return {matmul(x[0], x[0]), sum(x[0], {0})}; }, {huge});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == huge);
  CHECK(found[1].shape == Shape{1 << 20});
}

TEST_CASE("the first operation that makes a NaN is named") {
  array y = log(array{1.0f, -1.0f}) + array(1.0f);
  set_nan_checks(true);
  CHECK_THROWS_AS(y.eval(), NanError);
  try {
    y.eval();
  } catch (const NanError& e) {
    CHECK(std::string(e.what()).starts_with("[log] made the first NaN: 1 of 2 elements of the result, float32(2,), at (1,), where the input is -1."));
  }
  set_nan_checks(false);
  CHECK_FALSE(y.eval().data<float>()[1] == 0.0f);
}

TEST_CASE("an observer sees values when a compiled function is evaluated") {
  std::vector<float> seen;
  Function f = [&](const Arrays& x) -> Arrays {
    debug_print("x", [&](const Arrays& v) { seen.push_back(v[0].item<float>()); }, {x[0]});
    return {x[0] + array(1.0f)};
  };
  CompiledTrace trace(f, {{Dtype::float32, {}}});
  CHECK(seen.empty());
  trace({array(2.0f)})[0].eval();
  trace({array(3.0f)})[0].eval();
  CHECK(seen == std::vector<float>{2, 3});
}

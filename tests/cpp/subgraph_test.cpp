// Taking a graph out and making it again; no backend.
#include <doctest/doctest.h>

#include "compile/compile.h"
#include "graph/marker.h"
#include "graph/subgraph.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/operators.h"
#include "transforms/vjp.h"

using namespace mx;

namespace {
Extract take(const Function& f, const Types& types) {
  LiveTrace trace;
  Arrays in;
  for (const Type& t : types) in.push_back(array::placeholder(t, "test"));
  return extract(f(in), in, trace.since());
}
const Type kPair{Dtype::float32, {2, 2}};
}  // namespace

TEST_CASE("printed graphs are stable") {
  array w{1.0f, 2.0f};
  auto piece = take([](const Arrays& x) -> Arrays { return {sin(x[0]) * x[1]}; }, {kPair, kPair});
  CHECK(to_string(piece.graph) ==
        "%0 float32(2, 2) = input\n"
        "%1 float32(2, 2) = input\n"
        "%2 float32(2, 2) = sin %0\n"
        "%3 float32(2, 2) = multiply %2 %1\n"
        "return %3\n");
}

TEST_CASE("what comes from outside is captured") {
  array w = array::from<float>(std::vector<float>{1, 2, 3, 4}, {2, 2});
  auto piece = take([&](const Arrays& x) -> Arrays { return {matmul(x[0], w)}; }, {kPair});
  REQUIRE(piece.captured.size() == 1);
  CHECK(piece.captured[0].node() == w.node());
}

TEST_CASE("replay makes the same calls on other inputs") {
  auto piece = take([](const Arrays& x) -> Arrays { return {exp(x[0]), x[0]}; }, {kPair});
  array x = array::from<float>(std::vector<float>{1, 2, 3, 4}, {2, 2});
  Arrays outs = replay(piece.graph, std::span(&x, 1), piece.captured);
  CHECK(outs[0].call()->inputs[0].node() == x.node());
  CHECK(outs[1].node() == x.node());
}

TEST_CASE("common steps are merged and dead ones dropped") {
  auto piece = take(
      [](const Arrays& x) -> Arrays {
        array unused = cos(x[0]);
        return {sin(x[0]) + sin(x[0])};
      },
      {kPair});
  merge_common_steps(piece.graph);
  drop_dead_steps(piece.graph);
  CHECK(piece.graph.steps.size() == 2);
}

TEST_CASE("an elementwise group becomes one program") {
  auto piece = take([](const Arrays& x) -> Arrays { return {tanh(sin(x[0]) * x[1])}; }, {kPair, kPair});
  fuse_elementwise(piece.graph, piece.captured);
  REQUIRE(piece.graph.steps.size() == 1);
  CHECK(piece.graph.steps[0].primitive->name == "fused");
}

TEST_CASE("a group does not swallow what depends on it through another operation") {
  auto piece = take(
      [](const Arrays& x) -> Arrays {
        array a = sin(x[0]);
        array b = matmul(a, a);
        return {cos(a) + b};
      },
      {kPair});
  fuse_elementwise(piece.graph, piece.captured);
  std::vector<int> made;
  for (const Step& s : piece.graph.steps) {
    for (int in : s.in) CHECK((in == 0 || std::find(made.begin(), made.end(), in) != made.end()));
    made.insert(made.end(), s.out.begin(), s.out.end());
  }
}

TEST_CASE("long groups are cut in order") {
  auto piece = take(
      [](const Arrays& x) -> Arrays {
        array y = x[0];
        for (int i = 0; i < 1000; ++i) y = sin(y) + x[0];
        return {y};
      },
      {kPair});
  fuse_elementwise(piece.graph, piece.captured);
  CHECK(piece.graph.steps.size() == 8);
}

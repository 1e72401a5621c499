// The walk: which calls lie above outputs, and in which order; no backend.
#include <doctest/doctest.h>

#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/elementwise.h"
#include "ops/operators.h"

using namespace mx;

TEST_CASE("inputs come before outputs and shared nodes once") {
  array m = mark(array{1.0f});
  array a = sin(m), b = a * a, c = b + a;
  auto calls = calls_above(std::span(&c, 1), m.node()->newest_mark);
  REQUIRE(calls.size() == 4);
  CHECK(calls[0]->primitive->name == "marker");
  CHECK(calls[1]->primitive->name == "sin");
  CHECK(calls[2]->primitive->name == "multiply");
  CHECK(calls[3]->primitive->name == "add");
}

TEST_CASE("a walk for a newer marker does not enter older graph") {
  array old = mark(array{1.0f});
  array history = old;
  for (int i = 0; i < 100; ++i) history = sin(history);
  array m = mark(history);
  array y = exp(m);
  CHECK(calls_above(std::span(&y, 1), m.node()->newest_mark).size() == 2);
}

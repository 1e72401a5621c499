// Handles, nodes and their destruction; no backend.
#include <doctest/doctest.h>

#include <thread>

#include "graph/marker.h"
#include "graph/walk.h"
#include "ops/elementwise.h"
#include "ops/operators.h"
#include "ops/reduce.h"

using namespace mx;

TEST_CASE("an operation gives a type without a value") {
  array x{1.0f, 2.0f, 3.0f};
  array y = exp(x);
  CHECK(y.shape() == Shape{3});
  CHECK(y.dtype() == Dtype::float32);
  CHECK_FALSE(y.available());
  CHECK(y.primitive()->name == "exp");
}

TEST_CASE("numbers in C++ expressions keep the dtype of the array") {
  array x = array::from<float16_t>(std::vector<float16_t>(2), {2});
  CHECK((1.0 - x).dtype() == Dtype::float16);
  CHECK((x * 2).dtype() == Dtype::float16);
}

TEST_CASE("pointers do not become boolean arrays") {
  CHECK_FALSE(std::is_constructible_v<array, const array*>);
  CHECK_FALSE(std::is_convertible_v<const char*, array>);
}

TEST_CASE("a shape beyond 63 bits is an OverflowError") {
  CHECK_THROWS_AS(n_elems({int64_t(1) << 40, int64_t(1) << 40}), OverflowError);
}

TEST_CASE("a million chained operations are walked and destroyed without recursion") {
  array x{1.0f};
  array y = mark(x);
  uint64_t since = y.node()->newest_mark;
  for (int i = 0; i < 1'000'000; ++i) y = sin(y);
  CHECK(calls_above(std::span(&y, 1), since).size() == 1'000'001);
}

TEST_CASE("handles may be released on any thread") {
  array x{1.0f, 2.0f};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([x] {
      array y = x;
      for (int i = 0; i < 1000; ++i) y = y + x;
    });
  }
  for (auto& t : threads) t.join();
  CHECK(x.shape() == Shape{2});
}

TEST_CASE("a marker remembers its serial and passes it on") {
  array x{1.0f};
  array m = mark(x), y = sin(m) + x;
  CHECK(m.node()->newest_mark > 0);
  CHECK(y.node()->newest_mark == m.node()->newest_mark);
  CHECK(x.node()->newest_mark == 0);
  CHECK(m.available());
}

TEST_CASE("nodes take the current stream") {
  array x{1.0f};
  Stream other{{Device::cpu, 0}, 7};
  StreamScope scope(other);
  CHECK(exp(x).call()->stream == other);
}

// Plans of plain evaluation: which graphs share one, and that values, errors and memory are those of single calls.
#include <cstdlib>

#include "compile/lazy.h"
#include "graph/marker.h"
#include "helpers.h"
#include "mx.h"
#include "ops/index.h"
#include "runtime/lazy.h"

using namespace mx;

namespace {

// The number of plans that `f` made and that it found.
template <class F>
LazyPlanStats during(F&& f) {
  LazyPlanStats before = lazy_plan_stats();
  f();
  LazyPlanStats after = lazy_plan_stats();
  return {after.plans - before.plans, after.hits - before.hits};
}

array chain(const array& x, const array& y) { return (x * y + x) * 2.0 - y; }

}  // namespace

TEST_CASE("a structure seen twice gets a plan, and later values of it run that plan") {
  clear_lazy_plans();
  array x{1.0f, 2.0f}, y{3.0f, 4.0f};
  auto once = [&](double scale) {
    array s = x * scale;
    s.eval();
    return values(chain(s, y));
  };
  LazyPlanStats stats = during([&] {
    for (double scale : {1.0, 2.0, 3.0}) CHECK(once(scale) == Values{2 * (3 * scale + scale) - 3, 2 * (8 * scale + 2 * scale) - 4});
  });
  CHECK(stats.plans >= 1);
  CHECK(stats.hits >= 1);
}

TEST_CASE("other shapes, dtypes, parameters, readers and holders are other structures") {
  array x = normal({4, 4}, 1, Dtype::float32), y = normal({4, 4}, 2, Dtype::float32);
  eval({x, y});
  array held;
  std::vector<std::function<array()>> graphs = {
      [&] { return sum(x * y, {0}); },
      [&] { return sum(x * y, {1}); },
      [&] { return sum(x * x, {0}); },
      [&] { return sum(y * x, {0}); },
      [&] { return sum(x + y, {0}); },
      [&] { return sum(astype(x, Dtype::float64) * astype(y, Dtype::float64), {0}); },
      [&] {
        held = x * y;
        return sum(held, {0});
      },
  };
  set_lazy_planner(nullptr);
  std::vector<Values> expected;
  for (auto& f : graphs) expected.push_back(values(f()));
  set_lazy_planner(run_as_plan);
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < graphs.size(); ++i) CHECK(values(graphs[i]()) == expected[i]);
  }
  CHECK(held.available());
}

TEST_CASE("a value within a group that somebody still holds is computed") {
  array x{1.0f, 2.0f};
  for (int round = 0; round < 3; ++round) {
    array inner = x + 1.0;
    array outer = inner * inner;
    outer.eval();
    CHECK(inner.available());
    CHECK(values(inner) == Values{2, 3});
    CHECK(values(outer) == Values{4, 9});
  }
}

TEST_CASE("an error leaves what was computed, and fails again") {
  array x{1.0f, 2.0f};
  for (int round = 0; round < 3; ++round) {
    array good = x * 2.0 + 1.0;
    array bad = take(good, array{5}, 0) + 1.0;
    CHECK_THROWS_AS(bad.eval(), IndexError);
    CHECK(values(good) == Values{3, 5});
    CHECK_THROWS_AS(bad.eval(), IndexError);
  }
}

TEST_CASE("memory that ends within a plan is used again") {
  CachingAllocator& memory = backend(Device::cpu).allocator();
  for (int round = 0; round < 3; ++round) {
    array x = contiguous(full({1 << 20}, 1.0f, Dtype::float32));
    x.eval();
    memory.reset_peak();
    size_t before = memory.active();
    // Sums between, so that the parts are steps of their own.
    for (int i = 0; i < 4; ++i) x = x * (sum(x) * 1e-6);
    x.eval();
    CHECK(memory.peak() <= before + (size_t(5) << 20));
    CHECK(memory.active() <= before);
  }
}

TEST_CASE("several outputs of one call") {
  array x = reshape(arange(6), {2, 3});
  for (int round = 0; round < 3; ++round) {
    Arrays rows = split(x * 2, 2, 0);
    array total = rows[0] + rows[1];
    CHECK(values(total) == Values{6, 10, 14});
    CHECK(values(rows[1]) == Values{6, 8, 10});
  }
}

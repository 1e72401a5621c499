// The scheduler: values, order, errors, memory and threads.
#include <doctest/doctest.h>

#include <thread>

#include "mx.h"

using namespace mx;

TEST_CASE("values are computed when asked for, once, and history is dropped") {
  array x{1.0f, 2.0f, 3.0f};
  array y = x * x + 1.0;
  CHECK_FALSE(y.available());
  CHECK(sum(y).item<float>() == doctest::Approx(17));
  y.eval();
  CHECK(y.primitive() == nullptr);
  CHECK(y.data<float>()[2] == 10);
}

TEST_CASE("a million chained operations are evaluated without recursion") {
  array y = zeros({1});
  for (int i = 0; i < 1'000'000; ++i) y = y + 1.0;
  CHECK(y.item<float>() == 1e6f);
}

TEST_CASE("views share memory") {
  array x = arange(12);
  array y = transpose(reshape(x, {3, 4}));
  y.eval();
  CHECK(y.storage().buffer == x.eval().storage().buffer);
  CHECK(y.strides() == Strides{1, 4});
}

TEST_CASE("a sole-owned temporary gives its memory to the result") {
  CachingAllocator& memory = backend(Device::cpu).allocator();
  array x = full({1 << 20}, 1.0f, Dtype::float32);
  x = contiguous(x);
  x.eval();
  memory.reset_peak();
  size_t before = memory.active();
  array y = x;
  for (int i = 0; i < 8; ++i) y = sin(y);
  y.eval();
  CHECK(memory.peak() - before <= 2 * y.n_bytes());
}

TEST_CASE("updates of a sole-owned array work in its memory") {
  CachingAllocator& memory = backend(Device::cpu).allocator();
  array x = contiguous(zeros({1 << 20}));
  x.eval();
  memory.reset_peak();
  size_t before = memory.active();
  for (int i = 0; i < 10; ++i) {
    x = slice_update(x, array{float(i)}, {i}, {i + 1});
    x.eval();
  }
  CHECK(memory.peak() - before < x.n_bytes() / 2);
  CHECK(sum(x).item<float>() == 45);
  array kept = x;
  x = slice_update(x, array{100.0f}, {0}, {1});
  CHECK(sum(x).item<float>() == 145);
  CHECK(sum(kept).item<float>() == 45);
}

TEST_CASE("active memory returns to its start") {
  CachingAllocator& memory = backend(Device::cpu).allocator();
  size_t before = memory.active();
  {
    array x = ones({1000}) + ones({1000});
    x.eval();
    CHECK(memory.active() > before);
  }
  CHECK(memory.active() == before);
}

TEST_CASE("what a kernel throws arrives, and what was computed stays") {
  array x{1.0f, 2.0f}, good = x + 1.0;
  array bad = take(good, array{5}, 0);
  CHECK_THROWS_AS(bad.eval(), IndexError);
  CHECK(good.available());
  CHECK_THROWS_AS(bad.eval(), IndexError);
}

TEST_CASE("reading a placeholder names the transformation") {
  Function f = [](const Arrays& x) -> Arrays { return {x[0] * x[0].item<float>()}; };
  CHECK_THROWS_WITH_AS(vmap(f, {ones({3})}, {0}, [](size_t n) { return BatchAxes(n, 0); }), doctest::Contains("[vmap]"), TransformError);
}

TEST_CASE("a differentiated function may read values") {
  Function f = [](const Arrays& x) -> Arrays {
    array y = x[0] * 2.0;
    return {y.item<float>() > 0 ? y * y : -y};
  };
  CHECK(grad(f)({array(3.0f)})[0].item<float>() == 24);
  CHECK(grad(f)({array(-3.0f)})[0].item<float>() == -2);
}

TEST_CASE("an allocation beyond the limit is a MemoryError, and the next one works") {
  array huge = contiguous(zeros({int64_t(1) << 45}));
  CHECK_THROWS_AS(huge.eval(), MemoryError);
  CHECK(sum(ones({3})).item<float>() == 3);
}

TEST_CASE("background evaluation finishes, also from several threads") {
  std::vector<std::thread> threads;
  std::vector<float> sums(4);
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      array x = full({1000}, static_cast<float>(t), Dtype::float32) + 1.0;
      async_eval({x});
      sums[t] = sum(x).item<float>();
    });
  }
  for (auto& t : threads) t.join();
  synchronize(current_stream());
  for (size_t t = 0; t < 4; ++t) CHECK(sums[t] == 1000.0f * static_cast<float>(t + 1));
}

TEST_CASE("one array evaluated from several threads is computed once and right") {
  array x = sum(sin(ones({1000})) * ones({1000}));
  std::vector<std::thread> threads;
  std::vector<float> seen(8);
  for (size_t t = 0; t < 8; ++t) threads.emplace_back([&, t] { seen[t] = array(x).item<float>(); });
  for (auto& t : threads) t.join();
  for (float s : seen) CHECK(s == seen[0]);
}

// The Metal driver on its host double: plans written here run from encoding to results, on one queue and several, with errors.

#include <cstring>
#include <thread>

#include "backend/metal/backend.h"
#include "backend/metal/driver/device.h"
#include "backend/metal/driver/queue.h"
#include "helpers.h"
#include "ops/create.h"
#include "runtime/eval.h"

using namespace mx;
using namespace mx::metal;

namespace {

// Kernels of our own, so that these tests speak of the driver alone.
const Source kSource{R"(
#include <metal_atomic>
#include <metal_stdlib>
using namespace metal;

struct Status {
  atomic_uint taken;
  int axis;
  long index, size;
};

constant int factor [[function_constant(0)]];

[[kernel]] void scale(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  y[i] = float(factor) * x[i];
}
[[kernel]] void increment(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  y[i] = x[i] + 1.0f;
}
[[kernel]] void backwards(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  y[i] = *(x - i);
}
[[kernel]] void pick(device const float* x [[buffer(0)]], device const int* at [[buffer(1)]], device float* y [[buffer(2)]],
                     device Status* status [[buffer(3)]], constant int& n [[buffer(4)]], uint i [[thread_position_in_grid]]) {
  if (at[i] < 0 || at[i] >= n) {
    if (atomic_exchange_explicit(&status->taken, 1u, memory_order_relaxed) == 0) {
      status->index = at[i];
      status->size = n;
      status->axis = 0;
    }
    y[i] = 0;
    return;
  }
  y[i] = x[at[i]];
}
)"};

const Primitive test_p{.name = "test", .id = -1};

array empty(Shape shape, Dtype t = Dtype::float32) {
  BufferRef buffer = backend(Device::gpu).allocator().allocate(static_cast<size_t>(n_elems(shape)) * size_of(t));
  return array::wrap(std::move(buffer), {t, std::move(shape)});
}

/// Values in memory that CPU and GPU share.
array shared(const std::vector<float>& values) {
  array x = empty({static_cast<int64_t>(values.size())});
  std::memcpy(x.bytes(), values.data(), x.n_bytes());
  return x;
}

Plan elementwise(const char* kernel, int64_t n) {
  Plan plan;
  plan.sources.push_back(kSource);
  plan.launch(kernel, {static_cast<uint32_t>(n), 1, 1}, {32, 1, 1}).source = 0;
  plan.input(0, 0);
  plan.output(1);
  return plan;
}

array run(Plan plan, const Arrays& in, int stream = 0, Shape shape = {}) {
  Arrays out{empty(shape.empty() ? in[0].shape() : shape)};
  Params none;
  Gpu::get("test").queue(stream).run({test_p, none, in, out}, plan);
  return out[0];
}

array increment(const array& x, int stream = 0) { return run(elementwise("increment", x.size()), {x}, stream); }

array pick(const array& x, std::vector<int32_t> at, int stream = 0) {
  auto n = static_cast<int64_t>(at.size());
  array indices = empty({n}, Dtype::int32);
  std::memcpy(indices.bytes(), at.data(), indices.n_bytes());
  Plan plan;
  plan.sources.push_back(kSource);
  plan.launch("pick", {static_cast<uint32_t>(n), 1, 1}, {32, 1, 1}).source = 0;
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.status(3);
  plan.value(4, static_cast<int32_t>(x.size()));
  plan.index_error = [](int64_t index, int64_t size, int64_t axis) { return cat("[pick] index ", index, " of axis ", axis, " of size ", size); };
  return run(std::move(plan), {x, indices}, stream, {n});
}

std::vector<float> values_of(const array& x) {
  const float* p = x.data<float>();
  return {p, p + x.size()};
}

/// A launch that Metal refuses: its second buffer is unset.
array broken(const array& x, int stream = 0) {
  Plan plan = elementwise("increment", x.size());
  plan.launches[0].bindings.pop_back();
  return run(std::move(plan), {x}, stream);
}

}  // namespace

TEST_CASE("sets of ranges join what touches") {
  RangeSet s;
  s.add({10, 20});
  s.add({30, 40});
  CHECK(s.size() == 2);
  CHECK(s.overlaps({15, 16}));
  CHECK(s.overlaps({5, 11}));
  CHECK(!s.overlaps({20, 30}));
  CHECK(!s.overlaps({40, 50}));
  CHECK(!s.overlaps({15, 15}));
  s.add({20, 30});
  CHECK(s.size() == 1);
  CHECK(s.overlaps({0, 100}));
  s.add({0, 5});
  s.add({50, 60});
  s.add({4, 55});
  CHECK(s.size() == 1);
  CHECK(s.overlaps({59, 60}));
  CHECK(!s.overlaps({60, 61}));
}

TEST_CASE("hazards are reads of what is written and writes of what is used") {
  Hazards h;
  h.add({0, 10}, true);
  h.add({20, 30}, false);
  CHECK(h.reads({5, 6}));
  CHECK(!h.reads({20, 30}));
  CHECK(h.writes({25, 26}));
  CHECK(h.writes({9, 12}));
  CHECK(!h.writes({10, 20}));
}

TEST_CASE("small blocks share buffers, and all go back") {
  Memory& m = Gpu::get("test").memory();
  backend(Device::gpu).allocator().clear();
  size_t before = m.allocated();
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(m.allocate(192));
  CHECK(m.find(blocks[0]).buffer == m.find(blocks[1]).buffer);
  CHECK(m.find(blocks[0]).offset != m.find(blocks[1]).offset);
  CHECK(m.find(static_cast<char*>(blocks[3]) + 5).offset == m.find(blocks[3]).offset + 5);
  void* large = m.allocate(3 << 20);
  CHECK(m.find(large).offset == 0);
  CHECK(m.find(static_cast<char*>(large) + (3 << 20) - 1).buffer == m.find(large).buffer);
  CHECK(m.allocated() > before + (3 << 20));
  for (void* b : blocks) m.free(b, 192);
  m.free(large, 3 << 20);
  CHECK(m.allocated() == before);
  int here = 0;
  CHECK(!m.find(&here).buffer);
}

TEST_CASE("launches run in order where they share memory") {
  array x = shared({0, 1, 2, 3, 4});
  for (int i = 0; i < 100; ++i) x = increment(x);
  CHECK(values_of(x) == std::vector<float>{100, 101, 102, 103, 104});
}

TEST_CASE("function constants make pipelines of their own") {
  array x = shared({1, 2, 3});
  for (int factor : {2, 3, -1}) {
    Plan plan = elementwise("scale", 3);
    plan.constant(0, factor);
    CHECK(values_of(run(std::move(plan), {x}))[2] == 3.0f * static_cast<float>(factor));
  }
}

TEST_CASE("streams wait for each other's results") {
  array x = shared({0, 1, 2, 3});
  for (int i = 0; i < 30; ++i) x = increment(x, i % 3);
  CHECK(values_of(x) == std::vector<float>{30, 31, 32, 33});
  // Both read one array; then a third overwrites memory that they had.
  array y = increment(x, 1), z = increment(x, 2);
  CHECK(values_of(increment(z, 1))[0] == 32);
  CHECK(values_of(y)[3] == 34);
}

TEST_CASE("memory of one stream's temporaries may be another's at once") {
  array x = shared(std::vector<float>(1000, 1.0f));
  for (int i = 0; i < 20; ++i) {
    Plan plan;
    plan.sources.push_back(kSource);
    uint16_t t = plan.temporary(4000);
    plan.launch("increment", {1000, 1, 1}, {64, 1, 1}).source = 0;
    plan.input(0, 0);
    plan.writes(1, t);
    plan.launch("increment", {1000, 1, 1}, {64, 1, 1}).source = 0;
    plan.reads(0, t);
    plan.output(1);
    x = run(std::move(plan), {x}, i % 2);
  }
  CHECK(values_of(x) == std::vector<float>(1000, 41.0f));
}

TEST_CASE("memory that is not the GPU's is read in place or copied") {
  for (size_t n : {3, 5000, 300000}) {
    std::vector<float> numbers(n, 2.0f);
    bool gone = false;
    {
      BufferRef foreign(new Buffer{numbers.data(), n * sizeof(float)}, [&](Buffer* b) {
        delete b;
        gone = true;
      });
      array x = array::wrap(foreign, {Dtype::float32, {static_cast<int64_t>(n)}});
      foreign.reset();
      array y = increment(x);
      x = array();
      CHECK(values_of(y) == std::vector<float>(n, 3.0f));
    }
    backend(Device::gpu).synchronize({{Device::gpu, 0}, 0});
    increment(shared({1}));  // who comes next lets go of it
    CHECK(gone);
  }
}

TEST_CASE("arrays that run backwards are bound where they begin") {
  std::vector<float> numbers(600);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  for (bool ours : {true, false}) {
    array all = ours ? shared(numbers) : array::from<float>(numbers, {600});
    array x = array::wrap(all.storage().buffer, {Dtype::float32, {600}}, 599, Strides{-1});
    Plan plan = elementwise("backwards", 600);
    array y = run(std::move(plan), {x});
    CHECK(values_of(y)[0] == 599);
    CHECK(values_of(y)[599] == 0);
  }
}

TEST_CASE("bad indices are errors of the result, every time, and of nothing else") {
  array x = shared({10, 20, 30});
  array good = pick(x, {2, 0});
  array bad = pick(x, {1, 7});
  array later = increment(bad), other = increment(x);
  CHECK(values_of(good) == std::vector<float>{30, 10});
  CHECK(values_of(other)[0] == 11);
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH_AS(values_of(bad), "[pick] index 7 of axis 0 of size 3", IndexError);
  // What was made of it is spoilt, too, also on another stream; what was only read is not.
  CHECK_THROWS_AS(values_of(later), IndexError);
  CHECK_THROWS_AS(values_of(increment(bad, 1)), IndexError);
  CHECK(values_of(x)[0] == 10);
  CHECK(values_of(increment(x, 1))[0] == 11);
}

TEST_CASE("the streams of a chain hand errors on") {
  array x = shared({1, 2});
  array a = increment(pick(x, {5, 5}, 0), 1);
  array b = increment(a, 2), c = increment(b, 0);
  CHECK_THROWS_AS(values_of(c), IndexError);
  CHECK_THROWS_AS(values_of(a), IndexError);
  Gpu::get("test").queue(0).finish(UINT64_MAX);
}

TEST_CASE("work that fails is an error of its results and of what was made from them") {
  array x = shared({1, 2, 3});
  array before = increment(x);
  values_of(before);
  array bad = broken(x);
  array later = increment(bad);
  CHECK_THROWS_AS(values_of(later), BackendError);
  CHECK_THROWS_AS(values_of(bad), BackendError);
  CHECK_THROWS_AS(values_of(bad), BackendError);
  CHECK(values_of(before)[0] == 2);
  CHECK(values_of(x)[0] == 1);
  // The queue works on.
  CHECK(values_of(increment(x))[2] == 4);
}

TEST_CASE("an error that nobody met comes with the next synchronisation, once") {
  array x = shared({1, 2, 3});
  { array dropped = pick(x, {9}); }
  Stream s{{Device::gpu, 0}, 0};
  CHECK_THROWS_AS(backend(Device::gpu).synchronize(s), IndexError);
  backend(Device::gpu).synchronize(s);
}

TEST_CASE("plans that ask for what a GPU lacks are refused") {
  array x = shared({1, 2});
  Plan plan = elementwise("increment", 2);
  plan.launches[0].group = {2048, 1, 1};
  CHECK_THROWS_AS(run(plan, {x}), BackendError);
  plan = elementwise("increment", 2);
  plan.launches[0].bindings[0].which = 4;
  CHECK_THROWS_AS(run(plan, {x}), BackendError);
  CHECK_THROWS_AS(run(elementwise("no_such_kernel", 2), {x}), BackendError);
  plan = elementwise("increment", 2);
  plan.sources[0].text = "[[kernel]] void increment(device float* x [[buffer(0)]]) { x[0] = undeclared; }";
  CHECK_THROWS_AS(run(plan, {x}), BackendError);
  CHECK(values_of(increment(x))[0] == 2);
}

TEST_CASE("thousands of operations, and nobody waits in between") {
  array x = shared(std::vector<float>(64, 0.0f));
  Arrays kept;
  for (int i = 0; i < 3000; ++i) {
    x = increment(x, i % 500 == 0 ? 1 : 0);
    if (i % 100 == 0) kept.push_back(x);
  }
  CHECK(values_of(x)[5] == 3000);
  for (size_t i = 0; i < kept.size(); ++i) CHECK(values_of(kept[i])[0] == static_cast<float>(100 * i + 1));
}

TEST_CASE("other threads may wait while work is enqueued") {
  array x = shared(std::vector<float>(16, 0.0f));
  std::vector<std::thread> readers;
  for (int i = 0; i < 40; ++i) {
    x = increment(x, i % 2);
    readers.emplace_back([x, i] { CHECK(values_of(x)[0] == static_cast<float>(i + 1)); });
  }
  for (std::thread& t : readers) t.join();
}

TEST_CASE("inputs of no elements and outputs of none") {
  array none = empty({0}), x = shared({1});
  Plan plan = elementwise("increment", 0);
  run(std::move(plan), {none});
  // Bound, though nothing is read.
  plan = elementwise("increment", 1);
  plan.sources.push_back(kSource);
  plan.launches[0].bindings[0] = {Binding::input, 0, 1};
  plan.launches[0].threads = {0, 1, 1};
  run(std::move(plan), {x, none});
}

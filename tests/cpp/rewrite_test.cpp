// Each rewrite: what it makes of a graph, that it can be switched off, and that values stay.
#include <doctest/doctest.h>

#include <cmath>

#include "compile/compile.h"
#include "compile/compiled_body.h"
#include "compile/rewrite.h"
#include "mx.h"
#include "ops/elementwise_params.h"

using namespace mx;

namespace {

const Type kSquare{Dtype::float32, {2, 2}};

array example(Dtype t = Dtype::float32) {
  std::vector<float> values{-1.5f, 0.0f, 2.0f, 3.0f};
  return astype(array::from<float>(std::span<const float>(values), {2, 2}), t);
}

// The names of a function's steps, as they are run when nothing is fused, joined by spaces.
std::string steps(const Function& f, const Types& types = {kSquare}) {
  CompiledTrace trace(f, types);
  GraphWriter w(true);
  std::vector<int> leaves;
  for (const Type& t : trace.traced().input_types) leaves.push_back(w.input(t));
  for (const array& a : trace.captured()) leaves.push_back(w.constant(a));
  Arrays captured;
  std::vector<int> outputs = w.add(trace.traced(), leaves);
  Subgraph g = w.finish(outputs, captured);
  join_products_and_sums(g);
  std::string out;
  for (const Step& s : g.steps) out += std::string(out.empty() ? "" : " ") + std::string(s.primitive->name);
  return out;
}

bool same(const array& a, const array& b) { return a.dtype() == b.dtype() && allclose(a, b, 1e-6, 0, true).item<bool>(); }

// The rewrite `name` turns the steps `before` into `after`; compiled values are the function's own.
void check(const char* name, const Function& f, const std::string& before, const std::string& after, const array& x = example()) {
  CAPTURE(name);
  Types types{x.type()};
  CHECK(steps(f, types) == after);
  enable_rewrite(name, false);
  CHECK(steps(f, types) == before);
  enable_rewrite(name, true);
  Arrays got = CompiledTrace(f, types)({x}), want = f({x});
  for (size_t k = 0; k < want.size(); ++k) CHECK(same(got[k], want[k]));
}

}  // namespace

TEST_CASE("the list has names, each once") {
  for (const Rewrite& a : rewrites()) {
    CHECK(!a.name.empty());
    for (const Rewrite& b : rewrites()) CHECK((&a == &b || a.name != b.name));
  }
  CHECK_THROWS_AS(enable_rewrite("no such thing", false), ValueError);
}

TEST_CASE("markers vanish") {
  Function f = [](const Arrays& x) { return value_and_grad([](const Arrays& y) -> Arrays { return {sum(square(y[0]))}; }, x, {0}).second; };
  CHECK(steps(f).find("marker") == std::string::npos);
}

TEST_CASE("stop_gradient passes values on") {
  check("stop_gradient", [](const Arrays& x) -> Arrays { return {stop_gradient(exp(x[0])) + x[0]}; }, "exp stop_gradient add", "exp add");
}

TEST_CASE("small constant steps are computed once") {
  // What the function computes of constants alone is one already when it is traced: these come from an expansion.
  GraphWriter w(true), off(true);
  array one(1.0f);
  Step step{&exp_p, {}, {}, {w.constant(one)}, {0}, {one.type()}, {}};
  CHECK(w.constant_of(w.add(step)[0]) != nullptr);
  enable_rewrite("constants", false);
  step.in = {off.constant(one)};
  CHECK(off.constant_of(off.add(step)[0]) == nullptr);
  enable_rewrite("constants", true);
}

TEST_CASE("casts that lost nothing are undone") {
  auto there_and_back = [](const Arrays& x) -> Arrays { return {astype(astype(x[0], Dtype::float64), Dtype::float32)}; };
  check("cast_of_cast", there_and_back, "astype astype", "");
  auto onwards = [](const Arrays& x) -> Arrays { return {astype(astype(x[0], Dtype::float32), Dtype::bfloat16)}; };
  check("cast_of_cast", onwards, "astype astype", "astype", example(Dtype::float16));
  auto narrow = [](const Arrays& x) -> Arrays { return {astype(astype(x[0], Dtype::float16), Dtype::float32)}; };
  CHECK(steps(narrow) == "astype astype");
  auto rounds = [](const Arrays& x) -> Arrays { return {astype(astype(x[0], Dtype::int32), Dtype::float32)}; };
  CHECK(steps(rounds) == "astype astype");
}

TEST_CASE("transposes and reshapes are joined") {
  check("transpose_of_transpose", [](const Arrays& x) -> Arrays { return {transpose(transpose(x[0], {1, 0}), {1, 0})}; }, "transpose transpose", "");
  auto three = [](const Arrays& x) -> Arrays { return {transpose(transpose(reshape(x[0], {1, 2, 2}), {1, 0, 2}), {2, 1, 0})}; };
  check("transpose_of_transpose", three, "reshape transpose transpose", "reshape transpose");
  check("reshape_of_reshape", [](const Arrays& x) -> Arrays { return {reshape(reshape(x[0], {4}), {2, 2})}; }, "reshape reshape", "");
  check("reshape_of_reshape", [](const Arrays& x) -> Arrays { return {reshape(reshape(x[0], {4}), {4, 1})}; }, "reshape reshape", "reshape");
}

TEST_CASE("broadcasts are joined") {
  auto twice = [](const Arrays& x) -> Arrays { return {broadcast_to(broadcast_to(x[0], {3, 2, 2}), {4, 3, 2, 2})}; };
  check("broadcast_of_broadcast", twice, "broadcast broadcast", "broadcast");
  auto ones = [](const Arrays& x) -> Arrays { return {broadcast_to(reshape(x[0], {1, 1, 2, 2}), {5, 3, 2, 2})}; };
  check("broadcast_of_broadcast", ones, "reshape broadcast", "broadcast");
}

TEST_CASE("small powers are products") {
  auto to = [](float n) { return [n](const Arrays& x) -> Arrays { return {power(x[0], array(n))}; }; };
  check("small_power", to(1), "power", "");
  auto squared = [](const Arrays& x) -> Arrays { return {make_node(power_p, {}, {x[0], full({2, 2}, array(2.0f))}, kSquare)}; };
  check("small_power", squared, "power", "multiply");
  check("small_power", to(3), "power", "multiply multiply");
  check("small_power", to(4), "power", "multiply multiply");
  check("small_power", to(-1), "power", "reciprocal");
  CHECK(steps(to(5)) == "power");
  auto half = [](const Arrays& x) -> Arrays { return {power(x[0], array(3.0f, Dtype::float16))}; };
  CHECK(steps(half, {{Dtype::float16, {2}}}) == "power");
  auto root = [](const Arrays& x) -> Arrays { return {power(abs(x[0]), array(0.5f))}; };
  check("small_power", root, "abs power", "abs sqrt");
  // -0 and -inf have other roots than powers.
  CHECK(steps(to(0.5f)) == "power");
}

TEST_CASE("factors of 1 and -1 vanish") {
  check("product_with_one", [](const Arrays& x) -> Arrays { return {x[0] * array(1.0f)}; }, "multiply", "");
  check("product_with_one", [](const Arrays& x) -> Arrays { return {array(-1.0f) * x[0]}; }, "multiply", "negative");
  auto complex = [](const Arrays& x) -> Arrays { return {x[0] * array(complex64_t(1, 0))}; };
  CHECK(steps(complex, {{Dtype::complex64, {2}}}) == "multiply");
}

TEST_CASE("quotients by powers of two are products") {
  check("quotient_by_power_of_two", [](const Arrays& x) -> Arrays { return {x[0] / array(4.0f)}; }, "divide", "multiply");
  check("quotient_by_power_of_two", [](const Arrays& x) -> Arrays { return {x[0] / array(1.0f)}; }, "divide", "");
  CHECK(steps([](const Arrays& x) -> Arrays { return {x[0] / array(3.0f)}; }) == "divide");
}

TEST_CASE("sums and differences with zero or a negative are simpler") {
  check("sum_with_zero", [](const Arrays& x) -> Arrays { return {x[0] + array(-0.0f)}; }, "add", "");
  check("sum_with_zero", [](const Arrays& x) -> Arrays { return {x[0] + negative(exp(x[0]))}; }, "exp negative add", "exp subtract");
  // 0 + -0 is 0.
  CHECK(steps([](const Arrays& x) -> Arrays { return {x[0] + array(0.0f)}; }) == "add");
  check("sum_with_zero", [](const Arrays& x) -> Arrays { return {x[0] + array(0, Dtype::int32)}; }, "add", "", example(Dtype::int32));
  check("difference_with_zero", [](const Arrays& x) -> Arrays { return {x[0] - array(0.0f)}; }, "subtract", "");
  check("difference_with_zero", [](const Arrays& x) -> Arrays { return {x[0] - negative(exp(x[0]))}; }, "exp negative subtract", "exp add");
}

TEST_CASE("what undoes itself vanishes") {
  check("twice", [](const Arrays& x) -> Arrays { return {negative(negative(x[0]))}; }, "negative negative", "");
}

TEST_CASE("known choices are taken") {
  auto f = [](bool which) { return [which](const Arrays& x) -> Arrays { return {where(array(which), x[0], exp(x[0]))}; }; };
  check("known_choice", f(true), "exp select", "");
  check("known_choice", f(false), "exp select", "exp");
}

TEST_CASE("reductions of broadcasts need no broadcast") {
  auto f = [](const Arrays& x) -> Arrays { return {sum(broadcast_to(x[0], {5, 2, 2}), Axes{0})}; };
  check("reduced_broadcast", f, "broadcast sum", "multiply add");
  auto largest = [](const Arrays& x) -> Arrays { return {max(broadcast_to(x[0], {5, 2, 2}), Axes{0})}; };
  check("reduced_broadcast", largest, "broadcast max", "");
  auto some = [](const Arrays& x) -> Arrays { return {max(broadcast_to(x[0], {5, 2, 2}), Axes{0, 1})}; };
  CHECK(steps(some) == "broadcast max");
  auto none = [](const Arrays& x) -> Arrays { return {sum(broadcast_to(x[0], {0, 2, 2}), Axes{0})}; };
  CHECK(same(CompiledTrace(none, {kSquare})({example()})[0], zeros({2, 2})));
}

TEST_CASE("a product whose only use is a sum is joined with it") {
  auto f = [](const Arrays& x) -> Arrays { return {matmul(x[0], x[0]) + x[0]}; };
  check("product_and_sum", f, "matmul add", "addmm");
  auto twice = [](const Arrays& x) -> Arrays {
    array p = matmul(x[0], x[0]);
    return {p + x[0], p};
  };
  CHECK(steps(twice) == "matmul add");
  // Joins the elementwise work after it instead.
  CHECK(steps([](const Arrays& x) -> Arrays { return {tanh(matmul(x[0], x[0]) + x[0])}; }) == "matmul add tanh");
}

TEST_CASE("equal steps are one, whatever the order of operands") {
  CHECK(steps([](const Arrays& x) -> Arrays { return {(x[0] + exp(x[0])) * (exp(x[0]) + x[0])}; }) == "exp add multiply");
  CHECK(steps([](const Arrays& x) -> Arrays { return {(x[0] - exp(x[0])) * (exp(x[0]) - x[0])}; }) == "exp subtract subtract multiply");
}

TEST_CASE("a transposed operand is a view for the product") {
  CompiledTrace trace([](const Arrays& x) -> Arrays { return {matmul(transpose(x[0], {1, 0}), x[0])}; }, {kSquare});
  const Lowered& run = trace.body().lowered();
  array x = example();
  CallPlan plan(run.graph, run.captured, std::span(&x, 1));
  CHECK(plan.n_calls() == 1);
  CHECK(plan.temporary_bytes() == 0);
}

TEST_CASE("temporaries lie where earlier ones were") {
  Function f = [](const Arrays& x) -> Arrays {
    array y = x[0];
    for (int i = 0; i < 10; ++i) y = sort(y, 0) * array(0.5f);
    return {sum(y)};
  };
  CompiledTrace trace(f, {{Dtype::float32, {1000}}});
  const Lowered& run = trace.body().lowered();
  array x = arange(1000, Dtype::float32);
  x.eval();
  CallPlan plan(run.graph, run.captured, std::span(&x, 1));
  CHECK(plan.temporary_bytes() <= 3 * 4096);
  Storage out;
  for (int i = 0; i < 3; ++i) plan.run(std::span(&x, 1), false, std::span(&out, 1));
  array value = array::wrap(out.buffer, {Dtype::float32, {}}, out.offset);
  CHECK(same(value, f({x})[0]));
}

TEST_CASE("transformations of a compiled call are compiled calls") {
  CompiledTrace trace([](const Arrays& x) -> Arrays { return {sum(tanh(matmul(x[0], x[0])))}; }, {kSquare});
  Function f = [&](const Arrays& x) { return trace(x); };
  Function plain = [](const Arrays& x) -> Arrays { return {sum(tanh(matmul(x[0], x[0])))}; };
  array x = example();
  auto [outs, grads] = value_and_grad(f, {x}, {0});
  CHECK(grads[0].primitive() == &compiled_p);
  CHECK(same(grads[0], grad(plain)({x})[0]));
  CHECK(same(outs[0], plain({x})[0]));
  CHECK(jvp(f, {x}, {x}).second[0].primitive() == &compiled_p);
}

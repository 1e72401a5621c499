// Which steps of a traced function run as one, and that the programs give what the steps give.
#include <doctest/doctest.h>

#include <algorithm>

#include "compile/compile.h"
#include "compile/program.h"
#include "mx.h"

using namespace mx;

namespace {

const Type kMatrix{Dtype::float32, {30, 100}};
const Type kVector{Dtype::float32, {100}};

struct Fused {
  CompiledTrace trace;
  Fused(const Function& f, const Types& types) : trace(f, types) {}

  std::vector<const Program*> programs() const {
    std::vector<const Program*> found;
    for (const Step& s : trace.graph().steps) {
      if (s.primitive == &fused_p) found.push_back(s.params.get<FusedParams>().program.get());
    }
    return found;
  }
  /// Operations that are neither fused nor views.
  std::vector<std::string> others() const {
    std::vector<std::string> names;
    for (const Step& s : trace.graph().steps) {
      if (s.primitive != &fused_p && !s.primitive->view) names.emplace_back(s.primitive->name);
    }
    return names;
  }
};

int n_reductions(const Program& p, bool columns = false) {
  return static_cast<int>(std::count_if(p.code.begin(), p.code.end(), [&](const Instr& i) { return i.reduce != Reduce::none && i.columns == columns; }));
}

array numbers(const Type& t, int seed) { return astype(random::normal(t.shape, Dtype::float32, random::key(static_cast<uint64_t>(seed))), t.dtype); }

/// The largest difference between the function and its compiled form, relative to the largest element.
double difference(const Function& f, const Types& types) {
  Arrays in;
  for (const Type& t : types) in.push_back(numbers(t, static_cast<int>(in.size())));
  Arrays want = f(in), got = CompiledTrace(f, types)(in);
  double worst = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    REQUIRE(want[k].type() == got[k].type());
    array scale = maximum(max(abs(want[k])), array(1.0f, want[k].dtype()));
    worst = std::max(worst, astype(max(abs(subtract(want[k], got[k]))) / scale, Dtype::float64).item<double>());
  }
  return worst;
}

}  // namespace

TEST_CASE("reductions along rows and what is made of them are one program") {
  Function f = [](const Arrays& x) -> Arrays {
    array e = exp(x[0] - max(x[0], {1}, true));
    return {e / sum(e, {1}, true)};
  };
  Fused g(f, {kMatrix});
  REQUIRE(g.programs().size() == 1);
  CHECK(g.others().empty());
  CHECK(g.programs()[0]->row_axes == 1);
  CHECK(n_reductions(*g.programs()[0]) == 2);
  CHECK(difference(f, {kMatrix}) < 1e-6);
}

TEST_CASE("composites are opened among their neighbours") {
  Function f = [](const Arrays& x) -> Arrays { return {softmax(x[0] * x[0], -1) * 2.0f, logsumexp(x[0] * x[0], -1)}; };
  Fused g(f, {kMatrix});
  CHECK(g.programs().size() == 1);
  CHECK(g.others().empty());
  CHECK(difference(f, {kMatrix}) < 1e-6);
}

TEST_CASE("a norm written out and its derivatives are one program with column sums") {
  Function f = [](const Arrays& x) -> Arrays {
    auto [y, pulled] = vjp([](const Arrays& a) -> Arrays {
      array d = a[0] - mean(a[0], {-1}, true);
      return {d * rsqrt(mean(square(d), {-1}, true) + 1e-5) * a[1] + a[2]};
    }, {x[0], x[1], x[2]}, {x[3]});
    return {y[0], pulled[0], pulled[1], pulled[2]};
  };
  Types types{kMatrix, kVector, kVector, kMatrix};
  Fused g(f, types);
  REQUIRE(g.programs().size() == 1);
  CHECK(g.others().empty());
  CHECK(n_reductions(*g.programs()[0], true) == 2);
  CHECK(difference(f, types) < 1e-5);
}

TEST_CASE("a sum over everything is fused with what it adds") {
  Function f = [](const Arrays& x) -> Arrays { return {sum(square(x[0] - x[1])), mean(x[0] * x[1])}; };
  Fused g(f, {kMatrix, kMatrix});
  CHECK(g.programs().size() == 1);
  CHECK(g.programs()[0]->row_axes == 2);
  CHECK(g.others().empty());
  CHECK(difference(f, {kMatrix, kMatrix}) < 1e-5);
}

TEST_CASE("groups with different rows are apart") {
  Function f = [](const Arrays& x) -> Arrays {
    array y = exp(x[0] * 0.5f);
    return {sum(y * y, {1}), sum(y, Axes{0, 1})};
  };
  Fused g(f, {kMatrix});
  CHECK(g.trace.graph().steps.size() >= 2);
  CHECK(difference(f, {kMatrix}) < 1e-5);
}

TEST_CASE("a group goes round what it cannot hold") {
  // The sort lies between two elementwise steps that read the same value.
  Function f = [](const Arrays& x) -> Arrays {
    array y = x[0] * 2.0f + 1.0f;
    return {sort(y, -1) - y * y};
  };
  Fused g(f, {kMatrix});
  CHECK(g.others() == std::vector<std::string>{"sort", "subtract"});
  CHECK(difference(f, {kMatrix}) < 1e-6);
}

TEST_CASE("a row's result that is asked for as a whole array is a view") {
  Function f = [](const Arrays& x) -> Arrays { return {broadcast_to(sum(x[0] * x[0], {1}, true), x[0].shape())}; };
  Fused g(f, {kMatrix});
  REQUIRE(g.programs().size() == 1);
  CHECK(g.trace.graph().steps.back().primitive->name == "broadcast");
  CHECK(difference(f, {kMatrix}) < 1e-6);
}

TEST_CASE("a whole array that is the same along each row is a view of one number a row") {
  // What is added is a constant everywhere, so the sum has one value a row.
  Function f = [](const Arrays& x) -> Arrays {
    array row = broadcast_to(sum(x[0] * x[0], {1}, true), x[0].shape());
    array y = row + ones(x[0].shape(), Dtype::float32);
    return {y, sum(y * 2.0f, {1})};
  };
  Fused g(f, {kMatrix});
  CHECK(g.programs().size() == 1);
  CHECK(difference(f, {kMatrix}) < 1e-6);
}

TEST_CASE("one operation by itself keeps its kernel") {
  Fused g([](const Arrays& x) -> Arrays { return {sum(x[0], {1})}; }, {kMatrix});
  CHECK(g.programs().empty());
}

TEST_CASE("long chains are cut") {
  Function f = [](const Arrays& x) -> Arrays {
    array y = x[0];
    for (int i = 0; i < 700; ++i) y = sin(y) + x[0] * static_cast<float>(i);
    return {y, sum(y, {1})};
  };
  Fused g(f, {kMatrix});
  CHECK(g.programs().size() >= 3);
  for (const Program* p : g.programs()) CHECK(p->code.size() <= 256);
  CHECK(difference(f, {kMatrix}) < 1e-5);
}

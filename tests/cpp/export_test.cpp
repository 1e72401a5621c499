// Functions as files: what is written is read again, by this build and from an older one, and damage is an error.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "export/bytes.h"
#include "export/dot.h"
#include "export/export.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "runtime/eval.h"
#include "transforms/checkpoint.h"
#include "transforms/custom.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"
#include "helpers.h"

using namespace mx;

namespace {

struct File {
  std::string path = (std::filesystem::temp_directory_path() / cat("mxform_export_test_", getpid(), ".mlxfn")).string();
  ~File() { std::remove(path.c_str()); }
  std::string read() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
};

array ramp(Shape shape) { return reshape(astype(arange(n_elems(shape)), Dtype::float32), shape) * 0.25 - 1.0; }

// A primitive whose parameters no file can hold, and one that files do not know.
struct PointerParams {
  std::shared_ptr<const std::function<int()>> what;
  auto fields() const { return std::tie(what); }
};
const Primitive with_pointer_p = define<PointerParams>({
    .name = "with_pointer",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
});
const Primitive unknown_p = define<NoParams>({
    .name = "unknown",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
});
// One that can be said in other operations.
const Primitive composed_p = define<PointerParams>({
    .name = "composed",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .expand = [](auto&, const Call& c) -> Outs { return exp(c.in(0)); },
});

}  // namespace

TEST_CASE("a function comes back from its file, with what it captured") {
  File file;
  array w = ramp({3, 2});
  Function f = [&](const Arrays& xs) { return Arrays{tanh(matmul(xs[0], w)) + xs[1], sum(xs[0])}; };
  array x = ramp({4, 3}), y = ramp({2});
  export_function(file.path, f, {x}, {{"bias", y}}, {.metadata = "about it"});
  ImportedFunction g = import_function(file.path);
  CHECK(g.metadata() == "about it");
  CHECK(g.signatures() == "\n  (float32(4, 3), bias=float32(2,))");
  Arrays got = g({x}, {{"bias", y}}), want = f({x, y});
  REQUIRE(got.size() == 2);
  CHECK(values(got[0]) == values(want[0]));
  CHECK(values(got[1]) == values(want[1]));
  CHECK_THROWS_WITH_AS(g({ramp({3, 3})}, {{"bias", y}}), doctest::Contains("input 0 has shape (3, 3); need (4, 3)"), ValueError);
  CHECK_THROWS_WITH_AS(g({x}), doctest::Contains("(float32(4, 3)) came"), ValueError);
  // It is a function like any other.
  Function h = [&](const Arrays& xs) { return Arrays{sum(g({xs[0]}, {{"bias", y}})[0])}; };
  Function direct = [&](const Arrays& xs) { return Arrays{sum(f({xs[0], y})[0])}; };
  CHECK(values(vjp(h, {x}, {array(1.0f)}).second[0]) == values(vjp(direct, {x}, {array(1.0f)}).second[0]));
}

TEST_CASE("several traces share a file and its constants") {
  File file;
  array w = ramp({1000});
  Function f = [&](const Arrays& xs) {
    array total = w;
    for (const array& x : xs) total = total + x;
    return Arrays{total};
  };
  {
    FunctionExporter exporter(file.path);
    exporter.add(f, {array(1.0f)});
    exporter.add(f, {array(1.0f), array(2.0f)});
    CHECK_THROWS_AS(exporter.add(f, {array(3.0f)}), std::runtime_error);
    exporter.close();
    CHECK_THROWS_AS(exporter.add(f, {}), std::runtime_error);
  }
  CHECK(file.read().size() < 6000);
  ImportedFunction g = import_function(file.path);
  CHECK(g.traces().size() == 2);
  CHECK(values(g({array(1.0f), array(2.0f)})[0]) == values(w + 3.0));
}

TEST_CASE("a shapeless trace follows the sizes of its inputs, or refuses them") {
  File file;
  Function f = [](const Arrays& xs) {
    int64_t n = xs[0].shape(0);
    array mask = greater_equal(expand_dims(arange(n), 1), arange(n));
    return Arrays{mean(where(mask, matmul(xs[0], swapaxes(xs[0], 0, 1)), array(0.0f)), 1, false), reshape(xs[0], {-1})};
  };
  export_function(file.path, f, {ramp({4, 3})}, {}, {.shapeless = true});
  ImportedFunction g = import_function(file.path);
  CHECK(g.traces()[0].shapeless);
  for (Shape shape : {Shape{1, 1}, Shape{5, 2}, Shape{17, 1}, Shape{2, 9}}) {
    array x = ramp(shape);
    Arrays got = g({x}), want = f({x});
    CHECK(got[1].shape() == want[1].shape());
    CHECK(values(got[0]) == values(want[0]));
  }
  CHECK_THROWS_AS(g({ramp({4})}), ValueError);
  Function loop = [](const Arrays& xs) {
    array total = array(0.0f);
    for (int64_t i = 0; i < xs[0].shape(0); ++i) total = total + sum(slice_along(xs[0], 0, i, i + 1));
    return Arrays{total};
  };
  CHECK_THROWS_WITH_AS(export_function(file.path, loop, {ramp({4, 3})}, {}, {.shapeless = true}),
                       doctest::Contains("depends on the size of axis 0 of input 0"), ValueError);
}

TEST_CASE("user-given rules and checkpoints are kept") {
  File file;
  array factor = array(3.0f);
  auto rules = std::make_shared<CustomRules>();
  rules->vjp = [&](const Arrays&, const Arrays& cts, const Arrays&) { return Arrays{cts[0] * factor}; };
  Function f = [&](const Arrays& xs) {
    return custom_function([](const Arrays& in) { return checkpoint([](const Arrays& ys) { return Arrays{exp(ys[0])}; }, in); }, rules, xs);
  };
  array x = ramp({3});
  export_function(file.path, f, {x});
  ImportedFunction g = import_function(file.path);
  CHECK(values(g({x})[0]) == values(exp(x)));
  CHECK(values(vjp(g, {x}, {ones({3})}).second[0]) == std::vector<double>{3, 3, 3});
  // Also once more through a file, and batched.
  export_function(file.path, g, {x});
  ImportedFunction h = import_function(file.path);
  CHECK(values(vjp(h, {x}, {ones({3})}).second[0]) == std::vector<double>{3, 3, 3});
  Function batched = [&](const Arrays& xs) { return vmap(h, xs, {0}, front); };
  CHECK(values(vjp(batched, {ramp({2, 3})}, {ones({2, 3})}).second[0]) == std::vector<double>{3, 3, 3, 3, 3, 3});
}

TEST_CASE("a file that Python wrote with an earlier build still runs") {
  auto path = std::filesystem::path(__FILE__).parent_path() / "../golden/function.mlxfn";
  ImportedFunction f = import_function(path.string());
  CHECK(f.metadata() == "tests/python/test_export.py makes it");
  array x = ramp({2, 4});
  Arrays fixed = f({x}, {{"scale", array(2.0f)}});
  CHECK(values(fixed[0]) == std::vector<double>{-4, -3, -2, -1, 0, 1, 2, 3});
  CHECK(fixed[1].dtype() == Dtype::uint32);
  array y = ramp({3, 5});
  Arrays open = f({y});
  CHECK(open[0].shape() == Shape{3, 5});
  CHECK(values(open[0]) == values(y - mean(y, -1, true)));
}

TEST_CASE("no damaged file is taken for a function") {
  File file;
  array w = ramp({3});
  export_function(file.path, [&](const Arrays& xs) { return Arrays{exp(xs[0]) * w}; }, {ramp({3})});
  std::string good = file.read();
  for (size_t n = 0; n < good.size(); ++n) {
    file.write(good.substr(0, n));
    CHECK_THROWS_AS(import_function(file.path), ValueError);
    std::string flipped = good;
    flipped[n] = static_cast<char>(flipped[n] ^ 0x10);
    file.write(flipped);
    CHECK_THROWS_AS(import_function(file.path), ValueError);
  }
  file.write(good + "x");
  CHECK_THROWS_AS(import_function(file.path), ValueError);
  CHECK_THROWS_AS(import_function(file.path + ".not"), std::runtime_error);
}

TEST_CASE("what cannot be exported is said") {
  File file;
  array outside = array(0.0f);
  auto inside = [&](const Arrays& xs) {
    export_function(file.path, [&](const Arrays& ys) { return Arrays{ys[0] + xs[0]}; }, {array(1.0f)});
    return xs;
  };
  CHECK_THROWS_AS(vmap(inside, {ramp({2})}, {0}, front), TransformError);
  auto with = [&](const Primitive& p, const Params& params) {
    export_function(file.path, [&](const Arrays& xs) { return Arrays{make_node(p, params, {xs[0]}, xs[0].type())}; }, {outside});
  };
  CHECK_THROWS_WITH_AS(with(with_pointer_p, PointerParams{}), doctest::Contains("the operation with_pointer holds something"), ValueError);
  CHECK_THROWS_WITH_AS(with(unknown_p, {}), doctest::Contains("the operation unknown cannot be exported"), ValueError);
  with(composed_p, PointerParams{});
  CHECK(import_function(file.path)({outside})[0].item<float>() == 1);
  CHECK_THROWS_AS(export_function("/no/such/folder/f.mlxfn", [](const Arrays& xs) { return xs; }, {outside}), std::runtime_error);
}

TEST_CASE("integers, texts and checksums are what the format says") {
  exporting::Writer w;
  for (int64_t n : {int64_t(0), int64_t(-1), int64_t(300), INT64_MAX, INT64_MIN}) w.integer(n);
  w.text("text");
  w.text("text");
  w.real(-0.5);
  exporting::Reader r(w.bytes());
  for (int64_t n : {int64_t(0), int64_t(-1), int64_t(300), INT64_MAX, INT64_MIN}) CHECK(r.integer() == n);
  CHECK(r.text() == "text");
  CHECK(r.text() == "text");
  CHECK(r.real() == -0.5);
  CHECK(r.done());
  CHECK_THROWS_AS(r.count(), ValueError);
  CHECK(exporting::crc32("123456789") == 0xcbf43926u);
  CHECK(exporting::crc32("6789", exporting::crc32("12345")) == 0xcbf43926u);
  exporting::Reader wide(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
  CHECK_THROWS_AS(wide.count(), ValueError);
}

TEST_CASE("a graph in the language of Graphviz") {
  array x = ramp({2}), y = array(2.0f);
  x.eval();
  y.eval();
  CHECK(to_dot({exp(x) + x}, {{"x", x}}) ==
        "digraph {\n"
        "{ rank=source; \"x\"; }\n"
        "{ 0 [label =\"exp\", shape=rectangle]; }\n"
        "\"x\" -> 0\n"
        "{ \"A\"; }\n"
        "0 -> \"A\"\n"
        "{ 1 [label =\"add\", shape=rectangle]; }\n"
        "\"A\" -> 1\n"
        "\"x\" -> 1\n"
        "{ rank=sink; \"B\"; }\n"
        "1 -> \"B\"\n"
        "}\n");
  CHECK(array_letters(0) == "A");
  CHECK(array_letters(26) == "AA");
}

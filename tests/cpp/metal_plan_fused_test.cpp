// Plans of fused programs, and their source.
#include "backend/metal/plan/fused.h"
#include "backend/metal/plan/fused_source.h"
#include "metal_plan_helpers.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

Instr apply(ElementwiseCode code, Dtype t, uint16_t a, uint16_t b = 0) { return {.code = code, .in = t, .out = t, .a = a, .b = b}; }
Instr reduce(Reduce r, Dtype t, uint16_t a, bool columns = false) { return {.in = t, .out = t, .a = a, .reduce = r, .columns = columns}; }

// exp(a + b) * 2
Program flat_program(Dtype t) {
  Program p;
  p.inputs = {t, t};
  p.constants = {{t, t == Dtype::float32 ? 0x40000000u : 0x4000u}};
  p.code = {apply(BinaryOp::add, t, 0, 1), apply(UnaryOp::exp, t, 3), apply(BinaryOp::multiply, t, 4, 2)};
  p.outputs = {5};
  return p;
}

// x - max(x), its sum over the columns, and the maximum.
Program row_program() {
  Program p;
  p.inputs = {Dtype::float32};
  p.code = {reduce(Reduce::max, Dtype::float32, 0), apply(BinaryOp::subtract, Dtype::float32, 0, 1), reduce(Reduce::sum, Dtype::float32, 2, true)};
  p.outputs = {2, 3, 1};
  p.row_axes = 1;
  return p;
}

Planned run(const Program& p, const Arrays& in, metal::FusedWay way) {
  metal::set_fused_way(way);
  return planned(fused_p, FusedParams(std::make_shared<const Program>(p)), in);
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a program is printed, interpreted, or run by its instructions") {
  array x = unreal(Dtype::float32, {100, 30}), y = unreal(Dtype::float32, {100, 30}, {0, 1});
  Program p = flat_program(Dtype::float32);
  CHECK(run(p, {x, x}, metal::FusedWay::source).kernels() == Names{"fused_contiguous"});
  CHECK(run(p, {x, y}, metal::FusedWay::source).kernels() == Names{"fused_strided"});
  CHECK(run(p, {x, y}, metal::FusedWay::interpreter).kernels() == Names{"fused_interpret"});
  CHECK(run(p, {x, y}, metal::FusedWay::instructions).kernels() == Names{"arange_uint32", "binary_float32", "unary_float32", "binary_float32"});
  Program rows = row_program();
  CHECK(run(rows, {x}, metal::FusedWay::source).kernels() == Names{"fused_rows", "reduce_float32"});
  CHECK(run(rows, {x}, metal::FusedWay::interpreter).kernels() == Names{"reduce_float32", "binary_float32", "reduce_float32"});
  CHECK_FALSE(run(flat_program(Dtype::float64), {unreal(Dtype::float64, {4}), unreal(Dtype::float64, {4})}, metal::FusedWay::source).taken);
}

TEST_CASE("the first run of a program compiles nothing") {
  metal::set_fused_way(metal::FusedWay::automatic);
  auto program = std::make_shared<const Program>(flat_program(Dtype::float32));
  array x = unreal(Dtype::float32, {8});
  CHECK(planned(fused_p, FusedParams(program), {x, x}).kernels() == Names{"fused_interpret"});
  CHECK(planned(fused_p, FusedParams(program), {x, x}).kernels() == Names{"fused_contiguous"});
}

TEST_CASE("the source rounds to the dtype after every instruction") {
  std::string text = metal::source_of(flat_program(Dtype::bfloat16));
  CHECK(contains(text, "const float v3 = float(bfloat(mx::scalar::add(v0, v1)));"));
  CHECK(contains(text, "const float v2 = float(as_type<bfloat>(ushort(0x4000u)));"));
  CHECK(contains(text, "out0[i] = bfloat(v5);"));
  std::string rows = metal::source_of(row_program());
  CHECK(contains(rows, "LargestOf::of"));
  CHECK(contains(rows, "combine_team<LargestOf>"));
  CHECK(contains(rows, "column0[to] = "));
}

TEST_CASE("programs over no elements and on memory taken over are planned") {
  Program p = flat_program(Dtype::float32), rows = row_program();
  for (auto way : {metal::FusedWay::source, metal::FusedWay::interpreter, metal::FusedWay::instructions}) {
    CHECK(run(p, {unreal(Dtype::float32, {0}), unreal(Dtype::float32, {0})}, way).plan.launches.empty());
    CHECK(run(rows, {unreal(Dtype::float32, {0, 4})}, way).taken);
    CHECK(run(rows, {unreal(Dtype::float32, {4, 0})}, way).taken);
    CHECK(run(rows, {unreal(Dtype::float32, {int64_t(1) << 20, int64_t(1) << 16})}, way).taken);
  }
  metal::set_fused_way(metal::FusedWay::interpreter);
  array x = unreal(Dtype::float32, {8}), y = unreal(Dtype::float32, {8});
  Params params = FusedParams(std::make_shared<const Program>(p));
  // Elements that lie where they are read are written afterwards; instructions need a copy.
  CHECK(planned(fused_p, params, {x, y}, true).kernels() == Names{"fused_interpret"});
  metal::set_fused_way(metal::FusedWay::instructions);
  CHECK(planned(fused_p, params, {x, y}, true).kernels()[0] == "copy_uint32");
}

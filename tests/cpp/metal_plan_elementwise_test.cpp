// Plans of elementwise rows, casts, copies and arange.
#include "metal_plan_helpers.h"
#include "ops/cast_params.h"
#include "ops/create_params.h"
#include "ops/elementwise_params.h"
#include "ops/movement_params.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

uint32_t constant_of(const metal::Launch& l, uint32_t index) {
  for (const metal::FunctionConstant& c : l.constants) {
    if (c.index == index) return c.bits;
  }
  FAIL("no such constant");
  return 0;
}
bool strided(const Planned& p) { return constant_of(p.plan.launches[0], 1) != 0; }

}  // namespace

TEST_CASE("a row's kernel is named by the dtypes of its input and its result") {
  array x = unreal(Dtype::bfloat16, {3, 4}), z = unreal(Dtype::complex64, {3, 4}), b = unreal(Dtype::bool_, {3, 4});
  CHECK(planned(exp_p, {}, {x}).kernels() == Names{"unary_bfloat16"});
  CHECK(planned(isnan_p, {}, {x}).kernels() == Names{"unary_bfloat16_bool"});
  CHECK(planned(abs_p, {}, {z}).kernels() == Names{"unary_complex64_float32"});
  CHECK(planned(less_p, {}, {x, x}).kernels() == Names{"binary_bfloat16_bool"});
  CHECK(planned(equal_p, {}, {b, b}).kernels() == Names{"binary_bool"});
  CHECK(planned(select_p, {}, {b, z, z}).kernels() == Names{"select_uint64"});
  CHECK(constant_of(planned(exp_p, {}, {x}).plan.launches[0], 0) == static_cast<uint32_t>(UnaryOp::exp));
}

TEST_CASE("float64 stays on the CPU, but for moves of bits") {
  array x = unreal(Dtype::float64, {5}), y = unreal(Dtype::float32, {5}), b = unreal(Dtype::bool_, {5});
  CHECK_FALSE(planned(add_p, {}, {x, x}).taken);
  CHECK_FALSE(planned(isnan_p, {}, {x}).taken);
  CHECK_FALSE(planned(astype_p, CastParams{Dtype::float64}, {y}).taken);
  CHECK_FALSE(planned(astype_p, CastParams{Dtype::float32}, {x}).taken);
  CHECK(planned(select_p, {}, {b, x, x}).taken);
  CHECK(planned(contiguous_p, ContiguousParams{false, true}, {x}).kernels() == Names{"copy_uint64"});
}

TEST_CASE("contiguous and single operands need no layout") {
  array x = unreal(Dtype::float32, {6, 7}), one = unreal(Dtype::float32, {6, 7}, {0, 0}), row = unreal(Dtype::float32, {6, 7}, {0, 1});
  CHECK_FALSE(strided(planned(add_p, {}, {x, one})));
  CHECK(constant_of(planned(add_p, {}, {x, one}).plan.launches[0], 3) == 1);
  CHECK(constant_of(planned(add_p, {}, {x, one}).plan.launches[0], 2) == 0);
  CHECK(strided(planned(add_p, {}, {x, row})));
  CHECK(strided(planned(negative_p, {}, {unreal(Dtype::float32, {6, 7}, {1, 6})})));
  CHECK(strided(planned(negative_p, {}, {unreal(Dtype::float32, {42}, {-1}, 41)})));
}

TEST_CASE("nothing is launched for no elements, and any size is planned") {
  for (const Shape& shape : {Shape{0}, Shape{3, 0, 5}}) {
    Planned p = planned(exp_p, {}, {unreal(Dtype::float32, shape)});
    CHECK(p.taken);
    CHECK(p.plan.launches.empty());
  }
  int64_t huge = int64_t(1) << 36;
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{huge}, Shape{huge + 3}, Shape{2, huge / 2 + 1}, Shape{1 << 20, 5, 1 << 14}}) {
    CHECK(planned(exp_p, {}, {unreal(Dtype::float16, shape)}).taken);
    Strides backwards = row_strides(shape);
    for (int64_t& s : backwards) s = -2 * s;
    Planned p = planned(exp_p, {}, {unreal(Dtype::float16, shape, backwards)});
    CHECK(p.taken);
    const metal::Launch& l = p.plan.launches[0];
    CHECK(uint64_t(l.threads.x) * l.threads.y * l.threads.z > 0);
  }
  // More axes than can be bound by value.
  Shape many(300, 2);
  many.resize(40);
  Strides scattered(many.size(), 0);
  for (size_t i = 0; i < many.size(); i += 2) scattered[i] = 3;
  CHECK(planned(exp_p, {}, {unreal(Dtype::float32, many, scattered)}).taken);
}

TEST_CASE("a transpose is copied by tiles") {
  array x = unreal(Dtype::float32, {3, 500, 600}, {300000, 1, 500});
  Planned p = planned(contiguous_p, ContiguousParams{false, true}, {x});
  CHECK(p.kernels() == Names{"copy_turned_uint32"});
  CHECK(p.plan.launches[0].group == metal::Size3{32, 8, 1});
  CHECK(p.plan.launches[0].threads == metal::Size3{608, 128, 3});
  CHECK(planned(contiguous_p, ContiguousParams{false, true}, {unreal(Dtype::float32, {500, 4}, {1, 500})}).kernels() == Names{"copy_uint32"});
  CHECK(planned(reshape_p, ShapeParams{{24}}, {unreal(Dtype::int8, {4, 6}, {1, 4})}).kernels() == Names{"copy_uint8"});
}

TEST_CASE("ranges are made where two floats show as much as float64") {
  auto range = [](ArangeParams p) { return planned(arange_p, p, {}); };
  CHECK(range({Dtype::float32, 10, false, 0, 0, 0, 0.1, 0.9}).kernels() == Names{"arange_float32"});
  CHECK(range({Dtype::uint8, 10, true, 250, 1, 0, 0, 0}).kernels() == Names{"arange_uint8"});
  CHECK_FALSE(range({Dtype::int32, 10, false, 0, 0, 0, 0.7, 6.3}).taken);
  CHECK_FALSE(range({Dtype::float64, 10, false, 0, 0, 0, 0.7, 6.3}).taken);
  CHECK_FALSE(range({Dtype::float32, 10, false, 0, 0, 0, 1e300, 9e300}).taken);
}

// Plans of joins, updates, blocks at positions read from an array, and sums of windows.
#include "metal_plan_helpers.h"
#include "ops/movement_params.h"

using namespace mx;

TEST_CASE("joins are copies into parts of the result") {
  array a = unreal(Dtype::float32, {3, 2}), b = unreal(Dtype::float32, {3, 4}, {1, 3}), none = unreal(Dtype::float32, {3, 0});
  Planned p = planned(concatenate_p, ConcatenateParams{1}, {a, none, b});
  REQUIRE(p.taken);
  REQUIRE(p.plan.launches.size() == 2);
  CHECK(p.plan.launches[1].bindings[1].offset == 2 * 4);
  CHECK(planned(concatenate_p, ConcatenateParams{0}, {none, none}).plan.launches.empty());
  const int64_t big = int64_t(5) << 30;
  CHECK(planned(concatenate_p, ConcatenateParams{0}, {unreal(Dtype::uint8, {big}), unreal(Dtype::uint8, {big})}).taken);
}

TEST_CASE("an update that took over its input's memory copies nothing but the update") {
  SliceParams p{{1, 9}, {2, -3}, {2, 3}};
  array a = unreal(Dtype::int16, {6, 10}), u = unreal(Dtype::int16, {2, 3});
  CHECK(planned(slice_update_p, p, {a, u}).plan.launches.size() == 2);
  Planned in_place = planned(slice_update_p, p, {a, u}, true);
  REQUIRE(in_place.plan.launches.size() == 1);
  CHECK(in_place.plan.launches[0].bindings[1].offset == 2 * (1 * 10 + 9));
}

TEST_CASE("blocks begin where an array of any integers says") {
  array a = unreal(Dtype::bfloat16, {4, 8, 64});
  for (Dtype t : {Dtype::int32, Dtype::uint64, Dtype::int8}) {
    Planned slice = planned(dynamic_slice_p, DynamicSliceParams{{1}, {4, 2, 64}}, {a, unreal(t, {1})});
    CHECK(slice.kernels() == std::vector<std::string>{"dynamic_block_uint16"});
    CHECK(slice.plan.launches[0].constants[0].bits == static_cast<uint32_t>(t));
    Planned update = planned(dynamic_slice_update_p, DynamicSliceParams{{1}, {4, 2, 64}}, {a, unreal(Dtype::bfloat16, {4, 2, 64}), unreal(t, {1})}, true);
    CHECK(update.kernels() == std::vector<std::string>{"dynamic_block_uint16"});
  }
  const int64_t big = int64_t(3) << 31;
  CHECK(planned(dynamic_slice_p, DynamicSliceParams{{0}, {big}}, {unreal(Dtype::uint8, {2 * big}), unreal(Dtype::int64, {1})}).taken);
}

TEST_CASE("windows are summed by a thread an element") {
  array x = unreal(Dtype::float16, {3, 4});
  Planned p = planned(as_strided_add_p, StridedParams{{3, 4}, {-1, 2}, 2, 20}, {x});
  CHECK(p.kernels() == std::vector<std::string>{"windows_add_float16"});
  CHECK(p.plan.launches[0].threads.count() >= 20);
  // The axis of stride -1 is walked from its last row.
  CHECK(p.plan.launches[0].bindings[0].offset == 2 * 4 * 2);
  CHECK_FALSE(planned(as_strided_add_p, StridedParams{{3, 4}, {1, 2}, 0, 20}, {unreal(Dtype::float64, {3, 4})}).taken);
  CHECK(planned(as_strided_add_p, StridedParams{{0, 4}, {1, 2}, 0, 20}, {unreal(Dtype::float32, {0, 4})}).plan.launches.size() == 1);
}

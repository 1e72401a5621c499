// Plans of gathering and scattering.
#include "metal_plan_helpers.h"
#include "ops/index_params.h"

using namespace mx;

namespace {
using Names = std::vector<std::string>;
}

TEST_CASE("one index array is read where it is needed, several are summed first") {
  array a = unreal(Dtype::float32, {10, 20, 30}), i = unreal(Dtype::uint8, {4, 5}, {0, -1}, 4);
  Planned one = planned(gather_p, GatherParams{{1}, 1}, {a, i});
  CHECK(one.kernels() == Names{"gather_uint32"});
  CHECK(one.plan.launches[0].threads == metal::Size3{30, 20, 10});
  CHECK(planned(gather_p, GatherParams{{0, 2}, 0}, {a, i, i}).kernels() == Names{"index_places", "index_places", "gather_uint32"});
  CHECK(planned(gather_axis_p, GatherAxisParams{1}, {a, unreal(Dtype::int64, {10, 3, 30})}).kernels() == Names{"gather_axis_uint32"});
  CHECK(planned(gather_p, GatherParams{{0}, 0}, {a, unreal(Dtype::int32, {0})}).plan.launches.empty());
}

TEST_CASE("indices are checked though there is nothing to read") {
  array nothing = unreal(Dtype::float32, {3, 0}), i = unreal(Dtype::int32, {7});
  CHECK(planned(gather_p, GatherParams{{0}, 0}, {nothing, i}).kernels() == Names{"index_places"});
  CHECK(planned(scatter_p, ScatterParams{{0}, 0, ScatterMode::add}, {nothing, unreal(Dtype::float32, {7, 0}), i}).has("index_places"));
}

TEST_CASE("a bad index is described as on the CPU") {
  array a = unreal(Dtype::float32, {3}), i = unreal(Dtype::int32, {2}), huge = unreal(Dtype::uint64, {2});
  Planned p = planned(gather_p, GatherParams{{0}, 0}, {a, i});
  CHECK(p.plan.index_error(-4, 3, 0) == "[index] index -4 is out of bounds for axis 0 with size 3; need -3 <= index < 3.");
  p = planned(gather_p, GatherParams{{0}, 0}, {a, huge});
  CHECK(p.plan.index_error(-1, 3, 0) == "[index] index 18446744073709551615 is out of bounds for axis 0 with size 3; need -3 <= index < 3.");
}

TEST_CASE("few updates are walked through, many are sorted") {
  array a = unreal(Dtype::float32, {100, 8}), few = unreal(Dtype::int32, {5}), many = unreal(Dtype::int32, {5000});
  ScatterParams add{{0}, 0, ScatterMode::add}, set{{0}, 0, ScatterMode::set};
  CHECK(planned(scatter_p, add, {a, unreal(Dtype::float32, {5, 8}), few}, true).kernels() == Names{"index_places", "scatter_few_float32"});
  Planned sorted = planned(scatter_p, set, {a, unreal(Dtype::float32, {5000, 8}), many}, true);
  CHECK(sorted.has("sort_block_uint64"));
  CHECK(sorted.has("sort_merge_uint64"));
  CHECK(sorted.kernels().back() == "scatter_sorted_set_uint32");
  // Half types are combined in float, so never in memory.
  array half = unreal(Dtype::float16, {100, 8});
  CHECK(planned(scatter_p, add, {half, unreal(Dtype::float16, {5, 8}), few}, true).kernels().back() == "scatter_sorted_float16");
  CHECK(planned(scatter_p, set, {half, unreal(Dtype::float16, {5, 8}), few}, true).kernels().back() == "scatter_few_uint16");
  CHECK(planned(scatter_axis_p, ScatterAxisParams{1, ScatterMode::add}, {a, unreal(Dtype::float32, {100, 3}), unreal(Dtype::int32, {100, 3})}, true).kernels() ==
        Names{"scatter_axis_few_float32"});
  CHECK(planned(scatter_axis_p, ScatterAxisParams{0, ScatterMode::add}, {a, unreal(Dtype::float32, {90, 8}), unreal(Dtype::int32, {90, 8})}, true).kernels().back() ==
        "scatter_sorted_float32");
}

TEST_CASE("many updates of one place are combined in blocks, but for products") {
  array a = unreal(Dtype::float16, {10, 8}), u = unreal(Dtype::float16, {5000, 8}), i = unreal(Dtype::int32, {5000});
  Planned p = planned(scatter_p, ScatterParams{{0}, 0, ScatterMode::add}, {a, u, i}, true);
  CHECK(p.has("scatter_carries_float16"));
  CHECK(p.plan.temporaries.back() == size_t(79 * 8 * 4));
  CHECK_FALSE(planned(scatter_reduce_p, ScatterParams{{0}, 0, ScatterMode::multiply}, {a, u, i}, true).has("scatter_carries_float16"));
}

TEST_CASE("rows of huge arrays are gathered, places beyond 32 bits are the CPU's") {
  const int64_t rows = int64_t(1) << 33;
  array table = unreal(Dtype::float16, {rows, 4096}), i = unreal(Dtype::int64, {100000});
  CHECK(planned(gather_p, GatherParams{{0}, 0}, {table, i}).taken);
  CHECK_FALSE(planned(scatter_p, ScatterParams{{0}, 0, ScatterMode::add}, {table, unreal(Dtype::float16, {100000, 4096}), i}).taken);
  CHECK_FALSE(planned(scatter_p, ScatterParams{{0}, 0, ScatterMode::add}, {unreal(Dtype::float64, {3}), unreal(Dtype::float64, {2}), unreal(Dtype::int32, {2})}).taken);
}

// Plans of sorting, selecting and searching.
#include "metal_plan_helpers.h"
#include "ops/sort_params.h"

using namespace mx;

namespace {
using Names = std::vector<std::string>;
}

TEST_CASE("items are as wide as keys and places need") {
  CHECK(planned(sort_p, SortParams{0}, {unreal(Dtype::bool_, {100})}).kernels() == Names{"sort_block_uint32"});
  CHECK(planned(sort_p, SortParams{0}, {unreal(Dtype::complex64, {100})}).kernels() == Names{"sort_block_uint64"});
  CHECK(planned(argsort_p, SortParams{0}, {unreal(Dtype::float16, {100})}).kernels() == Names{"sort_block_uint64"});
  CHECK(planned(argsort_p, SortParams{0}, {unreal(Dtype::int64, {100})}).kernels() == Names{"sort_block_keyed"});
}

TEST_CASE("runs double until a row is one") {
  Planned p = planned(argpartition_p, PartitionParams{1, 7, true}, {unreal(Dtype::float32, {3, 5000}, {1, 3})});
  CHECK(p.kernels() == Names{"sort_block_uint64", "sort_merge_uint64", "sort_merge_uint64", "sort_merge_uint64"});
  CHECK(p.plan.temporaries.size() == 2);
  CHECK(p.plan.launches.back().threads.y == 3);
}

TEST_CASE("short rows share threadgroups; empty ones need nothing") {
  Planned p = planned(sort_p, SortParams{0}, {unreal(Dtype::int16, {2, 3000})});
  CHECK(p.plan.launches[0].threads == metal::Size3{1, 3000, 1});
  CHECK(p.plan.launches[0].group.count() >= 32);
  CHECK(planned(sort_p, SortParams{0}, {unreal(Dtype::int16, {0, 3})}).plan.launches.empty());
  CHECK(planned(argsort_p, SortParams{0}, {unreal(Dtype::int16, {1})}).taken);
}

TEST_CASE("what a GPU cannot count or hold is left to the CPU") {
  CHECK_FALSE(planned(sort_p, SortParams{0}, {unreal(Dtype::float64, {3})}).taken);
  CHECK_FALSE(planned(argsort_p, SortParams{0}, {unreal(Dtype::float32, {int64_t(1) << 33})}).taken);
  CHECK(planned(argsort_p, SortParams{0}, {unreal(Dtype::float32, {int64_t(1) << 30})}).taken);
}

TEST_CASE("searching looks at strides only") {
  array s = unreal(Dtype::int32, {4, 100}, {0, 1}), v = unreal(Dtype::int32, {4, 7}, {1, 4});
  CHECK(planned(searchsorted_p, SearchParams{true}, {s, v}).kernels() == Names{"search_sorted"});
  CHECK(planned(searchsorted_p, SearchParams{}, {unreal(Dtype::int32, {0}), unreal(Dtype::int32, {7})}).taken);
}

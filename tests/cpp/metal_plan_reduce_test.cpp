// Plans of reductions, softmax, norms, the loss and random numbers.
#include "metal_plan_helpers.h"
#include "ops/composite_params.h"
#include "ops/fast_params.h"
#include "ops/random_params.h"
#include "ops/reduce_params.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

Planned sum_of(Dtype t, const Shape& shape, const Axes& axes) { return planned(sum_p, ReduceParams{axes}, {unreal(t, shape)}); }

}  // namespace

TEST_CASE("long axes are reduced in chunks, by as many launches as it takes") {
  CHECK(sum_of(Dtype::float32, {1000, 1000}, {1}).kernels() == Names{"reduce_float32"});
  CHECK(sum_of(Dtype::float16, {1 << 20}, {0}).kernels() == Names{"reduce_float16", "reduce_float32"});
  CHECK(sum_of(Dtype::int8, {int64_t(1) << 32}, {0}).kernels() == Names{"reduce_int8", "reduce_int32", "reduce_int32"});
  CHECK(sum_of(Dtype::float32, {1 << 20, 8}, {0}).kernels().size() == 3);
  // Chunks leave float32, not the dtype of the result.
  CHECK(sum_of(Dtype::bfloat16, {1 << 20}, {0}).plan.temporaries == std::vector<size_t>{64 * 4});
}

TEST_CASE("reductions of any axes, strides and sizes keep to the limits") {
  int64_t huge = int64_t(1) << 34;
  for (const Shape& shape : {Shape{1}, Shape{7, 5, 3}, Shape{huge, 3}, Shape{3, huge}, Shape{0, 4}, Shape{4, 0}, Shape{1 << 20, 1 << 12}}) {
    for (int axis = 0; axis < static_cast<int>(shape.size()); ++axis) {
      CHECK(sum_of(Dtype::complex64, shape, {axis}).taken);
      Strides strides = row_strides(shape);
      std::reverse(strides.begin(), strides.end());
      CHECK(planned(all_p, ReduceParams{{axis}}, {unreal(Dtype::uint16, shape, strides)}).taken);
      if (shape[static_cast<size_t>(axis)] > 0) CHECK(planned(argmax_p, ArgReduceParams{axis}, {unreal(Dtype::float16, shape)}).taken == (shape[static_cast<size_t>(axis)] < huge));
    }
    CHECK(sum_of(Dtype::float32, shape, all_axes(static_cast<int64_t>(shape.size()))).taken);
  }
  CHECK_FALSE(sum_of(Dtype::float64, {4}, {0}).taken);
}

TEST_CASE("rows are shared by teams that fit their length") {
  auto softmax_of = [](const Shape& shape, const Axes& axes) { return planned(softmax_p, ReduceParams{axes}, {unreal(Dtype::float32, shape)}).plan.launches[0]; };
  CHECK(softmax_of({1000, 8}, {1}).group.x == 256);
  CHECK(softmax_of({1000, 8}, {1}).threads.x == 1024);           // One thread a row.
  CHECK(softmax_of({10, 1024}, {1}).group.x == 128);             // 128 threads a row.
  CHECK(softmax_of({10, 1 << 20}, {1}).group.x == 1024);
  CHECK(softmax_of({64, 4096}, {0}).threads.x == 256 * 4096 / 32);  // 32 neighbouring columns a group.
  CHECK_FALSE(planned(softmax_p, ReduceParams{{0}}, {unreal(Dtype::float64, {4})}).taken);
}

TEST_CASE("few long rows are searched in pieces") {
  auto search = [](const Shape& shape, int axis) { return planned(argmax_p, ArgReduceParams{axis}, {unreal(Dtype::float32, shape)}); };
  CHECK(search({1 << 20, 8}, 1).kernels() == Names{"arg_reduce_float32"});
  CHECK(search({256, 1 << 20}, 1).kernels() == Names{"arg_reduce_float32"});
  Planned one = search({1 << 24}, 0);
  CHECK(one.kernels() == Names{"arg_reduce_float32", "arg_reduce_float32"});
  CHECK(one.plan.launches[0].threads.count() == 256 * 1024);
  CHECK(one.plan.launches[1].threads.x == 256);
  CHECK(one.plan.temporaries == std::vector<size_t>{256 * 4});
  // 32 neighbouring columns by 8 threads each.
  CHECK(search({1 << 20, 32}, 0).plan.launches[0].threads.count() == 256 * 256);
}

TEST_CASE("norms sum the cotangents of weights over chunks of rows") {
  array x = unreal(Dtype::float16, {4, 300, 64}), w = unreal(Dtype::float16, {64});
  CHECK(planned(fast::rms_norm_p, fast::NormParams{1e-5, true, false}, {x, w}).kernels() == Names{"norm_float16"});
  CHECK(planned(fast::layer_norm_vjp_p, fast::NormVjpParams{1e-5, true, true, true}, {x, x, w}).kernels() ==
        Names{"norm_vjp_float16", "norm_sums_float16", "reduce_float32", "reduce_float32"});
  CHECK(planned(fast::rms_norm_vjp_p, fast::NormVjpParams{1e-5, true, false, false}, {x, x, w}).kernels() == Names{"norm_vjp_float16"});
  // Without rows the sums are zeros.
  array none = unreal(Dtype::float16, {0, 64});
  CHECK(planned(fast::rms_norm_vjp_p, fast::NormVjpParams{1e-5, true, true, false}, {none, none, w}).kernels() == Names{"reduce_float32"});
}

TEST_CASE("a target out of bounds has a message") {
  Planned p = planned(fast::cross_entropy_p, {}, {unreal(Dtype::float32, {8, 10}), unreal(Dtype::int64, {8})});
  REQUIRE(p.taken);
  CHECK(p.plan.index_error(11, 10, 0) == "[cross_entropy] target 11 is out of bounds for 10 classes; need -10 <= target < 10.");
}

TEST_CASE("random bits are drawn two words a thread") {
  array key = unreal(Dtype::uint32, {2}), keys = unreal(Dtype::uint32, {5, 2}, {1, 5});
  CHECK(planned(random_bits_p, RandomBitsParams{{1000}, 4}, {key}).plan.launches[0].threads.x == 500);
  CHECK(planned(random_bits_p, RandomBitsParams{{1001}, 1}, {keys}).plan.launches[0].threads == metal::Size3{126, 5, 1});
  CHECK(planned(random_draw_p, RandomDrawParams{{0}, Distribution::normal}, {keys}).plan.launches.empty());
  CHECK(planned(random_draw_p, RandomDrawParams{{int64_t(1) << 35}, Distribution::gumbel}, {key}).taken);
}

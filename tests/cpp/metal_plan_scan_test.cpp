// Plans of running reductions.
#include "metal_plan_helpers.h"
#include "ops/scan_params.h"

using namespace mx;

namespace {
using Names = std::vector<std::string>;
}

TEST_CASE("rows have a threadgroup, long ones several, interleaved ones a thread") {
  CHECK(planned(cumsum_p, ScanParams{1}, {unreal(Dtype::float16, {10, 1000})}).kernels() == Names{"fold_rows_float16"});
  CHECK(planned(cumsum_p, ScanParams{0}, {unreal(Dtype::int8, {1000, 4096})}).kernels() == Names{"fold_lanes_int8"});
  Planned p = planned(cummax_p, ScanParams{0}, {unreal(Dtype::float32, {int64_t(1) << 34})});
  CHECK(p.kernels() == Names{"fold_rows_float32", "fold_rows_float32"});
  // At most 1024 parts, each of whole chunks.
  CHECK(p.plan.temporaries[0] <= 1024 * 4);
  CHECK(p.plan.launches[0].group.x == 256);
  CHECK(p.plan.launches[0].threads.x <= 1024 * 256);
}

TEST_CASE("what must not be combined goes step by step") {
  CHECK(planned(cumprod_p, ScanParams{0, true}, {unreal(Dtype::float32, {100000})}).kernels() == Names{"fold_steps_float32"});
  CHECK(planned(cumprod_p, ScanParams{0}, {unreal(Dtype::int32, {100000})}).kernels() == Names{"fold_rows_int32", "fold_rows_int32"});
  CHECK(planned(linear_recurrence_p, ScanParams{0}, {unreal(Dtype::bfloat16, {100}), unreal(Dtype::bfloat16, {100}, {0})}).kernels() == Names{"recurrence_steps_bfloat16"});
  CHECK(planned(linear_recurrence_p, ScanParams{0}, {unreal(Dtype::int64, {100, 2000}), unreal(Dtype::int64, {100, 2000})}).kernels() == Names{"recurrence_lanes_int64"});
}

TEST_CASE("every scan of every dtype is planned, but for float64") {
  for (const Primitive* p : {&cumsum_p, &cumprod_p, &cummax_p, &cummin_p, &cumargmax_p, &cumargmin_p, &logcumsumexp_p}) {
    for (Dtype t : {Dtype::uint8, Dtype::int64, Dtype::float16, Dtype::complex64, Dtype::float64}) {
      if (p == &logcumsumexp_p && !is_inexact(t)) continue;
      for (const Shape& shape : {Shape{3, 0, 2}, Shape{1, 1, 1}, Shape{5, 70000, 2}, Shape{2, 3, 5000}}) {
        Planned plan = planned(*p, ScanParams{1, true, false}, {unreal(t, shape)});
        CHECK(plan.taken == (t != Dtype::float64));
        if (n_elems(shape) == 0) CHECK(plan.plan.launches.empty());
      }
    }
  }
}

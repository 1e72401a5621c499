// Plans of products of matrices: which kernel, how the work is cut, and what is read where it lies.
#include "backend/metal/plan/attention.h"
#include "backend/metal/plan/matmul.h"
#include "metal_plan_helpers.h"
#include "ops/gather_matmul_params.h"
#include "ops/matmul_params.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

Planned product(const array& a, const array& b) { return planned(matmul_p, Params(), {a, b}); }

bool constant(const metal::Launch& l, uint32_t index) {
  for (const metal::FunctionConstant& c : l.constants) {
    if (c.index == index) return c.bits != 0;
  }
  return false;
}

}  // namespace

TEST_CASE("large products take large pieces, small ones small pieces, vectors a kernel of their own") {
  CHECK(product(unreal(Dtype::float32, {1024, 512}), unreal(Dtype::float32, {512, 1024})).kernels() == Names{"gemm_64x64_float32"});
  CHECK(product(unreal(Dtype::float16, {100, 512}), unreal(Dtype::float16, {512, 100})).kernels() == Names{"gemm_32x32_float16", "gemm_sum_float16"});
  CHECK(product(unreal(Dtype::bfloat16, {1, 512}), unreal(Dtype::bfloat16, {512, 100})).kernels() == Names{"gemv_columns_bfloat16"});
  CHECK(product(unreal(Dtype::float32, {100, 512}), unreal(Dtype::float32, {512, 1})).kernels() == Names{"gemv_rows_float32"});
  CHECK(product(unreal(Dtype::int8, {3, 5}), unreal(Dtype::int8, {5, 4})).kernels() == Names{"gemm_plain_uint8"});
  CHECK(product(unreal(Dtype::complex64, {3, 5}), unreal(Dtype::complex64, {5, 4})).kernels() == Names{"gemm_plain_complex64"});
  CHECK_FALSE(product(unreal(Dtype::float64, {3, 5}), unreal(Dtype::float64, {5, 4})).taken);
  CHECK(product(unreal(Dtype::float32, {0, 5}), unreal(Dtype::float32, {5, 4})).plan.launches.empty());
}

TEST_CASE("a long inner dimension is shared out only where pieces are few, and covered exactly") {
  Planned deep = product(unreal(Dtype::float32, {64, 100000}), unreal(Dtype::float32, {100000, 64}));
  CHECK(deep.kernels() == Names{"gemm_32x32_float32", "gemm_sum_float32"});
  CHECK(deep.plan.temporaries.size() == 1);
  for (int64_t k : {256, 511, 512, 1000, 4097, 100000, 10000000}) {
    CAPTURE(k);
    metal::GemmChoice c = metal::choose_gemm(40, 40, k, 1);
    CHECK(int64_t(c.splits) * c.k_each >= k);
    CHECK(int64_t(c.splits - 1) * c.k_each < k);
    if (c.splits > 1) CHECK(c.k_each % c.tile.bk == 0);
  }
  CHECK(metal::choose_gemm(4096, 4096, 100000, 1).splits == 1);
}

TEST_CASE("transposed, strided and broadcast operands are read where they are") {
  array a = unreal(Dtype::float32, {256, 128}, {1, 256}), b = unreal(Dtype::float32, {128, 256}, {1, 128});
  Planned p = product(a, b);
  REQUIRE(p.plan.launches.size() == 1);
  CHECK(p.plan.temporaries.empty());
  CHECK_FALSE(constant(p.plan.launches[0], 0));  // a's rows are contiguous, not its inner dimension,
  CHECK(constant(p.plan.launches[0], 1));        // b's inner dimension is.
  CHECK(constant(p.plan.launches[0], 2));
  CHECK(constant(p.plan.launches[0], 3));
  // An odd distance of rows forbids vectors, and so does an odd place.
  CHECK_FALSE(constant(product(unreal(Dtype::float32, {256, 127}), b = unreal(Dtype::float32, {127, 256})).plan.launches[0], 2));
  CHECK_FALSE(constant(product(unreal(Dtype::float32, {256, 128}, {128, 1}, 1), unreal(Dtype::float32, {128, 256})).plan.launches[0], 2));
  CHECK(product(unreal(Dtype::float32, {256, 128}, {-256, 2}, 65280), unreal(Dtype::float32, {128, 256}, {0, 0})).plan.temporaries.empty());
}

TEST_CASE("a batch that shares its right matrix is one product") {
  Planned p = product(unreal(Dtype::float32, {64, 32, 128}), unreal(Dtype::float32, {64, 128, 256}, {0, 256, 1}));
  REQUIRE(p.plan.launches.size() == 1);
  CHECK(p.plan.launches[0].kernel == "gemm_64x64_float32");
  CHECK(p.plan.launches[0].threads.z == 1);
  Planned rows = product(unreal(Dtype::float32, {64, 1, 128}, {128, 128, 1}), unreal(Dtype::float32, {64, 128, 256}, {0, 256, 1}));
  CHECK(rows.kernels().front().substr(0, 5) == "gemm_");
}

TEST_CASE("the addend is bound once, where sums are complete") {
  Planned p = planned(addmm_p, AddmmParams{2, 3}, {unreal(Dtype::float32, {40, 5000}), unreal(Dtype::float32, {5000, 40}), unreal(Dtype::float32, {40, 40}, {0, 1})});
  REQUIRE(p.plan.launches.size() == 2);
  CHECK_FALSE(constant(p.plan.launches[0], 4));
  CHECK(constant(p.plan.launches[1], 4));
}

TEST_CASE("chosen matrices are products of a batch, or sums in one launch") {
  array a = unreal(Dtype::float32, {4, 1, 64}), b = unreal(Dtype::float32, {8, 64, 96}), i = unreal(Dtype::int64, {10});
  CHECK(planned(gather_mm_p, GatherMatmulParams{false, 0}, {a, b, i, i}).kernels() == Names{"gemv_columns_float32"});
  CHECK(planned(gather_mm_p, GatherMatmulParams{true, 3}, {a, b, i, i, i}).kernels() == Names{"gather_mm_sums_float32"});
  CHECK_FALSE(planned(gather_mm_p, GatherMatmulParams{false, 0}, {unreal(Dtype::float32, {0, 1, 64}), b, i, i}).taken);
}

TEST_CASE("pieces fit into threadgroup memory for every dtype and size") {
  for (size_t itemsize : {2u, 4u}) {
    for (const metal::Tile& t : {metal::kLargeTile, metal::kSmallTile}) CHECK(t.threadgroup_bytes(itemsize) <= metal::kThreadgroupBytes);
    for (int most : {64, 128, 256}) {
      CHECK(metal::attention_tile(most, itemsize).threadgroup_bytes(itemsize, most / 8, most / 8) + 64 <= metal::kThreadgroupBytes);
    }
    for (int most : {64, 128}) {
      CHECK(metal::attention_vjp_tile(most, itemsize).threadgroup_bytes(itemsize, most / 8, most / 8) + 64 <= metal::kThreadgroupBytes);
    }
  }
}

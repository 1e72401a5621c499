// Plans of attention, rotary embedding, the delta rule, convolution and quantized products.
#include "metal_plan_helpers.h"
#include "ops/conv_params.h"
#include "ops/fast_params.h"
#include "ops/quantized_params.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

array floats(const Shape& shape) { return unreal(Dtype::float32, shape); }

Planned attention(int64_t tq, int64_t tk, int64_t d, int64_t e) {
  return planned(fast::attention_p, fast::AttentionParams{1, true, false, false}, {floats({2, 4, tq, d}), floats({2, 2, tk, d}), floats({2, 2, tk, e})});
}

size_t temporary_bytes(const Planned& p) {
  size_t n = 0;
  for (size_t bytes : p.plan.temporaries) n += bytes;
  return n;
}

ConvParams conv_params(Shape size, Shape stride, Shape input_dilation, int64_t groups = 1) {
  Shape ones(size.size(), 1), zeros(size.size(), 0);
  return {size, stride, ones, input_dilation, zeros, groups};
}

}  // namespace

TEST_CASE("attention goes by the number of queries and features") {
  CHECK(attention(100, 100, 64, 64).kernels() == Names{"attention_64_float32"});
  CHECK(attention(100, 100, 80, 128).kernels() == Names{"attention_128_float32"});
  CHECK(attention(100, 100, 256, 16).kernels() == Names{"attention_256_float32"});
  CHECK(attention(1, 100, 64, 64).kernels() == Names{"attention_few_64_float32"});
  CHECK(attention(1, 10000, 64, 64).kernels() == Names{"attention_few_64_float32", "attention_merge_float32"});
  CHECK(attention(100, 100, 300, 64).kernels() == Names{"attention_any_float32"});
  CHECK(attention(0, 100, 64, 64).plan.launches.empty());
}

TEST_CASE("attention's memory is linear in positions, forward and backward") {
  CHECK(attention(1000, 1000, 64, 64).plan.temporaries.empty());
  size_t bytes[2];
  for (int64_t i : {0, 1}) {
    int64_t t = i ? 100000 : 50000;
    array q = floats({1, 4, t, 64}), k = floats({1, 2, t, 64});
    fast::AttentionVjpParams p{{1, true, false, false}, false, false};
    Planned back = planned(fast::attention_vjp_p, p, {q, k, k, q});
    CHECK(back.kernels() == Names{"attention_stats_64_float32", "attention_vjp_queries_64_float32", "attention_vjp_keys_64_float32"});
    bytes[i] = temporary_bytes(back);
  }
  CHECK(bytes[1] == 2 * bytes[0]);
}

TEST_CASE("a convolution with a dilated input is one launch a phase, without copies") {
  array x = floats({2, 10, 10, 8}), w = floats({32, 3, 3, 8});
  Planned plain = planned(conv_p, conv_params({8, 8}, {1, 1}, {1, 1}), {x, w});
  CHECK(plain.kernels() == Names{"conv_32x32_float32"});
  CHECK(plain.plan.temporaries.empty());
  CHECK(planned(conv_p, conv_params({17, 17}, {1, 1}, {2, 2}), {x, w}).kernels() == Names(4, "conv_32x32_float32"));
  CHECK(planned(conv_p, conv_params({17, 17}, {2, 2}, {2, 2}), {x, w}).plan.launches.size() == 1);
}

TEST_CASE("groups of few channels and complex numbers take one output a thread") {
  CHECK(planned(conv_p, conv_params({8, 8}, {1, 1}, {1, 1}, 32), {floats({2, 10, 10, 32}), floats({32, 3, 3, 1})}).kernels() == Names{"conv_direct_float32"});
  array x = unreal(Dtype::complex64, {2, 10, 16}), w = unreal(Dtype::complex64, {16, 3, 16});
  CHECK(planned(conv_p, conv_params({8}, {1}, {1}), {x, w}).kernels() == Names{"conv_direct_complex64"});
}

TEST_CASE("the weight's derivative shares many positions out") {
  Planned p = planned(conv_weight_p, conv_params({3, 3}, {1, 1}, {1, 1}), {floats({8, 66, 66, 16}), floats({8, 64, 64, 32})});
  CHECK(p.kernels() == Names{"conv_weight_32x32_float32", "gemm_sum_float32"});
}

TEST_CASE("few rows are multiplied with codes, many with unpacked pieces") {
  auto qmm = [](int64_t m, bool transpose) {
    QuantizedMatmulParams p{{QuantMode::affine, 64, 4}, transpose};
    return planned(quantized_matmul_p, p, {floats({m, 512}), unreal(Dtype::uint32, {512, 64}), floats({512, 8}), floats({512, 8})}).kernels();
  };
  CHECK(qmm(1, true) == Names{"quantized_dots_float32"});
  CHECK(qmm(1, false) == Names{"quantized_adds_float32"});
  CHECK(qmm(100, true) == Names{"quantized_gemm_32x32_float32"});
  QuantizedMatmulParams p{{QuantMode::mxfp4, 32, 4}, true};
  Planned strided = planned(quantized_matmul_p, p, {floats({1, 512}), unreal(Dtype::uint32, {512, 64}, {1, 512}), unreal(Dtype::uint8, {512, 16}, {1, 512})});
  CHECK(strided.plan.launches.size() == 2);  // Codes that do not lie side by side are copied.
}

TEST_CASE("rotary embedding passes its rates by value; the delta rule takes a simdgroup a row") {
  CHECK(planned(fast::rope_p, fast::RopeParams{64, false, 10000, 1, false, false}, {floats({2, 8, 30, 64}), unreal(Dtype::int64, {2, 8}, {0, 0})}).kernels() ==
        Names{"rope_float32"});
  array q = floats({2, 9, 1, 64}), v = floats({2, 9, 2, 32}), g = floats({2, 9, 2, 64}), b = floats({2, 9, 2}), s = floats({2, 2, 32, 64});
  Planned p = planned(fast::gated_delta_update_p, fast::DeltaParams{false}, {q, q, v, g, b, s});
  CHECK(p.kernels() == Names{"delta"});
  CHECK(p.plan.launches[0].threads == metal::Size3{8 * 128, 2, 2});
  Planned back = planned(fast::gated_delta_update_vjp_p, fast::DeltaParams{false}, {q, q, v, g, b, s, v, s});
  CHECK(back.kernels() == Names{"delta_vjp", "delta_fold", "delta_fold"});
}

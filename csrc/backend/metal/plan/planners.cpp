// planners.cpp — which function plans which primitive for Metal: one line each, by family. Primitives that are not here
// (LAPACK's, mostly) run on the CPU.

#include "backend/metal/plan/planners.h"

#include "backend/metal/plan/arg_reduce.h"
#include "backend/metal/plan/attention.h"
#include "backend/metal/plan/conv.h"
#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/create.h"
#include "backend/metal/plan/cross_entropy.h"
#include "backend/metal/plan/delta.h"
#include "backend/metal/plan/elementwise.h"
#include "backend/metal/plan/fused.h"
#include "backend/metal/plan/gather_matmul.h"
#include "backend/metal/plan/matmul.h"
#include "backend/metal/plan/metal_kernel.h"
#include "backend/metal/plan/norm.h"
#include "backend/metal/plan/quantized.h"
#include "backend/metal/plan/random.h"
#include "backend/metal/plan/reduce.h"
#include "backend/metal/plan/rope.h"
#include "backend/metal/plan/softmax.h"
#include "backend/metal/plan/fft.h"
#include "backend/metal/plan/gather.h"
#include "backend/metal/plan/hadamard.h"
#include "backend/metal/plan/movement.h"
#include "backend/metal/plan/scan.h"
#include "backend/metal/plan/scatter.h"
#include "backend/metal/plan/sort.h"
#include "ops/cast_params.h"
#include "ops/composite_params.h"
#include "ops/conv_params.h"
#include "ops/create_params.h"
#include "ops/elementwise_params.h"
#include "ops/fast_params.h"
#include "ops/gather_matmul_params.h"
#include "ops/matmul_params.h"
#include "ops/metal_kernel_params.h"
#include "ops/movement_params.h"
#include "ops/quantized_params.h"
#include "ops/random_params.h"
#include "ops/reduce_params.h"
#include "ops/index_params.h"
#include "ops/scan_params.h"
#include "ops/sort_params.h"
#include "ops/fft_params.h"
#include "ops/hadamard_params.h"

namespace mx::metal {

namespace {

struct Entry {
  const Primitive* primitive;
  Planner planner;
};

std::vector<Entry> entries() {
  return {
#define UNARY(NAME, ...) {&NAME##_p, plan_elementwise},
#include "ops/unary.def"
#define BINARY(NAME, ...) {&NAME##_p, plan_elementwise},
#include "ops/binary.def"
#define TERNARY(NAME, ...) {&NAME##_p, plan_elementwise},
#include "ops/ternary.def"
      {&metal_kernel_p, plan_metal_kernel},
      {&astype_p, plan_astype},
      {&to_fp8_p, plan_to_fp8},
      {&from_fp8_p, plan_from_fp8},
      {&view_p, plan_copy},
      {&contiguous_p, plan_copy},
      {&reshape_p, plan_copy},
      {&arange_p, plan_arange},
      {&sum_p, plan_sum},
      {&prod_p, plan_prod},
      {&max_p, plan_max},
      {&min_p, plan_min},
      {&all_p, plan_all},
      {&any_p, plan_any},
      {&argmax_p, plan_argmax},
      {&argmin_p, plan_argmin},
      {&softmax_p, plan_softmax},
      {&logsumexp_p, plan_logsumexp},
      {&fast::rms_norm_p, plan_rms_norm},
      {&fast::layer_norm_p, plan_layer_norm},
      {&fast::rms_norm_vjp_p, plan_rms_norm_vjp},
      {&fast::layer_norm_vjp_p, plan_layer_norm_vjp},
      {&fast::cross_entropy_p, plan_cross_entropy},
      {&fast::cross_entropy_vjp_p, plan_cross_entropy_vjp},
      {&random_bits_p, plan_random_bits},
      {&random_draw_p, plan_random_draw},
      {&fold_in_p, plan_fold_in},
      {&fused_p, plan_fused},
      {&concatenate_p, plan_concatenate},
      {&slice_update_p, plan_slice_update},
      {&dynamic_slice_p, plan_dynamic_slice},
      {&dynamic_slice_update_p, plan_dynamic_slice_update},
      {&as_strided_add_p, plan_as_strided_add},
      {&gather_p, plan_gather},
      {&gather_axis_p, plan_gather_axis},
      {&scatter_p, plan_scatter},
      {&scatter_reduce_p, plan_scatter},
      {&scatter_axis_p, plan_scatter_axis},
      {&cumsum_p, plan_cumsum},
      {&cumprod_p, plan_cumprod},
      {&cummax_p, plan_cummax},
      {&cummin_p, plan_cummin},
      {&cumargmax_p, plan_cumargmax},
      {&cumargmin_p, plan_cumargmin},
      {&logcumsumexp_p, plan_logcumsumexp},
      {&linear_recurrence_p, plan_linear_recurrence},
      {&sort_p, plan_sort},
      {&argsort_p, plan_argsort},
      {&partition_p, plan_partition},
      {&argpartition_p, plan_argpartition},
      {&searchsorted_p, plan_searchsorted},
      {&fft_p, plan_fft},
      {&rfft_p, plan_rfft},
      {&irfft_p, plan_irfft},
      {&hadamard_p, plan_hadamard},
      {&matmul_p, plan_matmul},
      {&addmm_p, plan_addmm},
      {&conv_p, plan_conv},
      {&conv_weight_p, plan_conv_weight},
      {&fast::attention_p, plan_attention},
      {&fast::attention_vjp_p, plan_attention_vjp},
      {&fast::rope_p, plan_rope},
      {&gather_mm_p, plan_gather_mm},
      {&block_masked_mm_p, plan_block_masked_mm},
      {&segmented_mm_p, plan_segmented_mm},
      {&segment_sum_mm_p, plan_segment_sum_mm},
      {&quantize_p, plan_quantize},
      {&dequantize_p, plan_dequantize},
      {&quantized_matmul_p, plan_quantized_matmul},
      {&gather_qmm_p, plan_gather_qmm},
      {&fast::gated_delta_update_p, plan_gated_delta_update},
      {&fast::gated_delta_update_vjp_p, plan_gated_delta_update_vjp},
  };
}

}  // namespace

Planner find_planner(const Primitive& primitive) {
  static const std::vector<Planner> table = [] {
    std::vector<Planner> by_id;
    for (const Entry& e : entries()) {
      size_t id = static_cast<size_t>(e.primitive->id);
      if (by_id.size() <= id) by_id.resize(id + 1, nullptr);
      by_id[id] = e.planner;
    }
    return by_id;
  }();
  size_t id = static_cast<size_t>(primitive.id);
  return id < table.size() ? table[id] : nullptr;
}

std::string kernel_name(std::string_view base, Dtype t) { return cat(base, "_", t); }
std::string kernel_name(std::string_view base, Dtype t, Dtype u) { return cat(base, "_", t, "_", u); }

}  // namespace mx::metal

// kernels.cpp — which function computes which primitive on the CPU: one line each, by family.
// Primitives with a `view` or an `expand` rule need a line only if they also have a kernel.

#include "backend/cpu/kernels.h"

#include <vector>

// One include a family: its primitives, its kernels.
#include "backend/cpu/composite.h"
#include "backend/cpu/conv.h"
#include "backend/cpu/copy.h"
#include "backend/cpu/create.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/fast.h"
#include "backend/cpu/fft.h"
#include "backend/cpu/fused.h"
#include "backend/cpu/gather_matmul.h"
#include "backend/cpu/hadamard.h"
#include "backend/cpu/index.h"
#include "backend/cpu/linalg.h"
#include "backend/cpu/linalg_spectral.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/movement.h"
#include "backend/cpu/quantized.h"
#include "backend/cpu/random.h"
#include "backend/cpu/reduce.h"
#include "backend/cpu/scan.h"
#include "backend/cpu/sort.h"
#include "compile/program.h"
#include "ops/cast_params.h"
#include "ops/composite_params.h"
#include "ops/conv_params.h"
#include "ops/create_params.h"
#include "ops/elementwise_params.h"
#include "ops/fast_params.h"
#include "ops/fft_params.h"
#include "ops/gather_matmul_params.h"
#include "ops/hadamard_params.h"
#include "ops/index_params.h"
#include "ops/linalg_params.h"
#include "ops/linalg_spectral_params.h"
#include "ops/matmul_params.h"
#include "ops/movement_params.h"
#include "ops/quantized_params.h"
#include "ops/random_params.h"
#include "ops/reduce_params.h"
#include "ops/scan_params.h"
#include "ops/sort_params.h"

namespace mx::cpu {

namespace {

struct Entry {
  const Primitive* primitive;
  Kernel kernel;
};

std::vector<Entry> entries() {
  return {
#define UNARY(NAME, ...) {&NAME##_p, elementwise_kernel},
#include "ops/unary.def"
#define BINARY(NAME, ...) {&NAME##_p, elementwise_kernel},
#include "ops/binary.def"
#define TERNARY(NAME, ...) {&NAME##_p, elementwise_kernel},
#include "ops/ternary.def"
      {&astype_p, astype_kernel},
      {&view_p, copy_kernel},
      {&contiguous_p, copy_kernel},
      {&matmul_p, matmul_kernel},
      {&addmm_p, addmm_kernel},
      {&gather_mm_p, gather_mm_kernel},
      {&block_masked_mm_p, block_masked_mm_kernel},
      {&segmented_mm_p, segmented_mm_kernel},
      {&segment_sum_mm_p, segment_sum_mm_kernel},
      {&conv_p, conv_kernel},
      {&conv_weight_p, conv_weight_kernel},
      {&reshape_p, copy_kernel},
      {&concatenate_p, concatenate_kernel},
      {&slice_update_p, slice_update_kernel},
      {&dynamic_slice_p, dynamic_slice_kernel},
      {&dynamic_slice_update_p, dynamic_slice_update_kernel},
      {&as_strided_add_p, as_strided_add_kernel},
      {&arange_p, arange_kernel},
      {&gather_p, gather_kernel},
      {&gather_axis_p, gather_axis_kernel},
      {&scatter_p, scatter_kernel},
      {&scatter_reduce_p, scatter_kernel},
      {&scatter_axis_p, scatter_axis_kernel},
      {&cumsum_p, cumsum_kernel},
      {&cumprod_p, cumprod_kernel},
      {&cummax_p, cummax_kernel},
      {&cummin_p, cummin_kernel},
      {&cumargmax_p, cumargmax_kernel},
      {&cumargmin_p, cumargmin_kernel},
      {&logcumsumexp_p, logcumsumexp_kernel},
      {&linear_recurrence_p, linear_recurrence_kernel},
      {&cholesky_p, cholesky_kernel},
      {&inverse_p, inverse_kernel},
      {&triangular_inverse_p, triangular_inverse_kernel},
      {&solve_triangular_p, solve_triangular_kernel},
      {&lu_factor_p, lu_factor_kernel},
      {&lu_solve_p, lu_solve_kernel},
      {&sort_p, sort_kernel},
      {&argsort_p, argsort_kernel},
      {&partition_p, partition_kernel},
      {&argpartition_p, argpartition_kernel},
      {&searchsorted_p, searchsorted_kernel},
      {&sum_p, sum_kernel},
      {&prod_p, prod_kernel},
      {&max_p, max_kernel},
      {&min_p, min_kernel},
      {&all_p, all_kernel},
      {&any_p, any_kernel},
      {&argmax_p, argmax_kernel},
      {&argmin_p, argmin_kernel},
      {&softmax_p, softmax_kernel},
      {&logsumexp_p, logsumexp_kernel},
      {&qr_p, qr_kernel},
      {&svd_p, svd_kernel},
      {&singular_values_p, singular_values_kernel},
      {&eigh_p, eigh_kernel},
      {&eigvalsh_p, eigvalsh_kernel},
      {&eig_p, eig_kernel},
      {&eigvals_p, eigvals_kernel},
      {&quantize_p, quantize_kernel},
      {&dequantize_p, dequantize_kernel},
      {&quantized_matmul_p, quantized_matmul_kernel},
      {&gather_qmm_p, gather_qmm_kernel},
      {&to_fp8_p, to_fp8_kernel},
      {&from_fp8_p, from_fp8_kernel},
      {&fast::rms_norm_p, rms_norm_kernel},
      {&fast::layer_norm_p, layer_norm_kernel},
      {&fast::rms_norm_vjp_p, rms_norm_vjp_kernel},
      {&fast::layer_norm_vjp_p, layer_norm_vjp_kernel},
      {&fast::rope_p, rope_kernel},
      {&fast::cross_entropy_p, cross_entropy_kernel},
      {&fast::cross_entropy_vjp_p, cross_entropy_vjp_kernel},
      {&fast::attention_p, attention_kernel},
      {&fast::attention_vjp_p, attention_vjp_kernel},
      {&fast::gated_delta_update_p, gated_delta_update_kernel},
      {&fast::gated_delta_update_vjp_p, gated_delta_update_vjp_kernel},
      {&random_bits_p, random_bits_kernel},
      {&random_draw_p, random_draw_kernel},
      {&fold_in_p, fold_in_kernel},
      {&fft_p, fft_kernel},
      {&rfft_p, rfft_kernel},
      {&irfft_p, irfft_kernel},
      {&hadamard_p, hadamard_kernel},
      {&fused_p, fused_kernel},
      {&fused_matmul_p, fused_matmul_kernel},
  };
}

}  // namespace

Kernel find_kernel(const Primitive& primitive) {
  static const std::vector<Kernel> table = [] {
    std::vector<Kernel> by_id;
    for (const Entry& e : entries()) {
      size_t id = static_cast<size_t>(e.primitive->id);
      if (by_id.size() <= id) by_id.resize(id + 1, nullptr);
      by_id[id] = e.kernel;
    }
    return by_id;
  }();
  size_t id = static_cast<size_t>(primitive.id);
  return id < table.size() ? table[id] : nullptr;
}

}  // namespace mx::cpu

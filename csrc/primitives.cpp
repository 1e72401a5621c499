// primitives.cpp — every primitive, by family; the elementwise ones come from their tables.
// A primitive that is not here is not tested.

#include "primitives.h"

#include <vector>

// One include a family.
#include "compile/compiled_body.h"
#include "compile/program.h"
#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "graph/marker.h"
#include "ops/cast_params.h"
#include "ops/composite_params.h"
#include "ops/conv_params.h"
#include "ops/create_params.h"
#include "ops/effects_params.h"
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
#include "transforms/checkpoint.h"
#include "transforms/custom.h"

namespace mx {

std::span<const Primitive* const> all_primitives() {
  static const std::vector<const Primitive*> list = {
#define UNARY(NAME, ...) &NAME##_p,
#include "ops/unary.def"
#define BINARY(NAME, ...) &NAME##_p,
#include "ops/binary.def"
#define TERNARY(NAME, ...) &NAME##_p,
#include "ops/ternary.def"
      // values passed on, converted, or in another layout
      &marker_p, &astype_p, &view_p, &stop_gradient_p, &contiguous_p, &depends_p,
      // effects
      &debug_print_p, &with_effects_p,
      // movement and creation
      &reshape_p, &broadcast_p, &transpose_p, &slice_p, &slice_update_p, &dynamic_slice_p, &dynamic_slice_update_p,
      &as_strided_p, &as_strided_add_p, &diagonal_p, &concatenate_p, &arange_p,
      // indexing
      &gather_p, &gather_axis_p, &scatter_p, &scatter_reduce_p, &scatter_axis_p,
      // reductions
      &sum_p, &prod_p, &max_p, &min_p, &all_p, &any_p, &argmax_p, &argmin_p, &softmax_p, &logsumexp_p,
      // scans
      &cumsum_p, &cumprod_p, &cummax_p, &cummin_p, &cumargmax_p, &cumargmin_p, &logcumsumexp_p, &linear_recurrence_p,
      // sorting
      &cholesky_p, &inverse_p, &triangular_inverse_p, &solve_triangular_p, &lu_factor_p, &lu_solve_p,
      &det_p, &slogdet_p, &adjugate_p, &adjugate_slope_p,
      &sort_p, &argsort_p, &partition_p, &argpartition_p, &searchsorted_p,
      // products of matrices
      &matmul_p, &addmm_p,
      &gather_mm_p, &block_masked_mm_p, &segmented_mm_p, &segment_sum_mm_p,
      // convolutions
      &conv_p, &conv_weight_p,
      // spectra
      &qr_p, &svd_p, &singular_values_p, &eigh_p, &eigvalsh_p, &eig_p, &eigvals_p, &pinv_p, &psd_sqrt_p, &lyapunov_p,
      // Fourier and Hadamard transforms
      &fft_p, &rfft_p, &irfft_p, &hadamard_p,
      // quantized formats
      &quantize_p, &dequantize_p, &requantize_p, &quantized_matmul_p, &gather_qmm_p, &to_fp8_p, &from_fp8_p,
      // networks
      &fast::rms_norm_p, &fast::layer_norm_p, &fast::rms_norm_vjp_p, &fast::layer_norm_vjp_p, &fast::rope_p, &fast::cross_entropy_p,
      &fast::cross_entropy_vjp_p, &fast::attention_p, &fast::attention_vjp_p, &fast::gated_delta_update_p, &fast::gated_delta_update_vjp_p,
      // random
      &random_bits_p, &random_draw_p, &fold_in_p,
      // calls that hold a program or rules
      &fused_p, &fused_matmul_p, &compiled_p, &checkpoint_p, &custom_p, &scan_p, &while_p, &switch_p,
  };
  return list;
}

}  // namespace mx

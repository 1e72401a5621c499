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
      {&sort_p, sort_kernel},
      {&argsort_p, argsort_kernel},
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
      {&random_bits_p, random_bits_kernel},
      {&fold_in_p, fold_in_kernel},
      {&fused_p, fused_kernel},
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

// kernels.cpp — which function computes which primitive on the CPU: one line each, by family.
// Primitives with a `view` or an `expand` rule need a line only if they also have a kernel.

#include "backend/cpu/kernels.h"

#include <vector>

// One include a family: its primitives, its kernels.
#include "backend/cpu/copy.h"
#include "backend/cpu/create.h"
#include "backend/cpu/fused.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/movement.h"
#include "compile/program.h"
#include "ops/create_params.h"
#include "ops/matmul_params.h"
#include "ops/movement_params.h"

namespace mx::cpu {

namespace {

struct Entry {
  const Primitive* primitive;
  Kernel kernel;
};

std::vector<Entry> entries() {
  return {
      {&matmul_p, matmul_kernel},
      {&addmm_p, addmm_kernel},
      {&fused_p, fused_kernel},
      {&reshape_p, copy_kernel},
      {&concatenate_p, concatenate_kernel},
      {&slice_update_p, slice_update_kernel},
      {&dynamic_slice_p, dynamic_slice_kernel},
      {&dynamic_slice_update_p, dynamic_slice_update_kernel},
      {&as_strided_add_p, as_strided_add_kernel},
      {&arange_p, arange_kernel},
      // (new kernels above this line)
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

// matmul.h — plans of products of matrices: which kernel of gemm.metal and gemv.metal, with which pieces.
#pragma once

#include <optional>

#include "backend/metal/plan/layout.h"
#include "backend/metal/plan/planners.h"
#include "backend/metal/plan/tile.h"

namespace mx::metal {

/// Matrices in an input of a task, from byte `offset` of it on. Strides in elements.
struct MatrixOperand {
  size_t input = 0;
  int64_t row = 0, col = 0;
  int64_t step = 0, count = 0;  ///< Of the matrices that an index chooses from.
};

/// Products of batches, out = alpha a · b + beta c, with out in row order.
struct MatrixProduct {
  int64_t m, n, k;
  MatrixOperand a, b;
  std::optional<MatrixOperand> c = {};
  double alpha = 1, beta = 0;
  /// The batch; operands are a, b, c, and the indices that choose a and b.
  Layout batch;
  /// Inputs with the indices; their matrices then are `step` apart.
  std::optional<std::pair<size_t, size_t>> indices = {};
};

/// Adds the launches of a product with at least one result. False: too large for 32-bit sizes, or no such dtype.
bool add_product(const Task& task, const MatrixProduct& product, Plan& plan);

/// What add_product does with a product of such a size: the pieces, and the parts of the inner dimension.
struct GemmChoice {
  Tile tile;
  int splits;
  int k_each;
};
GemmChoice choose_gemm(int64_t m, int64_t n, int64_t k, int64_t batch);

/// Adds the launch that sums parts, (batch, splits, m, n) in float32, to output 0, (batch, m, n) in row order.
void add_sum_of_parts(const Task& task, uint16_t parts, int64_t batch, int64_t splits, int64_t m, int64_t n, Plan& plan);

/// How many of a choice's pieces there are, as kernels number them: `across` and `down` threadgroups.
struct PieceGrid {
  int32_t tiles_m, tiles_n, swizzle;
  uint32_t across, down;
};
PieceGrid piece_grid(const Tile& tile, int64_t m, int64_t n);

/// Whether all rows of an operand begin where vectors of four elements can be read, `strides` being all but the
/// contiguous one.
bool takes_vectors(const array& x, std::initializer_list<int64_t> strides, const Strides* batch = nullptr);

/// The last two strides of an input.
MatrixOperand matrix_operand(const Task& task, size_t input);

/// Strides of the axes before the last `n_inner`.
Strides leading_strides(const array& x, size_t n_inner);

/// Whether GPUs have the dtype as a real floating one.
inline bool is_gpu_real(Dtype t) { return is_floating(t) && t != Dtype::float64; }

bool plan_matmul(const Task& task, Plan& plan);
bool plan_addmm(const Task& task, Plan& plan);

}  // namespace mx::metal

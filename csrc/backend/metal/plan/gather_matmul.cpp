// gather_matmul.cpp — gather_mm, block_masked_mm, segmented_mm and segment_sum_mm. Products of chosen pairs are batched products whose
// matrices are found by index; the others have kernels of their own (metal/kernels/gather_matmul.metal).

#include "backend/metal/plan/gather_matmul.h"

#include <limits>

#include "backend/metal/plan/matmul.h"
#include "ops/gather_matmul_params.h"

namespace mx::metal {

namespace {

// As in gather_matmul.metal.
struct Params {
  int64_t a_row, a_k, b_k, b_col;
  int64_t a_step, b_step, a_count, b_count;
  int64_t index_stride[3];
  int64_t segment_stride, bound_stride;
  int64_t mask_row[3], mask_col[3];
  int32_t m, n, k, count, n_out, block;
  int32_t tiles_m, tiles_n, swizzle;
};

constexpr int64_t kMost = std::numeric_limits<int32_t>::max() - 1024;

// Adds a launch with all that the kernels share. `layers`: results of the whole batch.
bool launch(const Task& task, const char* kernel, Params& p, const Layout& batch, int64_t layers, Plan& plan) {
  const array &a = task.in[0], &b = task.in[1];
  Dtype t = task.out[0].dtype();
  MatrixOperand of_a = matrix_operand(task, 0), of_b = matrix_operand(task, 1);
  p.a_row = of_a.row;
  p.a_k = p.k == 1 ? 1 : of_a.col;
  p.b_k = p.k == 1 ? 1 : of_b.row;
  p.b_col = of_b.col;
  if (!fits_inline(batch) || layers > kMost) return false;
  bool along_a = std::abs(p.a_k) <= std::abs(p.a_row) || p.m == 1, along_b = std::abs(p.b_k) <= std::abs(p.b_col) || p.n == 1;
  const Tile& tile = kSmallTile;
  PieceGrid pieces = piece_grid(tile, p.m, p.n);
  p.tiles_m = pieces.tiles_m;
  p.tiles_n = pieces.tiles_n;
  p.swizzle = pieces.swizzle;
  plan.launch(kernel_name(kernel, t), {pieces.across * tile.threads(), pieces.down, static_cast<uint32_t>(layers)}, {tile.threads(), 1, 1});
  plan.constant(0, along_a);
  plan.constant(1, along_b);
  plan.constant(2, (along_a ? p.a_k : p.a_row) == 1 && takes_vectors(a, {along_a ? p.a_row : p.a_k, p.a_step}, &batch.strides[0]));
  plan.constant(3, (along_b ? p.b_k : p.b_col) == 1 && takes_vectors(b, {along_b ? p.b_col : p.b_k, p.b_step}, &batch.strides[1]));
  plan.input(0, 0);
  plan.input(1, 1);
  plan.output(2);
  plan.value(3, p);
  plan.values(4, words(batch));
  plan.threadgroup(0, tile.threadgroup_bytes(size_of(t)));
  return true;
}

// Sizes that all have; false: too large.
bool set_sizes(Params& p, int64_t m, int64_t n, int64_t k, int64_t count) {
  if (m > kMost || n > kMost || k > kMost || count > kMost) return false;
  p.m = static_cast<int32_t>(m);
  p.n = static_cast<int32_t>(n);
  p.k = static_cast<int32_t>(k);
  p.count = static_cast<int32_t>(count);
  return true;
}

Shape leading_shape(const array& x, size_t n_inner) { return {x.shape().begin(), x.shape().end() - static_cast<long>(n_inner)}; }

std::string bad_index(int64_t index, int64_t size, int64_t operand) {
  const char* of = operand == 0 ? "a" : operand == 1 ? "b" : "the result";
  return cat("[gather_mm] index ", index, " is out of bounds for the ", size, " matrices of ", of, "; need ", -size, " <= index < ", size, ".");
}

bool plan_pairs(const Task& task, Plan& plan) {
  const array &a = task.in[0], &b = task.in[1], &ia = task.in[2], &ib = task.in[3];
  MatrixProduct p{.m = a.shape(-2), .n = b.shape(-1), .k = a.shape(-1), .a = matrix_operand(task, 0), .b = matrix_operand(task, 1), .batch = {}};
  if (p.k == 1) p.a.col = p.b.row = 1;
  p.a.step = a.strides().end()[-3];
  p.b.step = b.strides().end()[-3];
  p.a.count = a.shape(-3);
  p.b.count = b.shape(-3);
  p.indices = {2, 3};
  Shape shape = leading_shape(a, 3);
  shape.push_back(ia.shape(-1));
  Strides of_a = leading_strides(a, 3), of_b = leading_strides(b, 3), none(shape.size(), 0);
  of_a.push_back(0);
  of_b.push_back(0);
  p.batch = collapse(shape, {&of_a, &of_b, &none, &ia.strides(), &ib.strides()});
  return add_product(task, p, plan);
}

/// Products over ranges of the inner dimension. segment_sum_mm has a left operand for each, and adds them up.
bool segments_task(const Task& task, bool summed, Plan& plan) {
  const array &a = task.in[0], &b = task.in[1], &segments = task.in[2];
  if (!is_gpu_real(task.out[0].dtype())) return false;
  if (task.out[0].size() == 0) return true;
  Params p{};
  if (!set_sizes(p, a.shape(-2), b.shape(-1), a.shape(-1), segments.shape(-2))) return false;
  MatrixOperand s = matrix_operand(task, 2);
  p.segment_stride = s.row;
  p.bound_stride = s.col;
  if (summed) p.a_step = a.strides().end()[-3];
  size_t n_inner = summed ? 3 : 2;
  Strides of_a = leading_strides(a, n_inner), of_b = leading_strides(b, 2), of_s = leading_strides(segments, 2);
  Layout batch = collapse(leading_shape(a, n_inner), {&of_a, &of_b, &of_s});
  if (!launch(task, summed ? "segment_sum_mm" : "segmented_mm", p, batch, summed ? batch.size : batch.size * p.count, plan)) return false;
  plan.input(5, 2);
  return true;
}

}  // namespace

bool plan_gather_mm(const Task& task, Plan& plan) {
  const auto& gather = task.params.get<GatherMatmulParams>();
  const array &a = task.in[0], &b = task.in[1];
  if (!is_gpu_real(task.out[0].dtype())) return false;
  // Without results the CPU still checks the indices.
  if (task.out[0].size() == 0 || a.shape(-3) == 0 || b.shape(-3) == 0) return false;
  plan.index_error = bad_index;
  if (!gather.sums) return plan_pairs(task, plan);
  Params p{};
  if (!set_sizes(p, a.shape(-2), b.shape(-1), a.shape(-1), task.in[2].shape(-1)) || gather.n_out > kMost) return false;
  p.n_out = static_cast<int32_t>(gather.n_out);
  p.a_step = a.strides().end()[-3];
  p.b_step = b.strides().end()[-3];
  p.a_count = a.shape(-3);
  p.b_count = b.shape(-3);
  Strides of_a = leading_strides(a, 3), of_b = leading_strides(b, 3), of_index[3];
  for (size_t i = 0; i < 3; ++i) {
    of_index[i] = leading_strides(task.in[2 + i], 1);
    p.index_stride[i] = task.in[2 + i].strides().back();
  }
  Layout batch = collapse(leading_shape(a, 3), {&of_a, &of_b, &of_index[0], &of_index[1], &of_index[2]});
  if (!launch(task, "gather_mm_sums", p, batch, batch.size * gather.n_out, plan)) return false;
  for (uint8_t i = 0; i < 3; ++i) plan.input(static_cast<uint8_t>(5 + i), 2u + i);
  plan.status(8);
  return true;
}

bool plan_block_masked_mm(const Task& task, Plan& plan) {
  const auto& mask = task.params.get<BlockMaskParams>();
  const array &a = task.in[0], &b = task.in[1];
  if (!is_gpu_real(task.out[0].dtype())) return false;
  if (task.out[0].size() == 0) return true;
  Params p{};
  if (!set_sizes(p, a.shape(-2), b.shape(-1), a.shape(-1), 0)) return false;
  p.block = mask.block_size;
  bool present[] = {mask.out, mask.lhs, mask.rhs}, boolean[] = {false, false, false}, factors = false;
  size_t inputs[3] = {}, next = 2, n = leading_strides(a, 2).size();
  Strides of_a = leading_strides(a, 2), of_b = leading_strides(b, 2), of_mask[3];
  for (size_t i = 0; i < 3; ++i) {
    of_mask[i] = Strides(n, 0);
    if (!present[i]) continue;
    inputs[i] = next++;
    const array& x = task.in[inputs[i]];
    MatrixOperand o = matrix_operand(task, inputs[i]);
    p.mask_row[i] = o.row;
    p.mask_col[i] = o.col;
    of_mask[i] = leading_strides(x, 2);
    boolean[i] = is_bool(x.dtype());
    factors |= !boolean[i];
  }
  Layout batch = collapse(leading_shape(a, 2), {&of_a, &of_b, &of_mask[0], &of_mask[1], &of_mask[2]});
  if (!launch(task, "block_masked_mm", p, batch, batch.size, plan)) return false;
  plan.constant(7, factors);
  for (uint8_t i = 0; i < 3; ++i) {
    plan.constant(4u + i, present[i]);
    plan.constant(8u + i, boolean[i]);
    if (present[i]) plan.input(static_cast<uint8_t>(5 + i), inputs[i]);
  }
  return true;
}

bool plan_segmented_mm(const Task& task, Plan& plan) { return segments_task(task, false, plan); }

bool plan_segment_sum_mm(const Task& task, Plan& plan) { return segments_task(task, true, plan); }

}  // namespace mx::metal

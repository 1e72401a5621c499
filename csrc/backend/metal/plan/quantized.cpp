// quantized.cpp — quantize, dequantize, quantized_matmul and gather_qmm. Few rows of x are multiplied with codes as they are unpacked;
// more of them with pieces of the matrix that are unpacked into threadgroup memory. Start at plan_products().

#include "backend/metal/plan/quantized.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/matmul.h"
#include "ops/quantized_params.h"

namespace mx::metal {

namespace {

constexpr uint32_t kSimds = 8, kThreads = kSimds * kSimdWidth;
constexpr int64_t kMost = std::numeric_limits<int32_t>::max() - 1024;
constexpr int64_t kFewRows = 8;       // Of x.
constexpr int64_t kRowsTogether = 4;  // Of x, for which the matrix is read once.
constexpr int64_t kDotRows = 4 * kSimds, kAddColumns = 64;  // Of the matrix, a threadgroup.

// As in quantized.metal.
struct QuantizeArguments {
  int64_t stride, groups;
  int32_t groups_per_row;
};
struct DequantizeArguments {
  int64_t w_stride, scales_stride, biases_stride;
  int32_t columns;
};
struct ProductArguments {
  int64_t x_row, x_col, x_step, x_count;
  int64_t w_row, w_step, w_count;
  int64_t scales_row, scales_col, scales_step, biases_row, biases_col, biases_step;
  int64_t size;
  int32_t m, n, k;
  int32_t tiles_m, tiles_n, swizzle;
};

// The format of the last launch.
void set_format(const QuantFormat& f, Plan& plan) {
  plan.constant(0, f.bits);
  plan.constant(1, f.group_size);
  plan.constant(2, static_cast<int32_t>(f.mode));
  plan.constant(3, f.affine());
}

Shape without_last(const array& x) { return {x.shape().begin(), x.shape().end() - 1}; }

std::string bad_index(int64_t index, int64_t size, int64_t operand) {
  return cat("[gather_qmm] index ", index, " of ", operand == 0 ? "lhs_indices" : "rhs_indices", " is out of bounds for ", size, " matrices; need ",
             -size, " <= index < ", size, ".");
}

// n_inner: axes of x that are not batch axes: 2, or 3 with indices.
bool plan_products(const Task& task, size_t n_inner, Plan& plan) {
  const auto& q = task.params.get<QuantizedMatmulParams>();
  const QuantFormat& f = q.format;
  bool gather = n_inner == 3;
  const array &x = task.in[0], &w = task.in[1], &scales = task.in[2];
  Dtype t = task.out[0].dtype();
  if (!is_gpu_real(t)) return false;
  // The CPU still checks indices where there is nothing to compute.
  if (task.out[0].size() == 0) return !gather;
  if (gather && (x.shape(-3) == 0 || w.shape(-3) == 0)) return false;
  int64_t rows = w.shape(-2), columns = f.elements(w.shape(-1)), m = x.shape(-2), n = q.transpose ? rows : columns, k = x.shape(-1);
  if (m > kMost || n > kMost || k > kMost) return false;

  // Codes are read by bytes, across words: those of a row must lie side by side.
  Strides of_words = w.strides();
  std::optional<uint16_t> copied;
  if (of_words.back() != 1 && w.shape(-1) > 1) {
    of_words = row_strides(w.shape());
    copied = plan.temporary(w.n_bytes());
    if (!add_copy(plan, {Binding::temporary, *copied, 0, of_words}, {Binding::input, 1, 0, w.strides()}, w.shape(), w.itemsize())) return false;
  }
  size_t d = of_words.size();
  ProductArguments p{};
  p.x_row = x.strides().end()[-2];
  p.x_col = x.strides().end()[-1];
  p.w_row = of_words[d - 2];
  p.scales_row = scales.strides().end()[-2];
  p.scales_col = scales.strides().end()[-1];
  if (f.affine()) {
    p.biases_row = task.in[3].strides().end()[-2];
    p.biases_col = task.in[3].strides().end()[-1];
  }
  p.m = static_cast<int32_t>(m);
  p.n = static_cast<int32_t>(n);
  p.k = static_cast<int32_t>(k);
  p.size = m * n;
  size_t n_in = task.in.size();
  Shape shape(x.shape().begin(), x.shape().end() - static_cast<long>(n_inner));
  Strides of_x = leading_strides(x, n_inner), of_w(of_words.begin(), of_words.end() - static_cast<long>(n_inner)), of_scales = leading_strides(scales, n_inner);
  Strides of_biases = f.affine() ? leading_strides(task.in[3], n_inner) : Strides(shape.size(), 0), of_lhs(shape.size(), 0), of_rhs = of_lhs;
  if (gather) {
    p.x_step = x.strides().end()[-3];
    p.x_count = x.shape(-3);
    p.w_step = of_words[d - 3];
    p.w_count = w.shape(-3);
    p.scales_step = scales.strides().end()[-3];
    if (f.affine()) p.biases_step = task.in[3].strides().end()[-3];
    shape.push_back(task.in[n_in - 1].shape(-1));
    for (Strides* s : {&of_x, &of_w, &of_scales, &of_biases}) s->push_back(0);
    of_lhs = task.in[n_in - 2].strides();
    of_rhs = task.in[n_in - 1].strides();
  }
  Layout batch = collapse(shape, {&of_x, &of_w, &of_scales, &of_biases, &of_lhs, &of_rhs});
  if (!fits_inline(batch) || batch.size > kMost) return false;

  auto ceil = [](int64_t a, int64_t b) { return static_cast<uint32_t>((a + b - 1) / b); };
  auto layers = static_cast<uint32_t>(batch.size);
  bool few = m <= kFewRows, along_x = true;
  if (few) {
    int64_t together = std::min(m, kRowsTogether);
    plan.launch(kernel_name(q.transpose ? "quantized_dots" : "quantized_adds", t),
                {ceil(n, q.transpose ? kDotRows : kAddColumns) * kThreads, ceil(m, together), layers}, {kThreads, 1, 1});
    plan.constant(9, static_cast<int32_t>(together));
  } else {
    const Tile tile = choose_gemm(m, n, 0, batch.size).tile;
    PieceGrid pieces = piece_grid(tile, m, n);
    p.tiles_m = pieces.tiles_m;
    p.tiles_n = pieces.tiles_n;
    p.swizzle = pieces.swizzle;
    along_x = std::abs(p.x_col) <= std::abs(p.x_row);
    plan.launch(kernel_name(cat("quantized_gemm_", tile.name()), t), {pieces.across * tile.threads(), pieces.down, layers}, {tile.threads(), 1, 1});
    plan.threadgroup(0, tile.threadgroup_bytes(size_of(t)));
  }
  set_format(f, plan);
  plan.constant(5, (along_x ? p.x_col : p.x_row) == 1 && takes_vectors(x, {along_x ? p.x_row : p.x_col, p.x_step}, &batch.strides[0]));
  plan.constant(6, gather);
  plan.constant(7, q.transpose);
  plan.constant(8, along_x);
  plan.input(0, 0);
  if (copied) {
    plan.reads(1, *copied);
  } else {
    plan.input(1, 1);
  }
  plan.input(2, 2);
  if (f.affine()) plan.input(3, 3);
  plan.output(4);
  plan.value(5, p);
  plan.values(6, words(batch));
  if (gather) {
    plan.input(7, n_in - 2);
    plan.input(8, n_in - 1);
    plan.status(9);
    plan.index_error = bad_index;
  }
  return true;
}

}  // namespace

bool plan_quantize(const Task& task, Plan& plan) {
  const QuantFormat& f = task.params.get<QuantizeParams>().format;
  const array& w = task.in[0];
  if (!is_gpu_real(w.dtype())) return false;
  if (w.size() == 0) return true;
  bool global = task.in.size() > 1;
  Shape shape = without_last(w);
  Strides of_w = leading_strides(w, 1), of_global = global ? task.in[1].strides() : Strides(shape.size(), 0);
  Layout rows = collapse(shape, {&of_w, &of_global});
  if (!fits_inline(rows) || w.shape(-1) > kMost) return false;
  QuantizeArguments p{w.strides().back(), w.size() / f.group_size, static_cast<int32_t>(w.shape(-1) / f.group_size)};
  Grid grid = group_grid(ceil_div(static_cast<uint64_t>(p.groups), kSimds), kThreads);
  plan.launch(kernel_name("quantize", w.dtype()), grid.threads, grid.group);
  set_format(f, plan);
  plan.constant(4, global);
  plan.input(0, 0);
  if (global) plan.input(1, 1);
  plan.output(2, 0);
  plan.output(3, 1);
  if (f.affine()) plan.output(4, 2);
  plan.value(5, p);
  plan.values(6, words(rows));
  return true;
}

bool plan_dequantize(const Task& task, Plan& plan) {
  const QuantFormat& f = task.params.get<DequantizeParams>().format;
  const array &w = task.in[0], &scales = task.in[1], &out = task.out[0];
  if (!is_gpu_real(out.dtype())) return false;
  if (out.size() == 0) return true;
  size_t at = f.affine() ? 3 : 2;
  bool global = task.in.size() > at;
  Shape shape = without_last(out);
  Strides none(shape.size(), 0), of_w = leading_strides(w, 1), of_scales = leading_strides(scales, 1);
  Strides of_biases = f.affine() ? leading_strides(task.in[2], 1) : none, of_global = global ? task.in[at].strides() : none;
  Layout rows = collapse(shape, {&of_w, &of_scales, &of_biases, &of_global});
  if (!fits_inline(rows) || out.shape(-1) > kMost) return false;
  DequantizeArguments p{w.strides().back(), scales.strides().back(), f.affine() ? task.in[2].strides().back() : 0, static_cast<int32_t>(out.shape(-1))};
  auto n_rows = static_cast<uint64_t>(rows.size);
  uint64_t down = std::min<uint64_t>(n_rows, 1 << 16);
  plan.launch(kernel_name("dequantize", out.dtype()), {static_cast<uint32_t>(out.shape(-1)), static_cast<uint32_t>(down), static_cast<uint32_t>(ceil_div(n_rows, down))},
              {power_of_2_for(static_cast<uint64_t>(out.shape(-1)), 256), 1, 1});
  set_format(f, plan);
  plan.constant(4, global);
  plan.input(0, 0);
  plan.input(1, 1);
  if (f.affine()) plan.input(2, 2);
  if (global) plan.input(3, at);
  plan.output(4);
  plan.value(5, p);
  plan.values(6, words(rows));
  plan.value(7, n_rows);
  return true;
}

bool plan_quantized_matmul(const Task& task, Plan& plan) { return plan_products(task, 2, plan); }
bool plan_gather_qmm(const Task& task, Plan& plan) { return plan_products(task, 3, plan); }

}  // namespace mx::metal

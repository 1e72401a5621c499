// matmul.cpp — matmul and addmm. Products with a vector go to gemv.metal; others are cut into pieces of 64x64, or of 32x32 where
// there would be too few to fill a GPU, and if that is not enough the inner dimension is shared out as well.
// Start at plan_product().

#include "backend/metal/plan/matmul.h"

#include <algorithm>
#include <limits>

#include "ops/matmul_params.h"

namespace mx::metal {

namespace {

constexpr int64_t kManyPieces = 48;     // Enough threadgroups to fill a GPU, about.
constexpr int64_t kSplitPieces = 64;   // The same, where the inner dimension is shared out.
constexpr int64_t kLeastDepth = 256;    // Of a part of the inner dimension.
constexpr int64_t kMostSplits = 32;
constexpr int kMostSwizzle = 2;         // 2^swizzle rows of pieces are taken together.

// As in gemm.metal.
struct GemmParams {
  int64_t a_row, a_k, b_k, b_col, c_row, c_col;
  int64_t a_step, b_step, a_count, b_count;
  int64_t size;
  int32_t m, n, k;
  int32_t tiles_m, tiles_n, swizzle;
  int32_t splits, k_each;
  float alpha, beta;
};

// As in gemv.metal.
struct GemvParams {
  int64_t row, col, x_stride, c_stride;
  int64_t m_step, x_step, m_count, x_count;
  int32_t n_out, k, parts, m_operand;
  float alpha, beta;
};
constexpr int kGemvSimds = 8, kGemvRows = 4, kGemvColumns = 32;

bool fits_int(int64_t n) { return n <= std::numeric_limits<int32_t>::max() - 256; }

enum Operand : size_t { kA, kB, kC, kIndexA, kIndexB };

void bind_indices(const MatrixProduct& p, Plan& plan, bool exchanged) {
  if (!p.indices) return;
  plan.input(6, exchanged ? p.indices->second : p.indices->first);
  plan.input(7, exchanged ? p.indices->first : p.indices->second);
  plan.status(8);
}

// M x: M is a or, for one row of a, b with rows for columns.
void add_gemv(const Task& task, const MatrixProduct& p, Plan& plan) {
  bool of_b = p.n > 1;
  const MatrixOperand &m = of_b ? p.b : p.a, &x = of_b ? p.a : p.b;
  GemvParams g{};
  g.row = of_b ? m.col : m.row;
  g.col = of_b ? m.row : m.col;
  g.x_stride = of_b ? x.col : x.row;
  g.m_step = m.step;
  g.x_step = x.step;
  g.m_count = m.count;
  g.x_count = x.count;
  g.n_out = static_cast<int32_t>(of_b ? p.n : p.m);
  g.k = static_cast<int32_t>(p.k);
  g.m_operand = of_b;
  g.alpha = static_cast<float>(p.alpha);
  g.beta = static_cast<float>(p.beta);
  if (p.c) g.c_stride = of_b ? p.c->col : p.c->row;
  if (g.k == 1) g.col = g.x_stride = 1;

  bool rows = std::abs(g.col) <= std::abs(g.row) || g.n_out == 1;
  const array &matrix = task.in[m.input], &vector = task.in[x.input];
  const Strides *of_m = &p.batch.strides[of_b ? kB : kA], *of_x = &p.batch.strides[of_b ? kA : kB];
  bool vector_m = (rows ? g.col : g.row) == 1 && takes_vectors(matrix, {g.n_out == 1 && rows ? 0 : rows ? g.row : g.col, m.step}, of_m);
  bool vector_x = g.x_stride == 1 && takes_vectors(vector, {x.step}, of_x);
  uint64_t groups;
  if (rows) {
    // With few rows, simdgroups share them.
    g.parts = 1;
    while (g.parts < kGemvSimds && g.n_out * p.batch.size < 256 * kGemvRows / g.parts && g.k > 512 * g.parts) g.parts *= 2;
    groups = ceil_div(static_cast<uint64_t>(g.n_out), static_cast<uint64_t>(kGemvRows * kGemvSimds / g.parts));
  } else {
    groups = ceil_div(static_cast<uint64_t>(g.n_out), kGemvColumns);
  }
  uint32_t threads = kGemvSimds * kSimdWidth;
  plan.launch(kernel_name(rows ? "gemv_rows" : "gemv_columns", task.out[0].dtype()),
              {static_cast<uint32_t>(groups * threads), 1, static_cast<uint32_t>(p.batch.size)}, {threads, 1, 1});
  plan.constant(0, vector_m);
  plan.constant(1, vector_x);
  plan.constant(4, p.c.has_value());
  plan.constant(6, p.indices.has_value());
  // The kernel's operands are M, x, c and their indices.
  Layout batch = p.batch;
  if (of_b) {
    std::swap(batch.strides[kA], batch.strides[kB]);
    std::swap(batch.strides[kIndexA], batch.strides[kIndexB]);
  }
  plan.input(0, m.input);
  plan.input(1, x.input);
  plan.output(2);
  if (p.c) plan.input(3, p.c->input);
  plan.value(4, g);
  plan.values(5, words(batch));
  bind_indices(p, plan, of_b);
}

GemmParams gemm_params(const MatrixProduct& p) {
  GemmParams g{};
  g.a_row = p.a.row;
  g.a_k = p.a.col;
  g.b_k = p.b.row;
  g.b_col = p.b.col;
  if (p.c) {
    g.c_row = p.c->row;
    g.c_col = p.c->col;
  }
  g.a_step = p.a.step;
  g.b_step = p.b.step;
  g.a_count = p.a.count;
  g.b_count = p.b.count;
  g.size = p.m * p.n;
  g.m = static_cast<int32_t>(p.m);
  g.n = static_cast<int32_t>(p.n);
  g.k = static_cast<int32_t>(p.k);
  g.splits = 1;
  g.k_each = g.k;
  g.alpha = static_cast<float>(p.alpha);
  g.beta = static_cast<float>(p.beta);
  return g;
}

void add_sum(const MatrixProduct& p, const GemmParams& g, uint16_t parts, Dtype t, Plan& plan) {
  uint32_t width = power_of_2_for(static_cast<uint64_t>(p.n), 32);
  plan.launch(kernel_name("gemm_sum", t), {static_cast<uint32_t>(p.n), static_cast<uint32_t>(p.m), static_cast<uint32_t>(p.batch.size)},
              {width, power_of_2_for(static_cast<uint64_t>(p.m), 256 / width), 1});
  plan.constant(4, p.c.has_value());
  plan.reads(0, parts);
  plan.output(2);
  if (p.c) plan.input(3, p.c->input);
  plan.value(4, g);
  plan.values(5, words(p.batch));
}

void add_gemm(const Task& task, const MatrixProduct& p, Plan& plan) {
  Dtype t = task.out[0].dtype();
  GemmChoice choice = choose_gemm(p.m, p.n, p.k, p.batch.size);
  const Tile& tile = choice.tile;
  GemmParams g = gemm_params(p);
  PieceGrid pieces = piece_grid(tile, p.m, p.n);
  g.tiles_m = pieces.tiles_m;
  g.tiles_n = pieces.tiles_n;
  g.swizzle = pieces.swizzle;
  g.splits = choice.splits;
  g.k_each = choice.k_each;
  auto deep = static_cast<uint32_t>(p.batch.size * g.splits);

  // The contiguous way, or the one with the smaller stride. An axis of one element leaves its stride open.
  bool along_a = std::abs(g.a_k) <= std::abs(g.a_row) || g.m == 1, along_b = std::abs(g.b_k) <= std::abs(g.b_col) || g.n == 1;
  bool vector_a = (along_a ? g.a_k : g.a_row) == 1 && takes_vectors(task.in[p.a.input], {along_a ? g.a_row : g.a_k, p.a.step}, &p.batch.strides[kA]);
  bool vector_b = (along_b ? g.b_k : g.b_col) == 1 && takes_vectors(task.in[p.b.input], {along_b ? g.b_col : g.b_k, p.b.step}, &p.batch.strides[kB]);
  std::vector<int64_t> batch = words(p.batch);
  std::optional<uint16_t> parts;
  if (g.splits > 1) parts = plan.temporary(sizeof(float) * static_cast<size_t>(g.size * p.batch.size * g.splits));

  plan.launch(kernel_name(cat("gemm_", tile.name()), t), {pieces.across * tile.threads(), pieces.down, deep}, {tile.threads(), 1, 1});
  plan.constant(0, along_a);
  plan.constant(1, along_b);
  plan.constant(2, vector_a);
  plan.constant(3, vector_b);
  plan.constant(4, p.c.has_value() && !parts);
  plan.constant(5, parts.has_value());
  plan.constant(6, p.indices.has_value());
  plan.input(0, p.a.input);
  plan.input(1, p.b.input);
  if (parts) {
    plan.writes(2, *parts);
  } else {
    plan.output(2);
    if (p.c) plan.input(3, p.c->input);
  }
  plan.value(4, g);
  plan.values(5, batch);
  bind_indices(p, plan, false);
  plan.threadgroup(0, tile.threadgroup_bytes(size_of(t)));
  if (!parts) return;

  add_sum(p, g, *parts, t, plan);
}

void add_plain(const Task& task, const MatrixProduct& p, Plan& plan) {
  constexpr uint32_t kPiece = 16;
  Dtype t = task.out[0].dtype();
  if (!is_complex(t)) t = size_of(t) == 1 ? Dtype::uint8 : size_of(t) == 2 ? Dtype::uint16 : size_of(t) == 4 ? Dtype::uint32 : Dtype::uint64;
  auto round_up = [](int64_t n) { return static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(n), kPiece)) * kPiece; };
  plan.launch(kernel_name("gemm_plain", t), {round_up(p.n), round_up(p.m), static_cast<uint32_t>(p.batch.size)}, {kPiece, kPiece, 1});
  plan.constant(4, p.c.has_value());
  plan.input(0, p.a.input);
  plan.input(1, p.b.input);
  plan.output(2);
  if (p.c) plan.input(3, p.c->input);
  plan.value(4, gemm_params(p));
  plan.values(5, words(p.batch));
}

bool plan_product(const Task& task, double alpha, double beta, Plan& plan) {
  const array &a = task.in[0], &b = task.in[1], &out = task.out[0];
  if (out.dtype() == Dtype::float64) return false;
  if (out.size() == 0) return true;
  bool has_c = task.in.size() > 2;
  const Shape& shape = out.shape();
  size_t d = shape.size();
  MatrixProduct p{.m = shape[d - 2], .n = shape[d - 1], .k = a.shape().back(), .a = matrix_operand(task, 0), .b = matrix_operand(task, 1), .batch = {}};
  p.alpha = alpha;
  p.beta = beta;
  if (has_c) p.c = matrix_operand(task, 2);
  // Sizes of 1 leave the stride open.
  if (p.k == 1) p.a.col = p.b.row = 1;
  Shape leading(shape.begin(), shape.end() - 2);
  Strides none(d - 2, 0), of_a = leading_strides(a, 2), of_b = leading_strides(b, 2), of_c = has_c ? leading_strides(task.in[2], 2) : none;
  p.batch = collapse(leading, {&of_a, &of_b, &of_c, &none, &none});

  // With one b for all, the rows of the whole batch are rows of one product.
  if (p.batch.shape.size() == 1 && p.batch.size > 1 && p.batch.strides[kB][0] == 0) {
    int64_t step_a = p.batch.strides[kA][0], step_c = p.batch.strides[kC][0];
    bool a_joins = p.m == 1 || step_a == p.m * p.a.row, c_joins = !has_c || p.m == 1 || step_c == p.m * p.c->row;
    if (a_joins && c_joins) {
      if (p.m == 1) {
        p.a.row = step_a;
        if (has_c) p.c->row = step_c;
      }
      p.m *= p.batch.size;
      Strides nothing;
      p.batch = collapse({}, {&nothing, &nothing, &nothing, &nothing, &nothing});
    }
  }
  return add_product(task, p, plan);
}

}  // namespace

bool takes_vectors(const array& x, std::initializer_list<int64_t> strides, const Strides* batch) {
  if (reinterpret_cast<uintptr_t>(x.address()) % (4 * x.itemsize()) != 0) return false;
  auto whole = [](int64_t s) { return s % 4 == 0; };
  return std::all_of(strides.begin(), strides.end(), whole) && (!batch || std::all_of(batch->begin(), batch->end(), whole));
}

MatrixOperand matrix_operand(const Task& task, size_t input) {
  const Strides& s = task.in[input].strides();
  return {.input = input, .row = s[s.size() - 2], .col = s[s.size() - 1]};
}

Strides leading_strides(const array& x, size_t n_inner) {
  return {x.strides().begin(), x.strides().end() - static_cast<long>(n_inner)};
}

GemmChoice choose_gemm(int64_t m, int64_t n, int64_t k, int64_t batch) {
  auto pieces = [&](const Tile& t) {
    return static_cast<int64_t>(ceil_div(static_cast<uint64_t>(m), static_cast<uint64_t>(t.bm)) * ceil_div(static_cast<uint64_t>(n), static_cast<uint64_t>(t.bn))) * batch;
  };
  if (m > kSmallTile.bm && n > kSmallTile.bn && pieces(kLargeTile) >= kManyPieces) return {kLargeTile, 1, static_cast<int>(k)};
  int64_t splits = std::clamp<int64_t>(std::min(kSplitPieces / pieces(kSmallTile), k / kLeastDepth), 1, kMostSplits);
  int64_t bk = kSmallTile.bk, each = splits == 1 ? k : (k / splits + bk - 1) / bk * bk;
  return {kSmallTile, static_cast<int>(splits == 1 ? 1 : (k + each - 1) / each), static_cast<int>(each)};
}

PieceGrid piece_grid(const Tile& tile, int64_t m, int64_t n) {
  PieceGrid g{};
  g.tiles_m = static_cast<int32_t>(ceil_div(static_cast<uint64_t>(m), static_cast<uint64_t>(tile.bm)));
  g.tiles_n = static_cast<int32_t>(ceil_div(static_cast<uint64_t>(n), static_cast<uint64_t>(tile.bn)));
  while (g.swizzle < kMostSwizzle && (1 << g.swizzle) < g.tiles_m) ++g.swizzle;
  g.across = static_cast<uint32_t>(g.tiles_n) << g.swizzle;
  g.down = static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(g.tiles_m), uint64_t(1) << g.swizzle));
  return g;
}

void add_sum_of_parts(const Task& task, uint16_t parts, int64_t batch, int64_t splits, int64_t m, int64_t n, Plan& plan) {
  Shape shape{batch};
  Strides none{0};
  MatrixProduct p{.m = m, .n = n, .k = 0, .a = {}, .b = {}, .batch = collapse(shape, {&none, &none, &none, &none, &none})};
  GemmParams g = gemm_params(p);
  g.splits = static_cast<int32_t>(splits);
  add_sum(p, g, parts, task.out[0].dtype(), plan);
}

bool add_product(const Task& task, const MatrixProduct& p, Plan& plan) {
  Dtype t = task.out[0].dtype();
  if (t == Dtype::float64 || !fits_inline(p.batch)) return false;
  if (!fits_int(p.m) || !fits_int(p.n) || !fits_int(p.k) || p.batch.size > std::numeric_limits<int32_t>::max() / kMostSplits) return false;
  if (!is_gpu_real(t)) {
    if (p.indices) return false;
    add_plain(task, p, plan);
  } else if (p.m == 1 || p.n == 1) {
    add_gemv(task, p, plan);
  } else {
    add_gemm(task, p, plan);
  }
  return true;
}

bool plan_matmul(const Task& task, Plan& plan) { return plan_product(task, 1, 0, plan); }

bool plan_addmm(const Task& task, Plan& plan) {
  const auto& p = task.params.get<AddmmParams>();
  return plan_product(task, p.alpha, p.beta, plan);
}

}  // namespace mx::metal

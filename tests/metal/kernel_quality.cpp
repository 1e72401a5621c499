// kernel_quality.cpp — prints docs/metal_kernels.md: what the Metal kernels cost, counted from their plans, beside the same
// figures for MLX's published kernels. Nothing is measured: `cmake --build <build> --target kernel_quality`, then run it.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "backend/metal/plan/attention.h"
#include "backend/metal/plan/matmul.h"
#include "ops/composite_params.h"
#include "ops/matmul_params.h"
#include "ops/reduce_params.h"

using namespace mx;
using namespace mx::metal;

namespace {

// An array without memory.
array unreal(Dtype t, const Shape& shape) {
  static uintptr_t address = 0;
  address += 1 << 20;
  return array::wrap(std::make_shared<Buffer>(reinterpret_cast<void*>(address), size_t(1) << 50), {t, shape}, 0, row_strides(shape));
}

double bytes_of(const array& x) { return static_cast<double>(x.n_bytes()); }

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, x >= 100 || x == static_cast<int64_t>(x) ? "%.0f" : "%.2f", x);
  return text;
}

void row(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& c : cells) line += " " + c + " |";
  std::puts(line.c_str());
}
void head(const std::vector<std::string>& cells) {
  row(cells);
  row(std::vector<std::string>(cells.size(), "---"));
}

// ---- products

// MLX's tiles: mlx/backend/metal/matmul.cpp; one buffer in threadgroup memory, two barriers a step: steel/gemm/gemm.h.
struct Published {
  Tile tile;
  int splits = 1;
};
size_t published_bytes(const Tile& t, size_t itemsize) {
  return itemsize * static_cast<size_t>(t.piece_elems(t.bm, itemsize) + t.piece_elems(t.bn, itemsize));
}

Published published(int64_t m, int64_t n, int64_t k, int64_t batch) {
  int64_t tm = m / 16, tn = n / 16, tk = k / 16;
  if (batch == 1 && tm * tn <= 32 && tk >= 8) {
    return {{m < 40 ? 16 : 32, n < 40 ? 16 : 32, 16, 2, 2}, tk < 16 ? 2 : tk < 32 ? 4 : tk < 64 ? 8 : 16};
  }
  if (m * n * batch >= 1 << 20) return {{64, 64, 16, 2, 2}};
  return {{32, 32, 16, 2, 2}};
}

// Bytes that threadgroups ask of device memory, over what there is to read and write once.
double traffic(const Tile& t, int splits, int64_t m, int64_t n, int64_t k, int64_t batch, size_t itemsize) {
  double across = static_cast<double>(ceil_div(uint64_t(n), uint64_t(t.bn))), down = static_cast<double>(ceil_div(uint64_t(m), uint64_t(t.bm)));
  double reads = across * static_cast<double>(m * k) + down * static_cast<double>(k * n), out = static_cast<double>(m * n);
  double moved = static_cast<double>(itemsize) * (reads + out) + (splits > 1 ? 8.0 * splits * out : 0);
  return static_cast<double>(batch) * moved / (static_cast<double>(batch) * static_cast<double>(itemsize) * static_cast<double>(m * k + k * n + m * n));
}

void product_row(const char* whose, const std::string& shape, Dtype t, const Tile& tile, int splits, double barriers, size_t bytes, int64_t m, int64_t n, int64_t k,
                 int64_t batch) {
  auto groups = static_cast<double>(ceil_div(uint64_t(m), uint64_t(tile.bm)) * ceil_div(uint64_t(n), uint64_t(tile.bn)) * uint64_t(batch) * uint64_t(splits));
  row({shape, std::string(name(t)), whose, cat(tile.name(), "x", tile.bk), cat(splits), cat(tile.threads()), cat(tile.accumulators()), number(tile.products_per_load()),
       number(barriers), cat(bytes), number(groups), number(traffic(tile, splits, m, n, k, batch, size_of(t)))});
}

void products() {
  std::puts(
      "## Products of matrices\n\n"
      "A step is 16 elements of the inner dimension. *Products a load*: multiplications of 8x8 matrices for each that a simdgroup reads from\n"
      "threadgroup memory. *Traffic*: what threadgroups ask of device memory, over reading both operands and writing the result once.\n");
  head({"batch, m, n, k", "dtype", "", "piece", "splits", "threads", "accumulators a thread", "products a load", "barriers a step", "threadgroup bytes", "threadgroups",
        "traffic"});
  struct Case {
    int64_t batch, m, n, k;
  };
  for (Dtype t : {Dtype::float32, Dtype::float16}) {
    for (const Case& c : {Case{1, 4096, 4096, 4096}, {1, 1024, 1024, 1024}, {1, 512, 4096, 4096}, {32, 256, 256, 64}, {1, 64, 64, 8192}, {1, 100, 300, 500}}) {
      GemmChoice ours = choose_gemm(c.m, c.n, c.k, c.batch);
      Published theirs = published(c.m, c.n, c.k, c.batch);
      std::string shape = cat(c.batch, ", ", c.m, ", ", c.n, ", ", c.k);
      product_row("ours", shape, t, ours.tile, ours.splits, kBarriersPerPiece * 16.0 / ours.tile.bk, ours.tile.threadgroup_bytes(size_of(t)), c.m, c.n, c.k, c.batch);
      product_row("MLX", shape, t, theirs.tile, theirs.splits, 2 * 16.0 / theirs.tile.bk, published_bytes(theirs.tile, size_of(t)), c.m, c.n, c.k, c.batch);
    }
  }
  std::puts(
      "\nOther pieces that MLX has compiled: 32x64x16 by 64 threads (32 accumulators, 2 products a load, 2 barriers a step) and 64x32x32 by 128\n"
      "threads (16 accumulators, 1.33 products a load, 1 barrier a step).\n"
      "Ours holds two pieces of each operand, so that the next is read while one is multiplied: twice the threadgroup memory for half of the\n"
      "barriers. Transposed operands are read where they lie in both.\n");
}

// ---- attention

void attention() {
  std::puts("## Attention\n\nA piece is some keys with their values, read once for all queries of a threadgroup. Queries, keys and values have `d` features.\n");
  head({"d", "dtype", "", "queries", "keys a piece", "threads", "output accumulators a thread", "barriers a piece", "threadgroup reads of queries a piece",
        "threadgroup bytes"});
  for (Dtype t : {Dtype::float32, Dtype::float16}) {
    for (int d : {64, 80, 128, 256}) {
      int most = d <= 64 ? 64 : d <= 128 ? 128 : 256, blocks = (d + 7) / 8;
      AttentionTile ours = attention_tile(most, size_of(t));
      row({cat(d), std::string(name(t)), "ours", cat(ours.queries()), cat(ours.keys), cat(ours.threads()), cat(blocks * 2), cat(kAttentionBarriers), "0",
           cat(ours.threadgroup_bytes(size_of(t), blocks, blocks))});
      if (d == 256) continue;
      int keys = d == 128 ? 16 : 32;
      row({cat(d), std::string(name(t)), "MLX", "32", cat(keys), "128", cat(blocks * 2), "4", cat(blocks, " matrices a simdgroup"),
           cat(size_of(t) * static_cast<size_t>(32 * d + keys * d))});
    }
  }
  std::puts(
      "\nMLX's figures are those of steel/attn/kernels/steel_attention.h and .metal, which hold queries in threadgroup memory and keys and values in\n"
      "turns in the same place. Ours holds queries in registers. Backward (ours only): three launches, no scores in memory.\n");
  head({"d", "dtype", "rows of a threadgroup", "rows that pass at a time", "threads", "threadgroup bytes", "products of positions by positions"});
  for (Dtype t : {Dtype::float32, Dtype::float16}) {
    for (int d : {64, 128}) {
      AttentionVjpTile v = attention_vjp_tile(d, size_of(t));
      row({cat(d), std::string(name(t)), cat(8 * v.simds), cat(v.pass), cat(v.simds * 32), cat(v.threadgroup_bytes(size_of(t), d / 8, d / 8)), "9"});
    }
  }
}

// ---- everything else, by its plan

void planned(const std::string& what, const Primitive& primitive, Params params, const Arrays& inputs) {
  Arrays outputs;
  for (const array& out : make_nodes(primitive, params, SmallVector<array, 3>(inputs.begin(), inputs.end()))) outputs.push_back(unreal(out.dtype(), out.shape()));
  Plan plan;
  Planner planner = find_planner(primitive);
  if (!planner || !planner({primitive, params, inputs, outputs}, plan)) return;
  double least = 0, temporary = 0;
  for (const array& x : inputs) least += bytes_of(x);
  for (const array& x : outputs) least += bytes_of(x);
  // What passes through memory in between is written and read.
  for (size_t n : plan.temporaries) temporary += 2 * static_cast<double>(n);
  std::string kernels, threads;
  for (const Launch& l : plan.launches) {
    kernels += (kernels.empty() ? "" : ", ") + l.kernel;
    threads += (threads.empty() ? "" : ", ") + cat(l.threads.count(), " by ", l.group.count());
  }
  row({what, kernels, threads, number((least + temporary) / least)});
}

void others() {
  std::puts("\n## Reductions and products with vectors\n\n*Traffic*: bytes of operands, results and temporaries moved, over those of operands and results.\n");
  head({"call", "launches", "threads by threadgroup", "traffic"});
  Dtype f = Dtype::float32;
  planned("sum of 16M", sum_p, ReduceParams{{0}}, {unreal(f, {1 << 24})});
  planned("sum of rows, 4096 x 4096", sum_p, ReduceParams{{1}}, {unreal(f, {4096, 4096})});
  planned("sum of columns, 4096 x 4096", sum_p, ReduceParams{{0}}, {unreal(f, {4096, 4096})});
  planned("sum of rows, 1M x 8", sum_p, ReduceParams{{1}}, {unreal(f, {1 << 20, 8})});
  planned("max of axis 1, 64 x 1024 x 64", max_p, ReduceParams{{1}}, {unreal(f, {64, 1024, 64})});
  planned("argmax of 16M", argmax_p, ArgReduceParams{0}, {unreal(f, {1 << 24})});
  planned("argmax of columns, 1M x 32", argmax_p, ArgReduceParams{0}, {unreal(f, {1 << 20, 32})});
  planned("4096 x 4096 by vector", matmul_p, Params(), {unreal(f, {4096, 4096}), unreal(f, {4096, 1})});
  planned("vector by 4096 x 4096", matmul_p, Params(), {unreal(f, {1, 4096}), unreal(f, {4096, 4096})});
  planned("vector by 14336 x 4096", matmul_p, Params(), {unreal(Dtype::float16, {1, 14336}), unreal(Dtype::float16, {14336, 4096})});
}

}  // namespace

int main() {
  std::puts(
      "# What the Metal kernels cost\n\n"
      "Counted from the plans (csrc/backend/metal/plan) by tests/metal/kernel_quality.cpp; nothing here was measured. MLX's figures are counted from its\n"
      "published sources (mlx/backend/metal/matmul.cpp, kernels/steel/gemm and kernels/steel/attn).\n");
  products();
  attention();
  others();
}

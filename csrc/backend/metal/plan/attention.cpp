// attention.cpp — attention: pieces of 32 queries; few queries have a threadgroup each, and if those are few, too, share the keys out
// between several. Features beyond 256 go a slow way; backward, beyond 128, to the CPU. Start at plan_attention().

#include "backend/metal/plan/attention.h"

#include <algorithm>
#include <limits>

#include "backend/metal/plan/matmul.h"
#include "ops/fast_params.h"

namespace mx::metal {

namespace {

// As in attention.h of the kernels.
struct Params {
  int64_t q_head, q_row, q_col, k_head, k_row, k_col, v_head, v_row, v_col;
  int64_t mask_head, mask_row, mask_col, sinks_head;
  int64_t ct_head, ct_row, ct_col;
  int32_t heads, key_heads, tq, tk, d, e;
  int32_t parts, each;
  float scale;
};

constexpr int kFewQueries = 8;          // Queries that have a threadgroup each.
constexpr int64_t kManyGroups = 64;     // Enough threadgroups to fill a GPU, about.
constexpr int64_t kLeastKeys = 256;     // Of a threadgroup, where keys are shared out.
constexpr int64_t kMostParts = 64;
constexpr uint32_t kFewThreads = 256;
constexpr int kMostFeatures = 8000;     // Of values: their sums lie in threadgroup memory.

int blocks(int64_t n) { return static_cast<int>((n + 7) / 8); }
int most_for(int64_t d, int64_t e) {
  int64_t n = std::max(d, e);
  return n <= 64 ? 64 : n <= 128 ? 128 : 256;
}

// What both directions bind and set.
struct Call {
  const Task& task;
  const fast::AttentionParams& p;
  Params params{};
  Layout batch;
  bool fits = true;
  size_t sinks, ct;

  Call(const Task& t, const fast::AttentionParams& of, bool vjp) : task(t), p(of), sinks(of.mask ? 4 : 3), ct(t.in.size() - 1) {
    const array &q = task.in[0], &k = task.in[1], &v = task.in[2];
    int64_t sizes[] = {q.shape(-3), k.shape(-3), q.shape(-2), k.shape(-2), q.shape(-1), v.shape(-1)};
    for (int64_t n : sizes) fits &= n < std::numeric_limits<int32_t>::max() / 2;
    if (!fits) return;
    params.heads = static_cast<int32_t>(sizes[0]);
    params.key_heads = static_cast<int32_t>(sizes[1]);
    params.tq = static_cast<int32_t>(sizes[2]);
    params.tk = static_cast<int32_t>(sizes[3]);
    params.d = static_cast<int32_t>(sizes[4]);
    params.e = static_cast<int32_t>(sizes[5]);
    params.parts = 1;
    params.each = params.tk;
    params.scale = static_cast<float>(p.scale);
    set(q, params.q_head, params.q_row, params.q_col);
    set(k, params.k_head, params.k_row, params.k_col);
    set(v, params.v_head, params.v_row, params.v_col);
    if (p.mask) set(task.in[3], params.mask_head, params.mask_row, params.mask_col);
    if (p.sinks) params.sinks_head = task.in[sinks].strides().back();
    if (vjp) set(task.in[ct], params.ct_head, params.ct_row, params.ct_col);

    size_t n = q.shape().size() - 3;
    Strides none(n, 0);
    auto leading = [&](bool present, size_t i, size_t inner) { return present ? leading_strides(task.in[i], inner) : none; };
    Strides strides[] = {leading(true, 0, 3),   leading(true, 1, 3), leading(true, 2, 3), leading(p.mask, 3, 3),
                         leading(p.sinks, sinks, 1), leading(vjp, ct, 3)};
    batch = collapse(Shape(q.shape().begin(), q.shape().begin() + static_cast<long>(n)),
                     {&strides[0], &strides[1], &strides[2], &strides[3], &strides[4], &strides[5]});
    fits = fits_inline(batch) && batch.size < std::numeric_limits<int32_t>::max();
  }

  // Constants and common bindings of the last launch.
  void bind(Plan& plan, bool vjp, bool with_sinks, bool of_mask = false, bool parts = false) const {
    plan.constant(0, p.causal);
    plan.constant(1, p.mask);
    plan.constant(2, p.mask && is_bool(task.in[3].dtype()));
    plan.constant(3, p.sinks && with_sinks);
    plan.constant(4, vectors(0, params.q_head, params.q_row, params.q_col, params.d));
    plan.constant(5, vectors(1, params.k_head, params.k_row, params.k_col, params.d));
    plan.constant(6, vectors(2, params.v_head, params.v_row, params.v_col, params.e));
    plan.constant(7, vjp && vectors(ct, params.ct_head, params.ct_row, params.ct_col, params.e));
    plan.constant(8, blocks(params.d));
    plan.constant(9, blocks(params.e));
    plan.constant(10, of_mask);
    plan.constant(11, parts);
    for (uint8_t i = 0; i < 3; ++i) plan.input(i, i);
    if (p.mask) plan.input(3, 3);
    if (p.sinks && with_sinks) plan.input(4, sinks);
    if (vjp) plan.input(8, ct);
    plan.value(6, params);
    plan.values(7, words(batch));
  }

  uint32_t examples() const { return static_cast<uint32_t>(batch.size); }

 private:
  static void set(const array& x, int64_t& head, int64_t& row, int64_t& col) {
    const Strides& s = x.strides();
    head = s[s.size() - 3];
    row = s[s.size() - 2];
    col = s[s.size() - 1];
  }
  bool vectors(size_t input, int64_t head, int64_t row, int64_t col, int64_t width) const {
    const Strides leading = leading_strides(task.in[input], 3);
    return col == 1 && width % 4 == 0 && takes_vectors(task.in[input], {head, row}, &leading);
  }
};

uint32_t groups_for(int64_t n, int each) { return static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(n), static_cast<uint64_t>(each))); }

}  // namespace

size_t AttentionTile::threadgroup_bytes(size_t itemsize, int blocks_d, int blocks_e) const {
  int d = Tile::padded(blocks_d * 8, itemsize), e = Tile::padded(blocks_e * 8, itemsize);
  return itemsize * static_cast<size_t>(std::max(keys * (d + e), queries() * d));
}

AttentionTile attention_tile(int most, size_t itemsize) {
  int keys = std::min(32, 8192 / (most * static_cast<int>(itemsize)));
  return {most, most == 256 && itemsize == 4 ? 2 : 4, keys};
}

size_t AttentionVjpTile::threadgroup_bytes(size_t itemsize, int blocks_d, int blocks_e) const {
  int d = Tile::padded(blocks_d * 8, itemsize), e = Tile::padded(blocks_e * 8, itemsize);
  return itemsize * static_cast<size_t>((8 * simds + pass) * (d + e));
}

AttentionVjpTile attention_vjp_tile(int most, size_t itemsize) {
  if (itemsize == 4) return most == 64 ? AttentionVjpTile{64, 4, 16} : AttentionVjpTile{128, 2, 8};
  return {most, 4, most == 64 ? 32 : 16};
}

bool plan_attention(const Task& task, Plan& plan) {
  Dtype t = task.out[0].dtype();
  if (task.out[0].size() == 0) return true;
  if (!is_gpu_real(t)) return false;
  Call call(task, task.params.get<fast::AttentionParams>(), false);
  Params& p = call.params;
  if (!call.fits || p.e > kMostFeatures) return false;
  auto heads = static_cast<uint32_t>(p.heads);
  int most = most_for(p.d, p.e);
  if (std::max(p.d, p.e) > most) {
    plan.launch(kernel_name("attention_any", t), {static_cast<uint32_t>(p.tq) * kSimdWidth, heads, call.examples()}, {kSimdWidth, 1, 1});
    call.bind(plan, false, true);
    plan.output(5);
    plan.threadgroup(0, sizeof(float) * static_cast<size_t>(p.e));
    return true;
  }
  if (p.tq > kFewQueries) {
    AttentionTile tile = attention_tile(most, size_of(t));
    plan.launch(kernel_name(cat("attention_", most), t), {groups_for(p.tq, tile.queries()) * tile.threads(), heads, call.examples()}, {tile.threads(), 1, 1});
    call.bind(plan, false, true);
    plan.output(5);
    plan.threadgroup(0, tile.threadgroup_bytes(size_of(t), blocks(p.d), blocks(p.e)));
    return true;
  }
  int64_t rows = call.batch.size * p.heads * p.tq;
  p.parts = static_cast<int32_t>(std::clamp<int64_t>(std::min(kManyGroups / rows, p.tk / kLeastKeys), 1, kMostParts));
  p.each = static_cast<int32_t>((p.tk + p.parts - 1) / p.parts);
  bool parts = p.parts > 1;
  uint16_t found = parts ? plan.temporary(sizeof(float) * static_cast<size_t>(rows * p.parts * (p.e + 2))) : 0;
  plan.launch(kernel_name(cat("attention_few_", most), t), {static_cast<uint32_t>(p.tq * p.parts) * kFewThreads, heads, call.examples()}, {kFewThreads, 1, 1});
  call.bind(plan, false, true, false, parts);
  plan.output(5);
  if (!parts) return true;
  plan.writes(8, found);
  plan.launch(kernel_name("attention_merge", t), {static_cast<uint32_t>(rows) * kSimdWidth, 1, 1}, {kSimdWidth, 1, 1});
  plan.reads(8, found);
  plan.output(5);
  plan.value(6, p);
  return true;
}

bool plan_attention_vjp(const Task& task, Plan& plan) {
  const auto& vjp = task.params.get<fast::AttentionVjpParams>();
  Dtype t = task.out[0].dtype();
  if (!is_gpu_real(t)) return false;
  Call call(task, vjp.of, true);
  const Params& p = call.params;
  // Without queries, keys or features there is next to nothing to do.
  if (!call.fits || std::max(p.d, p.e) > 128 || call.batch.size == 0) return false;
  for (int32_t n : {p.heads, p.key_heads, p.tq, p.tk, p.d, p.e}) {
    if (n == 0) return false;
  }
  AttentionVjpTile tile = attention_vjp_tile(most_for(p.d, p.e), size_of(t));
  uint32_t threads = static_cast<uint32_t>(tile.simds) * kSimdWidth;
  size_t bytes = tile.threadgroup_bytes(size_of(t), blocks(p.d), blocks(p.e));
  auto heads = static_cast<uint32_t>(p.heads);
  auto name = [&](const char* kernel) { return kernel_name(cat(kernel, tile.most), t); };
  int64_t rows = call.batch.size * p.heads * p.tq;
  uint16_t stats = plan.temporary(4 * sizeof(float) * static_cast<size_t>(rows));
  Size3 over_queries{groups_for(p.tq, 8 * tile.simds) * threads, heads, call.examples()};

  plan.launch(name("attention_stats_"), over_queries, {threads, 1, 1});
  call.bind(plan, true, true);
  plan.writes(9, stats);
  plan.threadgroup(0, bytes);

  plan.launch(name("attention_vjp_queries_"), over_queries, {threads, 1, 1});
  call.bind(plan, true, false, vjp.of_mask);
  plan.reads(9, stats);
  plan.output(10, 0);
  if (vjp.of_mask) plan.output(11, 3);
  plan.threadgroup(0, bytes);

  plan.launch(name("attention_vjp_keys_"), {groups_for(p.tk, 8 * tile.simds) * threads, static_cast<uint32_t>(p.key_heads), call.examples()}, {threads, 1, 1});
  call.bind(plan, true, false);
  plan.reads(9, stats);
  plan.output(10, 1);
  plan.output(11, 2);
  plan.threadgroup(0, bytes);

  if (!vjp.of_sinks) return true;
  plan.launch(kernel_name("attention_vjp_sinks", t), {static_cast<uint32_t>(call.batch.size * p.heads) * kSimdWidth, 1, 1}, {kSimdWidth, 1, 1});
  plan.reads(9, stats);
  plan.output(10, vjp.of_mask ? 4 : 3);
  plan.value(6, p);
  return true;
}

}  // namespace mx::metal

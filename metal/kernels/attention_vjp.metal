// attention_vjp.metal — attention, backward, with the weights made again from queries and keys. With w the weights and dw = ct vT,
// the scores' cotangents are ds = w (dw - <w, dw>).
//
// attention_stats finds for each query the largest score, one over the sum of exponentials, and <w, dw>. Then attention_vjp_queries
// goes through the keys for each query, attention_vjp_keys through the queries for each key: nothing is added up by
// atomics. attention_vjp_sinks sums what the sinks get. One side of the scores stays in threadgroup memory, 8 rows for each
// simdgroup; the other passes through it.

#include "attention.h"

struct RowStats {
  float top, inverse, mean, of_sink;
};

#define VJP_ARGUMENTS(T)                                               \
  device const T* q [[buffer(0)]],                                     \
  device const T* k [[buffer(1)]],                                     \
  device const T* v [[buffer(2)]],                                     \
  device const uchar* mask [[buffer(3), function_constant(kMask)]],    \
  constant AttentionParams& p [[buffer(6)]],                           \
  constant long* batch [[buffer(7)]],                                  \
  device const T* ct [[buffer(8)]],                                    \
  threadgroup T* shared [[threadgroup(0)]],                            \
  uint3 group [[threadgroup_position_in_grid]],                        \
  uint index [[thread_index_in_threadgroup]],                          \
  uint lane [[thread_index_in_simdgroup]],                             \
  uint simd [[simdgroup_index_in_threadgroup]]

// Rows that stay, and rows that pass: features of D and E blocks of each.
template <typename T, int STAY, int PASS>
struct Room {
  threadgroup T* stay_d;
  threadgroup T* stay_e;
  threadgroup T* pass_d;
  threadgroup T* pass_e;
};
template <typename T, int STAY, int PASS>
inline Room<T, STAY, PASS> room_in(threadgroup T* shared) {
  int d = padded<T>(kBlocksD * 8), e = padded<T>(kBlocksE * 8);
  Room<T, STAY, PASS> r = {shared, shared + STAY * d, shared + STAY * (d + e), shared + STAY * (d + e) + PASS * d};
  return r;
}

template <typename T, int MOST, int SIMDS, int PASS>
[[kernel]] void attention_stats(
    VJP_ARGUMENTS(T),
    device const T* sinks [[buffer(4), function_constant(kSinks)]],
    device RowStats* stats [[buffer(9)]]) {
  threadgroup int blind[SIMDS];
  int head = int(group.y), key_head = head / (p.heads / p.key_heads), first = int(group.x) * 8 * SIMDS;
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  int row = first + int(simd) * 8 + lane_place(lane).row, col = lane_place(lane).col;
  Room<T, 8 * SIMDS, PASS> room = room_in<T, 8 * SIMDS, PASS>(shared);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_d, q + at.at[kOfQ] + head * p.q_head + first * p.q_row, p.q_row, p.q_col, p.tq - first, p.d, kBlocksD,
                                      kVectorQ, index);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_e, ct + at.at[kOfCt] + head * p.ct_head + first * p.ct_row, p.ct_row, p.ct_col, p.tq - first, p.e,
                                      kBlocksE, kVectorCt, index);
  threadgroup const T* queries = room.stay_d + int(simd) * 8 * padded<T>(kBlocksD * 8);
  threadgroup const T* cts = room.stay_e + int(simd) * 8 * padded<T>(kBlocksE * 8);
  device const T* k_from = k + at.at[kOfK] + key_head * p.k_head;
  device const T* v_from = v + at.at[kOfV] + key_head * p.v_head;
  Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);
  float sink = kNothing;
  if (kSinks) sink = float(sinks[at.at[kOfSinks] + head * p.sinks_head]);
  float top = sink, total = sink == kNothing ? 0.0f : 1.0f, mean = 0.0f;

  int needed = min(p.tk, max(0, key_limit(min(first + 8 * SIMDS, p.tq) - 1, p)));
  for (int begin = 0; begin < p.tk; begin += PASS) {
    if (begin >= needed) {
      bool any = simd_any(row < p.tq && top <= kLowest);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      if (lane == 0) blind[simd] = any;
      threadgroup_barrier(mem_flags::mem_threadgroup);
      int count = 0;
      for (int s = 0; s < SIMDS; ++s) count += blind[s];
      if (count == 0) break;
      needed = p.tk;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_rows<T, PASS, 32 * SIMDS>(room.pass_d, k_from + begin * p.k_row, p.k_row, p.k_col, p.tk - begin, p.d, kBlocksD, kVectorK, index);
    load_rows<T, PASS, 32 * SIMDS>(room.pass_e, v_from + begin * p.v_row, p.v_row, p.v_col, p.tk - begin, p.e, kBlocksE, kVectorV, index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    Matrix8<float> s[PASS / 8], dw[PASS / 8];
    row_products<T, PASS / 8>(s, queries, room.pass_d, kBlocksD);
    row_products<T, PASS / 8>(dw, cts, room.pass_e, kBlocksE);
    float largest = kNothing;
    for (int j = 0; j < PASS / 8; ++j) {
      for (int c = 0; c < 2; ++c) {
        float x = scores.of(s[j].thread_elements()[c], row, begin + j * 8 + col + c, p);
        s[j].thread_elements()[c] = x;
        largest = max(largest, x);
      }
    }
    largest = max(top, row_max(largest));
    float factor = top == kNothing ? 0.0f : exp_of(top - largest), less = largest == kNothing ? 0.0f : largest, some = 0.0f, inner = 0.0f;
    top = largest;
    for (int j = 0; j < PASS / 8; ++j) {
      for (int c = 0; c < 2; ++c) {
        float x = exp_of(s[j].thread_elements()[c] - less);
        some += x;
        inner += x * dw[j].thread_elements()[c];
      }
    }
    total = total * factor + row_sum(some);
    mean = mean * factor + row_sum(inner);
  }
  if (row >= p.tq || col != 0) return;
  // A row of -inf has no weights.
  float inverse = total == 0.0f ? 0.0f : 1.0f / total;
  RowStats found = {top == kNothing ? 0.0f : top, inverse, mean * inverse, 0.0f};
  if (sink != kNothing) found.of_sink = exp_of(sink - top) * inverse * found.mean;
  stats[(long(group.z) * p.heads + head) * p.tq + row] = found;
}

// Weight of a score, and its cotangent.
struct WeightPair {
  float w, ds, dmask;
};
template <typename T>
inline WeightPair weight_pair(float product, float dw, RowStats row_stats, thread const Scores<T>& scores, int row, int key, constant AttentionParams& p) {
  WeightPair x = {0.0f, 0.0f, 0.0f};
  if (row >= p.tq || key >= p.tk) return x;
  x.w = exp_of(scores.of(product, row, key, p) - row_stats.top) * row_stats.inverse;
  x.dmask = x.w * (dw - row_stats.mean);
  // What is hidden is a constant; it has weight only where a row sees nothing.
  x.ds = scores.visible(row, key, p) ? x.dmask : 0.0f;
  return x;
}

template <typename T, int MOST, int SIMDS, int PASS>
[[kernel]] void attention_vjp_queries(
    VJP_ARGUMENTS(T),
    device const RowStats* stats [[buffer(9)]],
    device T* of_q [[buffer(10)]],
    device T* of_mask [[buffer(11), function_constant(kOfMask)]]) {
  int head = int(group.y), key_head = head / (p.heads / p.key_heads), first = int(group.x) * 8 * SIMDS;
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  int row = first + int(simd) * 8 + lane_place(lane).row, col = lane_place(lane).col;
  Room<T, 8 * SIMDS, PASS> room = room_in<T, 8 * SIMDS, PASS>(shared);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_d, q + at.at[kOfQ] + head * p.q_head + first * p.q_row, p.q_row, p.q_col, p.tq - first, p.d, kBlocksD,
                                      kVectorQ, index);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_e, ct + at.at[kOfCt] + head * p.ct_head + first * p.ct_row, p.ct_row, p.ct_col, p.tq - first, p.e,
                                      kBlocksE, kVectorCt, index);
  threadgroup const T* queries = room.stay_d + int(simd) * 8 * padded<T>(kBlocksD * 8);
  threadgroup const T* cts = room.stay_e + int(simd) * 8 * padded<T>(kBlocksE * 8);
  device const T* k_from = k + at.at[kOfK] + key_head * p.k_head;
  device const T* v_from = v + at.at[kOfV] + key_head * p.v_head;
  Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);
  long rows_before = (long(group.z) * p.heads + head) * p.tq;
  RowStats mine = {0.0f, 0.0f, 0.0f, 0.0f};
  if (row < p.tq) mine = stats[rows_before + row];
  Matrix8<float> sum[MOST / 8];
  for (int i = 0; i < MOST / 8; ++i) sum[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  // What is hidden gives no cotangent but that of the mask, which is written in full.
  int needed = kOfMask ? p.tk : min(p.tk, max(0, key_limit(min(first + 8 * SIMDS, p.tq) - 1, p)));
  for (int begin = 0; begin < needed; begin += PASS) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    load_rows<T, PASS, 32 * SIMDS>(room.pass_d, k_from + begin * p.k_row, p.k_row, p.k_col, p.tk - begin, p.d, kBlocksD, kVectorK, index);
    load_rows<T, PASS, 32 * SIMDS>(room.pass_e, v_from + begin * p.v_row, p.v_row, p.v_col, p.tk - begin, p.e, kBlocksE, kVectorV, index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    Matrix8<float> s[PASS / 8], dw[PASS / 8];
    row_products<T, PASS / 8>(s, queries, room.pass_d, kBlocksD);
    row_products<T, PASS / 8>(dw, cts, room.pass_e, kBlocksE);
    for (int j = 0; j < PASS / 8; ++j) {
      for (int c = 0; c < 2; ++c) {
        int key = begin + j * 8 + col + c;
        WeightPair x = weight_pair(s[j].thread_elements()[c], dw[j].thread_elements()[c], mine, scores, row, key, p);
        s[j].thread_elements()[c] = x.ds;
        if (kOfMask && row < p.tq && key < p.tk) of_mask[(rows_before + row) * p.tk + key] = T(x.dmask);
      }
    }
    weighted_rows<T, PASS / 8, MOST / 8>(sum, s, room.pass_d, kBlocksD);
  }
  int from = first + int(simd) * 8;
  write_rows<T, MOST / 8>(of_q + (rows_before + from) * p.d, sum, p.scale, p.tq - from, p.d, lane);
}

template <typename T, int MOST, int SIMDS, int PASS>
[[kernel]] void attention_vjp_keys(
    VJP_ARGUMENTS(T),
    device const RowStats* stats [[buffer(9)]],
    device T* of_k [[buffer(10)]],
    device T* of_v [[buffer(11)]]) {
  int key_head = int(group.y), shared_by = p.heads / p.key_heads, first = int(group.x) * 8 * SIMDS;
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  int key = first + int(simd) * 8 + lane_place(lane).row, col = lane_place(lane).col;
  Room<T, 8 * SIMDS, PASS> room = room_in<T, 8 * SIMDS, PASS>(shared);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_d, k + at.at[kOfK] + key_head * p.k_head + first * p.k_row, p.k_row, p.k_col, p.tk - first, p.d, kBlocksD,
                                      kVectorK, index);
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(room.stay_e, v + at.at[kOfV] + key_head * p.v_head + first * p.v_row, p.v_row, p.v_col, p.tk - first, p.e,
                                      kBlocksE, kVectorV, index);
  threadgroup const T* keys = room.stay_d + int(simd) * 8 * padded<T>(kBlocksD * 8);
  threadgroup const T* values = room.stay_e + int(simd) * 8 * padded<T>(kBlocksE * 8);
  Matrix8<float> sum_k[MOST / 8], sum_v[MOST / 8];
  for (int i = 0; i < MOST / 8; ++i) {
    sum_k[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    sum_v[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  for (int head = key_head * shared_by; head < (key_head + 1) * shared_by; ++head) {
    device const T* q_from = q + at.at[kOfQ] + head * p.q_head;
    device const T* ct_from = ct + at.at[kOfCt] + head * p.ct_head;
    Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);
    device const RowStats* of_head = stats + (long(group.z) * p.heads + head) * p.tq;
    for (int begin = 0; begin < p.tq; begin += PASS) {
      int rows = min(PASS, p.tq - begin);
      if (key_limit(begin + rows - 1, p) <= first) {
        // These queries come before all of the keys; those among them that see nothing have weights nevertheless.
        int l = int(lane);
        if (!simd_any(l < rows && of_head[begin + min(l, rows - 1)].top <= kLowest)) continue;
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      load_rows<T, PASS, 32 * SIMDS>(room.pass_d, q_from + begin * p.q_row, p.q_row, p.q_col, rows, p.d, kBlocksD, kVectorQ, index);
      load_rows<T, PASS, 32 * SIMDS>(room.pass_e, ct_from + begin * p.ct_row, p.ct_row, p.ct_col, rows, p.e, kBlocksE, kVectorCt, index);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      Matrix8<float> w[PASS / 8], ds[PASS / 8];
      row_products<T, PASS / 8>(w, keys, room.pass_d, kBlocksD);
      row_products<T, PASS / 8>(ds, values, room.pass_e, kBlocksE);
      for (int j = 0; j < PASS / 8; ++j) {
        for (int c = 0; c < 2; ++c) {
          int row = begin + j * 8 + col + c;
          RowStats of_row = of_head[min(row, p.tq - 1)];
          WeightPair x = weight_pair(w[j].thread_elements()[c], ds[j].thread_elements()[c], of_row, scores, row, key, p);
          w[j].thread_elements()[c] = x.w;
          ds[j].thread_elements()[c] = x.ds;
        }
      }
      weighted_rows<T, PASS / 8, MOST / 8>(sum_k, ds, room.pass_d, kBlocksD);
      weighted_rows<T, PASS / 8, MOST / 8>(sum_v, w, room.pass_e, kBlocksE);
    }
  }
  int from = first + int(simd) * 8;
  long before = (long(group.z) * p.key_heads + key_head) * p.tk + from;
  write_rows<T, MOST / 8>(of_k + before * p.d, sum_k, p.scale, p.tk - from, p.d, lane);
  write_rows<T, MOST / 8>(of_v + before * p.e, sum_v, 1.0f, p.tk - from, p.e, lane);
}

// x: threads of a head of an example.
template <typename T>
[[kernel]] void attention_vjp_sinks(
    device const RowStats* stats [[buffer(9)]],
    device T* of_sinks [[buffer(10)]],
    constant AttentionParams& p [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  float sum = 0.0f;
  for (int row = int(lane); row < p.tq; row += 32) sum += stats[long(group.x) * p.tq + row].of_sink;
  sum = simd_sum(sum);
  if (lane == 0) of_sinks[group.x] = T(-sum);
}

#define VJPS(T, name, most, simds, pass)                                                                  \
  INSTANTIATE("attention_stats_" #most "_" name, attention_stats, T, most, simds, pass)                   \
  INSTANTIATE("attention_vjp_queries_" #most "_" name, attention_vjp_queries, T, most, simds, pass)       \
  INSTANTIATE("attention_vjp_keys_" #most "_" name, attention_vjp_keys, T, most, simds, pass)
VJPS(float, "float32", 64, 4, 16)
VJPS(float, "float32", 128, 2, 8)
VJPS(half, "float16", 64, 4, 32)
VJPS(half, "float16", 128, 4, 16)
VJPS(bfloat, "bfloat16", 64, 4, 32)
VJPS(bfloat, "bfloat16", 128, 4, 16)

INSTANTIATE("attention_vjp_sinks_float32", attention_vjp_sinks, float)
INSTANTIATE("attention_vjp_sinks_float16", attention_vjp_sinks, half)
INSTANTIATE("attention_vjp_sinks_bfloat16", attention_vjp_sinks, bfloat)

// attention.metal — attention, forward: softmax(scale q kT + mask) v without ever holding all scores. Each row keeps its largest score,
// the sum of exponentials and the weighted values on that scale, and rescales them when a larger score comes.
//
// attention: 8 queries a simdgroup, 32 a threadgroup; keys and values come in pieces through threadgroup memory. attention_few: one
// query a threadgroup, whose simdgroups take keys in turn; with kParts, keys are shared out between threadgroups too,
// and attention_merge joins what they found. attention_any: one simdgroup a query, any number of features.

#include "attention.h"

#define ATTENTION_ARGUMENTS(T)                                         \
  device const T* q [[buffer(0)]],                                     \
  device const T* k [[buffer(1)]],                                     \
  device const T* v [[buffer(2)]],                                     \
  device const uchar* mask [[buffer(3), function_constant(kMask)]],    \
  device const T* sinks [[buffer(4), function_constant(kSinks)]],      \
  device T* out [[buffer(5)]],                                         \
  constant AttentionParams& p [[buffer(6)]],                           \
  constant long* batch [[buffer(7)]]

constexpr constant int kFewSimds = 8;     // Of a threadgroup, for few queries.

// MOST: features at most. SIMDS: of a threadgroup, 8 queries each. BK: keys at a time.
template <typename T, int MOST, int SIMDS, int BK>
[[kernel]] void attention(
    ATTENTION_ARGUMENTS(T),
    threadgroup T* shared [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup int blind[SIMDS];
  int head = int(group.y), key_head = head / (p.heads / p.key_heads), first = int(group.x) * 8 * SIMDS;
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  int ld = padded<T>(kBlocksD * 8), row = first + int(simd) * 8 + lane_place(lane).row, col = lane_place(lane).col;
  threadgroup T* keys = shared;
  threadgroup T* values = shared + BK * ld;
  device const T* k_from = k + at.at[kOfK] + key_head * p.k_head;
  device const T* v_from = v + at.at[kOfV] + key_head * p.v_head;
  Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);

  // Queries pass through the same memory.
  load_rows<T, 8 * SIMDS, 32 * SIMDS>(shared, q + at.at[kOfQ] + head * p.q_head + first * p.q_row, p.q_row, p.q_col, p.tq - first, p.d, kBlocksD,
                                        kVectorQ, index);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  Matrix8<T> queries[MOST / 8];
  Matrix8<float> sum[MOST / 8];
  for (int i = 0; i < MOST / 8; ++i) {
    if (i < kBlocksD) simdgroup_load(queries[i], shared + int(simd) * 8 * ld + i * 8, ld);
    sum[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  float top = kNothing, total = 0.0f;
  if (kSinks) {
    top = float(sinks[at.at[kOfSinks] + head * p.sinks_head]);
    total = top == kNothing ? 0.0f : 1.0f;
  }

  int needed = min(p.tk, max(0, key_limit(min(first + 8 * SIMDS, p.tq) - 1, p)));
  for (int begin = 0; begin < p.tk; begin += BK) {
    if (begin >= needed) {
      // A query that saw nothing takes the mean of all values.
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
    load_rows<T, BK, 32 * SIMDS>(keys, k_from + begin * p.k_row, p.k_row, p.k_col, p.tk - begin, p.d, kBlocksD, kVectorK, index);
    load_rows<T, BK, 32 * SIMDS>(values, v_from + begin * p.v_row, p.v_row, p.v_col, p.tk - begin, p.e, kBlocksE, kVectorV, index);
    threadgroup_barrier(mem_flags::mem_threadgroup);

    Matrix8<float> s[BK / 8];
    for (int j = 0; j < BK / 8; ++j) s[j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    for (int i = 0; i < MOST / 8; ++i) {
      if (i >= kBlocksD) continue;
      for (int j = 0; j < BK / 8; ++j) {
        Matrix8<T> b;
        simdgroup_load(b, keys + j * 8 * ld + i * 8, ld, ulong2(0, 0), true);
        simdgroup_multiply_accumulate(s[j], queries[i], b, s[j]);
      }
    }
    float largest = kNothing;
    for (int j = 0; j < BK / 8; ++j) {
      for (int c = 0; c < 2; ++c) {
        float x = scores.of(s[j].thread_elements()[c], row, begin + j * 8 + col + c, p);
        s[j].thread_elements()[c] = x;
        largest = max(largest, x);
      }
    }
    largest = max(top, row_max(largest));
    float factor = top == kNothing ? 0.0f : exp_of(top - largest), less = largest == kNothing ? 0.0f : largest, some = 0.0f;
    top = largest;
    for (int j = 0; j < BK / 8; ++j) {
      for (int c = 0; c < 2; ++c) {
        float x = exp_of(s[j].thread_elements()[c] - less);
        s[j].thread_elements()[c] = x;
        some += x;
      }
    }
    total = total * factor + row_sum(some);
    for (int i = 0; i < MOST / 8; ++i) {
      sum[i].thread_elements()[0] *= factor;
      sum[i].thread_elements()[1] *= factor;
    }
    weighted_rows<T, BK / 8, MOST / 8>(sum, s, values, kBlocksE);
  }
  int mine = first + int(simd) * 8;
  device T* to = out + ((long(group.z) * p.heads + head) * p.tq + mine) * p.e;
  write_rows<T, MOST / 8>(to, sum, p.tk == 0 && !kSinks ? 0.0f : 1.0f / total, p.tq - mine, p.e, lane);
}

// ---- few queries

// What is known of some keys: lane l has features l, l + 32, ...
template <int EACH>
struct Found {
  float top, total;
  float sum[EACH];

  // Takes in another one; its sums come one by one.
  void scale_to(float other) thread {
    float most = max(top, other), factor = top == kNothing ? 0.0f : exp_of(top - most);
    total *= factor;
    for (int i = 0; i < EACH; ++i) sum[i] *= factor;
    top = most;
  }
};

// x: threads of query and part; y: heads; z: batch.
template <typename T, int MOST>
[[kernel]] void attention_few(
    ATTENTION_ARGUMENTS(T),
    device float* found [[buffer(8), function_constant(kParts)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]]) {
  constexpr int EACH = MOST / 32;
  threadgroup float tops[kFewSimds];
  threadgroup float totals[kFewSimds];
  threadgroup float sums[kFewSimds][MOST];
  int head = int(group.y), key_head = head / (p.heads / p.key_heads), row = int(group.x) / p.parts, part = int(group.x) % p.parts;
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  device const T* k_from = k + at.at[kOfK] + key_head * p.k_head;
  device const T* v_from = v + at.at[kOfV] + key_head * p.v_head;
  Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);
  float query[EACH];
  Found<EACH> mine;
  mine.top = kNothing;
  mine.total = 0.0f;
  for (int i = 0; i < EACH; ++i) {
    int f = int(lane) + i * 32;
    query[i] = f < p.d ? float(q[at.at[kOfQ] + head * p.q_head + row * p.q_row + f * p.q_col]) : 0.0f;
    mine.sum[i] = 0.0f;
  }
  // Later keys count only for a query that sees nothing, which without a mask is known beforehand.
  int limit = key_limit(row, p), end = min(p.tk, (part + 1) * p.each);
  if (kCausal && !kMask && limit > 0) end = min(end, limit);
  for (int key = part * p.each + int(simd); key < end; key += kFewSimds) {
    float x = 0.0f;
    if (scores.visible(row, key, p)) {
      for (int i = 0; i < EACH; ++i) {
        int f = int(lane) + i * 32;
        if (f < p.d) x += query[i] * float(k_from[key * p.k_row + f * p.k_col]);
      }
      x = simd_sum(x);
    }
    x = scores.of(x, row, key, p);
    mine.scale_to(x);
    float weight = x == kNothing ? 0.0f : exp_of(x - mine.top);
    mine.total += weight;
    for (int i = 0; i < EACH; ++i) {
      int f = int(lane) + i * 32;
      if (f < p.e) mine.sum[i] += weight * float(v_from[key * p.v_row + f * p.v_col]);
    }
  }
  if (lane == 0) {
    tops[simd] = mine.top;
    totals[simd] = mine.total;
  }
  for (int i = 0; i < EACH; ++i) sums[simd][lane + i * 32] = mine.sum[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (simd > 0) return;
  float sink = kNothing;
  if (kSinks) {
    if (part == 0) sink = float(sinks[at.at[kOfSinks] + head * p.sinks_head]);
  }
  if (sink != kNothing) {
    mine.scale_to(sink);
    mine.total += exp_of(sink - mine.top);
  }
  for (int s = 1; s < kFewSimds; ++s) {
    float top = tops[s];
    mine.scale_to(top);
    float factor = top == kNothing ? 0.0f : exp_of(top - mine.top);
    mine.total += totals[s] * factor;
    for (int i = 0; i < EACH; ++i) mine.sum[i] += sums[s][lane + i * 32] * factor;
  }
  long to = (long(group.z) * p.heads + head) * p.tq + row;
  if (kParts) {
    device float* place = found + (to * p.parts + part) * (p.e + 2);
    if (lane == 0) {
      place[0] = mine.top;
      place[1] = mine.total;
    }
    for (int f = int(lane), i = 0; f < p.e; f += 32) place[2 + f] = mine.sum[i++];
    return;
  }
  float factor = p.tk == 0 && !kSinks ? 0.0f : 1.0f / mine.total;
  for (int f = int(lane), i = 0; f < p.e; f += 32) out[to * p.e + f] = T(mine.sum[i++] * factor);
}

// x: threads of a query.
template <typename T>
[[kernel]] void attention_merge(
    device const float* found [[buffer(8)]],
    device T* out [[buffer(5)]],
    constant AttentionParams& p [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  device const float* from = found + long(group.x) * p.parts * (p.e + 2);
  float top = kNothing, total = 0.0f;
  for (int s = 0; s < p.parts; ++s) top = max(top, from[s * (p.e + 2)]);
  for (int s = 0; s < p.parts; ++s) {
    device const float* part = from + s * (p.e + 2);
    total += part[0] == kNothing ? 0.0f : part[1] * exp_of(part[0] - top);
  }
  for (int f = int(lane); f < p.e; f += 32) {
    float sum = 0.0f;
    for (int s = 0; s < p.parts; ++s) {
      device const float* part = from + s * (p.e + 2);
      if (part[0] != kNothing) sum += part[2 + f] * exp_of(part[0] - top);
    }
    out[long(group.x) * p.e + f] = T(sum / total);
  }
}

// ---- any number of features

// `sums`: one for each feature of the values.
template <typename T>
[[kernel]] void attention_any(
    ATTENTION_ARGUMENTS(T),
    threadgroup float* sums [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  int head = int(group.y), key_head = head / (p.heads / p.key_heads), row = int(group.x);
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);
  device const T* query = q + at.at[kOfQ] + head * p.q_head + row * p.q_row;
  device const T* k_from = k + at.at[kOfK] + key_head * p.k_head;
  device const T* v_from = v + at.at[kOfV] + key_head * p.v_head;
  Scores<T> scores = scores_of<T>(mask, at.at[kOfTheMask], head, p);
  float top = kNothing, total = 0.0f;
  if (kSinks) {
    top = float(sinks[at.at[kOfSinks] + head * p.sinks_head]);
    total = top == kNothing ? 0.0f : 1.0f;
  }
  // Each lane keeps to its own features.
  for (int f = int(lane); f < p.e; f += 32) sums[f] = 0.0f;
  int limit = key_limit(row, p), end = kCausal && !kMask && limit > 0 ? min(p.tk, limit) : p.tk;
  for (int key = 0; key < end; ++key) {
    float x = 0.0f;
    if (scores.visible(row, key, p)) {
      for (int f = int(lane); f < p.d; f += 32) x += float(query[f * p.q_col]) * float(k_from[key * p.k_row + f * p.k_col]);
      x = simd_sum(x);
    }
    x = scores.of(x, row, key, p);
    float most = max(top, x), factor = top == kNothing ? 0.0f : exp_of(top - most), weight = x == kNothing ? 0.0f : exp_of(x - most);
    top = most;
    total = total * factor + weight;
    for (int f = int(lane); f < p.e; f += 32) sums[f] = sums[f] * factor + weight * float(v_from[key * p.v_row + f * p.v_col]);
  }
  long to = ((long(group.z) * p.heads + head) * p.tq + row) * p.e;
  float factor = p.tk == 0 && !kSinks ? 0.0f : 1.0f / total;
  for (int f = int(lane); f < p.e; f += 32) out[to + f] = T(sums[f] * factor);
}

#define ATTENTIONS(T, name, keys_64, keys_128, simds_256, keys_256)               \
  INSTANTIATE("attention_64_" name, attention, T, 64, 4, keys_64)          \
  INSTANTIATE("attention_128_" name, attention, T, 128, 4, keys_128)       \
  INSTANTIATE("attention_256_" name, attention, T, 256, simds_256, keys_256)       \
  INSTANTIATE("attention_few_64_" name, attention_few, T, 64)           \
  INSTANTIATE("attention_few_128_" name, attention_few, T, 128)         \
  INSTANTIATE("attention_few_256_" name, attention_few, T, 256)         \
  INSTANTIATE("attention_merge_" name, attention_merge, T)              \
  INSTANTIATE("attention_any_" name, attention_any, T)
ATTENTIONS(float, "float32", 32, 16, 2, 8)
ATTENTIONS(half, "float16", 32, 32, 4, 16)
ATTENTIONS(bfloat, "bfloat16", 32, 32, 4, 16)

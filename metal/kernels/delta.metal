// delta.metal — the gated delta rule, forward and backward. With S the state of a head (e, d), a step is
//
//   A = gamma S,  x = beta (v - A k),  S' = A + x kT,  y = S' q.
//
// Rows of S are independent: a simdgroup takes one, its lanes features l, l + 32, ... Backward, a threadgroup takes a head and goes
// through its rows, some at a time: states are made again and kept in memory, then walked back; what belongs to queries,
// keys and gates is summed over the rows in order. Planned by backend/metal/plan/delta.cpp.

#include "elements.h"
#include "strided.h"

constant bool kMasked [[function_constant(0)]];
constant int kEach [[function_constant(1)]];  // Features of a lane.

constexpr constant int kMostEach = 8;
constexpr constant int kForwardRows = 4;        // Of a threadgroup,
constexpr constant int kRows = 8;               // and backward.

struct DeltaParams {
  long q[3], k[3], v[3], gamma[3], dy[3];       // Strides of time, head and feature,
  long beta[2], mask_time;
  long state[3], dstate[3];                     // of head, row and feature.
  int steps, key_heads, heads, d, e;
};

enum DeltaOperand : int { kQ, kK, kV, kGamma, kBeta, kState, kMask, kDy, kDstate, kOperands };

#define DELTA_ARGUMENTS                                                \
  device const float* q [[buffer(0)]],                                 \
  device const float* k [[buffer(1)]],                                 \
  device const float* v [[buffer(2)]],                                 \
  device const float* gamma [[buffer(3)]],                             \
  device const float* beta [[buffer(4)]],                              \
  device const float* state [[buffer(5)]],                             \
  device const uchar* mask [[buffer(6), function_constant(kMasked)]],  \
  constant DeltaParams& p [[buffer(7)]],                               \
  constant long* batch [[buffer(8)]],                                  \
  uint3 group [[threadgroup_position_in_grid]],                        \
  uint lane [[thread_index_in_simdgroup]],                             \
  uint simd [[simdgroup_index_in_threadgroup]]

// What the head of an example reads.
struct HeadInputs {
  device const float* q;
  device const float* k;
  device const float* v;
  device const float* gamma;
  device const float* beta;
  device const uchar* mask;

  bool counts(int t, constant DeltaParams& p) const thread {
    if (kMasked) return mask[t * p.mask_time] != 0;
    return true;
  }
};
#define HEAD_INPUTS                                                                                                        \
  Offsets<kOperands> at = element_offsets<kOperands>(batch, group.z);                                                      \
  int head = int(group.y), key_head = head / (p.heads / p.key_heads);                                                      \
  HeadInputs in;                                                                                                           \
  in.q = q + at.at[kQ] + key_head * p.q[1];                                                                                \
  in.k = k + at.at[kK] + key_head * p.k[1];                                                                                \
  in.v = v + at.at[kV] + head * p.v[1];                                                                                    \
  in.gamma = gamma + at.at[kGamma] + head * p.gamma[1];                                                                    \
  in.beta = beta + at.at[kBeta] + head * p.beta[1];                                                                        \
  if (kMasked) in.mask = mask + at.at[kMask];

// Feature i of the lane, or 0.
inline float feature(device const float* from, long stride, int f, int d) { return f < d ? from[f * stride] : 0.0f; }

// x: threads of rows; y: heads; z: batch.
[[kernel]] void delta(
    DELTA_ARGUMENTS,
    device float* y [[buffer(9)]],
    device float* last [[buffer(10)]]) {
  HEAD_INPUTS
  int row = int(group.x) * kForwardRows + int(simd);
  if (row >= p.e) return;
  float s[kMostEach];
  device const float* from = state + at.at[kState] + head * p.state[0] + row * p.state[1];
  for (int i = 0; i < kEach; ++i) s[i] = feature(from, p.state[2], int(lane) + i * 32, p.d);
  for (int t = 0; t < p.steps; ++t) {
    long to = ((long(group.z) * p.steps + t) * p.heads + head) * p.e + row;
    if (!in.counts(t, p)) {
      if (lane == 0) y[to] = 0.0f;
      continue;
    }
    float key[kMostEach], inner = 0.0f, out = 0.0f;
    for (int i = 0; i < kEach; ++i) {
      int f = int(lane) + i * 32;
      key[i] = feature(in.k + t * p.k[0], p.k[2], f, p.d);
      s[i] *= feature(in.gamma + t * p.gamma[0], p.gamma[2], f, p.d);
      inner += s[i] * key[i];
    }
    float x = in.beta[t * p.beta[0]] * (in.v[t * p.v[0] + row * p.v[2]] - simd_sum(inner));
    for (int i = 0; i < kEach; ++i) {
      s[i] += x * key[i];
      out += s[i] * feature(in.q + t * p.q[0], p.q[2], int(lane) + i * 32, p.d);
    }
    out = simd_sum(out);
    if (lane == 0) y[to] = out;
  }
  device float* to = last + ((long(group.z) * p.heads + head) * p.e + row) * p.d;
  for (int i = 0; i < kEach; ++i) {
    int f = int(lane) + i * 32;
    if (f < p.d) to[f] = s[i];
  }
}

// One threadgroup a head. `states`: of kRows rows at all steps, for each head. of_q and of_k: for each head, too.
[[kernel]] void delta_vjp(
    DELTA_ARGUMENTS,
    device const float* dy [[buffer(9)]],
    device const float* dstate [[buffer(10)]],
    device float* states [[buffer(11)]],
    device float* of_q [[buffer(12)]],
    device float* of_k [[buffer(13)]],
    device float* of_v [[buffer(14)]],
    device float* of_gamma [[buffer(15)]],
    device float* of_beta [[buffer(16)]],
    device float* of_state [[buffer(17)]],
    uint index [[thread_index_in_threadgroup]]) {
  threadgroup float parts[3][kRows][kMostEach * 32];
  threadgroup float beta_parts[kRows];
  HEAD_INPUTS
  long number = long(group.z) * p.heads + head;
  device const float* in_dy = dy + at.at[kDy] + head * p.dy[1];
  device float* kept = states + (number * kRows + simd) * p.steps * p.d;
  for (int first = 0; first < p.e; first += kRows) {
    int row = first + int(simd);
    bool exists = row < p.e;
    float s[kMostEach], ds[kMostEach];
    device const float* from = state + at.at[kState] + head * p.state[0] + row * p.state[1];
    device const float* from_ds = dstate + at.at[kDstate] + head * p.dstate[0] + row * p.dstate[1];
    for (int i = 0; i < kEach; ++i) {
      int f = int(lane) + i * 32;
      s[i] = exists ? feature(from, p.state[2], f, p.d) : 0.0f;
      ds[i] = exists ? feature(from_ds, p.dstate[2], f, p.d) : 0.0f;
    }
    for (int t = 0; t < p.steps && exists; ++t) {
      float key[kMostEach], inner = 0.0f;
      for (int i = 0; i < kEach; ++i) {
        int f = int(lane) + i * 32;
        if (f < p.d) kept[long(t) * p.d + f] = s[i];
      }
      if (!in.counts(t, p)) continue;
      for (int i = 0; i < kEach; ++i) {
        int f = int(lane) + i * 32;
        key[i] = feature(in.k + t * p.k[0], p.k[2], f, p.d);
        s[i] *= feature(in.gamma + t * p.gamma[0], p.gamma[2], f, p.d);
        inner += s[i] * key[i];
      }
      float x = in.beta[t * p.beta[0]] * (in.v[t * p.v[0] + row * p.v[2]] - simd_sum(inner));
      for (int i = 0; i < kEach; ++i) s[i] += x * key[i];
    }
    for (int t = p.steps - 1; t >= 0; --t) {
      long step = (long(group.z) * p.steps + t) * p.heads + head;
      bool counts = in.counts(t, p);
      float key[kMostEach], before[kMostEach], gate[kMostEach], inner = 0.0f, of_x = 0.0f;
      float dy_t = 0.0f, beta_t = 0.0f, error = 0.0f;
      if (counts && exists) {
        dy_t = in_dy[t * p.dy[0] + row * p.dy[2]];
        beta_t = in.beta[t * p.beta[0]];
        for (int i = 0; i < kEach; ++i) {
          int f = int(lane) + i * 32;
          key[i] = feature(in.k + t * p.k[0], p.k[2], f, p.d);
          gate[i] = feature(in.gamma + t * p.gamma[0], p.gamma[2], f, p.d);
          before[i] = feature(kept + long(t) * p.d, 1, f, p.d);
          inner += gate[i] * before[i] * key[i];
          ds[i] += dy_t * feature(in.q + t * p.q[0], p.q[2], f, p.d);
          of_x += ds[i] * key[i];
        }
        error = in.v[t * p.v[0] + row * p.v[2]] - simd_sum(inner);
        of_x = simd_sum(of_x);
      }
      float x = beta_t * error, of_error = beta_t * of_x;
      for (int i = 0; i < kEach; ++i) {
        int f = int(lane) + i * 32;
        float of_query = 0.0f, of_key = 0.0f, of_gate = 0.0f;
        if (counts && exists) {
          float a = gate[i] * before[i], da = ds[i] - of_error * key[i];
          of_query = dy_t * (a + x * key[i]);
          of_key = x * ds[i] - of_error * a;
          of_gate = da * before[i];
          ds[i] = gate[i] * da;
        }
        parts[0][simd][f] = of_query;
        parts[1][simd][f] = of_key;
        parts[2][simd][f] = of_gate;
      }
      if (lane == 0) {
        beta_parts[simd] = of_x * error;
        if (exists) of_v[step * p.e + row] = of_error;
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      if (int(index) < p.d) {
        float sums[3] = {0.0f, 0.0f, 0.0f};
        for (int r = 0; r < kRows; ++r) {
          for (int part = 0; part < 3; ++part) sums[part] += parts[part][r][index];
        }
        long to = step * p.d + index;
        of_q[to] = first == 0 ? sums[0] : of_q[to] + sums[0];
        of_k[to] = first == 0 ? sums[1] : of_k[to] + sums[1];
        of_gamma[to] = first == 0 ? sums[2] : of_gamma[to] + sums[2];
      }
      if (index == 0) {
        float sum = 0.0f;
        for (int r = 0; r < kRows; ++r) sum += beta_parts[r];
        of_beta[step] = first == 0 ? sum : of_beta[step] + sum;
      }
      threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    for (int i = 0; i < kEach; ++i) {
      int f = int(lane) + i * 32;
      if (exists && f < p.d) of_state[(number * p.e + row) * p.d + f] = ds[i];
    }
  }
}

// Sums over the heads that share a key head. x: features, y: key heads, z: steps of all examples.
[[kernel]] void delta_fold(
    device const float* each [[buffer(0)]],
    device float* out [[buffer(1)]],
    constant DeltaParams& p [[buffer(7)]],
    uint3 t [[thread_position_in_grid]]) {
  int shared_by = p.heads / p.key_heads;
  device const float* from = each + (long(t.z) * p.heads + long(t.y) * shared_by) * p.d + t.x;
  float sum = 0.0f;
  for (int h = 0; h < shared_by; ++h) sum += from[long(h) * p.d];
  out[(long(t.z) * p.key_heads + t.y) * p.d + t.x] = sum;
}

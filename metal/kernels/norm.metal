// norm.metal — rms_norm and layer_norm over the last axis: norm_<dtype>, and backward norm_vjp_<dtype> and norm_sums_<dtype>. The
// arithmetic is that of backend/cpu/norm_rows.inl in float32. plan/norm.cpp launches these.

#include "lanes.h"
#include "strided.h"

constant bool centred [[function_constant(0)]];
constant bool has_weight [[function_constant(1)]];
constant bool has_bias [[function_constant(2)]];
constant bool of_weight [[function_constant(3)]];  // Backward: the cotangents that are asked for.
constant bool of_bias [[function_constant(4)]];
constant bool of_either [[function_constant(5)]];

struct Rows {
  ulong n_rows, length, n_groups;
  long steps[4];  // Along a row: of x, of the cotangent, of the weight, of the bias.
  ulong chunk;    // Rows that are summed apart.
  float eps;
  uint width;
};

// What a row's elements are normalised by: (x - mean) * scale.
struct Moments {
  float mean, scale;
};

template <class T>
inline Moments moments(device const T* x, constant Rows& rows, Team team, bool works, threadgroup float* scratch) {
  float mean = 0.0f, count = float(rows.length), square = 0.0f;
  ulong begin = works ? team.lane : rows.length;
  long step = rows.steps[0];
  if (centred) {
    float sum = 0.0f, rest = 0.0f;
    for (ulong i = begin; i < rows.length; i += team.width) sum += float(x[long(i) * step]);
    mean = combine_team<AddOp>(sum, team, scratch) / count;
    // What the rounding of the mean left out, so that equal elements less their mean are zero.
    for (ulong i = begin; i < rows.length; i += team.width) {
      float left = float(x[long(i) * step]) - mean;
      rest += left;
      square += left * left;
    }
    rest = combine_team<AddOp>(rest, team, scratch) / count;
    square = combine_team<AddOp>(square, team, scratch) / count - rest * rest;
    mean += rest;
    if (square < 0.0f) square = 0.0f;
  } else {
    for (ulong i = begin; i < rows.length; i += team.width) {
      float v = float(x[long(i) * step]);
      square += v * v;
    }
    square = combine_team<AddOp>(square, team, scratch) / count;
  }
  Moments m = {mean, 1.0f / metal::sqrt(square + rows.eps)};
  return m;
}

template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(1024)]] void norm(
    device const T* in [[buffer(0)]],
    device const T* weight [[buffer(1), function_constant(has_weight)]],
    device const T* bias [[buffer(2), function_constant(has_bias)]],
    device T* out [[buffer(3)]],
    constant Rows& rows [[buffer(4)]],
    constant long* layout [[buffer(5)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  Team team = make_team(false, rows.width, g, tid);
  bool works = team.row < rows.n_rows;
  device const T* x = in + (works ? element_offsets<1>(layout, team.row).at[0] : 0);
  Moments m = moments(x, rows, team, works, scratch);
  if (!works) return;
  for (ulong i = team.lane; i < rows.length; i += team.width) {
    float y = (float(x[long(i) * rows.steps[0]]) - m.mean) * m.scale;
    if (has_weight) y *= float(weight[long(i) * rows.steps[2]]);
    if (has_bias) y += float(bias[long(i) * rows.steps[3]]);
    out[team.row * rows.length + i] = T(y);
  }
}

template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(1024)]] void norm_vjp(
    device const T* in [[buffer(0)]],
    device const T* ct [[buffer(1)]],
    device const T* weight [[buffer(2), function_constant(has_weight)]],
    device T* dx [[buffer(3)]],
    device float* all_moments [[buffer(4), function_constant(of_either)]],
    constant Rows& rows [[buffer(5)]],
    constant long* layout [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  Team team = make_team(false, rows.width, g, tid);
  bool works = team.row < rows.n_rows;
  Offsets<2> at = {{0, 0}};
  if (works) at = element_offsets<2>(layout, team.row);
  device const T* x = in + at.at[0];
  device const T* c = ct + at.at[1];
  Moments m = moments(x, rows, team, works, scratch);

  float of_g = 0.0f, of_gu = 0.0f;
  for (ulong i = works ? team.lane : rows.length; i < rows.length; i += team.width) {
    float term = float(c[long(i) * rows.steps[1]]);
    if (has_weight) term *= float(weight[long(i) * rows.steps[2]]);
    of_g += term;
    of_gu += term * (float(x[long(i) * rows.steps[0]]) - m.mean);
  }
  if (centred) of_g = combine_team<AddOp>(of_g, team, scratch) / float(rows.length);
  else of_g = 0.0f;
  of_gu = combine_team<AddOp>(of_gu, team, scratch) * (m.scale * m.scale / float(rows.length));
  if (!works) return;
  for (ulong i = team.lane; i < rows.length; i += team.width) {
    float term = float(c[long(i) * rows.steps[1]]), left = float(x[long(i) * rows.steps[0]]) - m.mean;
    if (has_weight) term *= float(weight[long(i) * rows.steps[2]]);
    dx[team.row * rows.length + i] = T(m.scale * (term - of_g - left * of_gu));
  }
  if (of_either && team.lane == 0) {
    all_moments[2 * team.row] = m.mean;
    all_moments[2 * team.row + 1] = m.scale;
  }
}

// Sums over `chunk` rows of ct * (x - mean) * scale, for the weight, and of ct, for the bias: (chunks, length) each, one after the other.
template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(256)]] void norm_sums(
    device const T* in [[buffer(0)]],
    device const T* ct [[buffer(1)]],
    device const float* all_moments [[buffer(2)]],
    device float* weight_sums [[buffer(3), function_constant(of_weight)]],
    device float* bias_sums [[buffer(4), function_constant(of_bias)]],
    constant Rows& rows [[buffer(5)]],
    constant long* layout [[buffer(6)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  // A team's "row" is a column here, of one chunk after the other.
  ulong tiles = (rows.length + kTeamColumns - 1) / kTeamColumns, chunk = g / tiles;
  Team team = make_team(true, 0, g - chunk * tiles, tid);
  bool works = team.row < rows.length;
  ulong end = metal::min((chunk + 1) * rows.chunk, rows.n_rows);
  float dw = 0.0f, db = 0.0f;
  for (ulong r = works ? chunk * rows.chunk + team.lane : end; r < end; r += team.width) {
    Offsets<2> at = element_offsets<2>(layout, r);
    float c = float(ct[at.at[1] + long(team.row) * rows.steps[1]]);
    if (of_weight) dw += c * ((float(in[at.at[0] + long(team.row) * rows.steps[0]]) - all_moments[2 * r]) * all_moments[2 * r + 1]);
    db += c;
  }
  if (of_weight) {
    dw = combine_team<AddOp>(dw, team, scratch);
    if (works && team.lane == 0) weight_sums[chunk * rows.length + team.row] = dw;
  }
  if (of_bias) {
    db = combine_team<AddOp>(db, team, scratch);
    if (works && team.lane == 0) bias_sums[chunk * rows.length + team.row] = db;
  }
}

#define NORM_KERNELS(T, NAME)                 \
  INSTANTIATE("norm_" NAME, norm, T)          \
  INSTANTIATE("norm_vjp_" NAME, norm_vjp, T)  \
  INSTANTIATE("norm_sums_" NAME, norm_sums, T)
FOR_REALS(NORM_KERNELS)

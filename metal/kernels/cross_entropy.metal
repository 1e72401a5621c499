// cross_entropy.metal — the loss of a classifier, cross_entropy_<dtype>: log(sum(exp(logits))) - logits[target], and with the function
// constant `backward` the cotangent of the logits, ct (softmax(logits) - onehot(target)). plan/cross_entropy.cpp launches it.

#include "lanes.h"
#include "strided.h"

constant bool backward [[function_constant(0)]];
constant bool forward [[function_constant(1)]];  // Not backward: for the bindings.

struct Rows {
  ulong n_rows, length, n_groups;
  long step;  // Along a row of logits.
  uint width, unused;
};

// `layout`: the rows of logits, the targets, and backward the losses' cotangents.
template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(1024)]] void cross_entropy(
    device const T* logits [[buffer(0)]],
    device const long* targets [[buffer(1)]],
    device const float* ct [[buffer(2), function_constant(backward)]],
    device float* loss [[buffer(3), function_constant(forward)]],
    device T* out [[buffer(4), function_constant(backward)]],
    device Status* status [[buffer(5)]],
    constant Rows& rows [[buffer(6)]],
    constant long* layout [[buffer(7)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  Team team = make_team(false, rows.width, g, tid);
  bool works = team.row < rows.n_rows;
  long x_at = 0, target = 0, ct_at = 0;
  if (works) {
    if (backward) {
      Offsets<3> at = element_offsets<3>(layout, team.row);
      x_at = at.at[0];
      target = targets[at.at[1]];
      ct_at = at.at[2];
    } else {
      Offsets<2> at = element_offsets<2>(layout, team.row);
      x_at = at.at[0];
      target = targets[at.at[1]];
    }
    long n = long(rows.length), given = target;
    if (target < 0) target += n;
    if (target < 0 || target >= n) {
      if (team.lane == 0) report_index(status, given, n, 0);
      target = 0;
      works = false;
    }
  }
  device const T* x = logits + x_at;
  ulong begin = works ? team.lane : rows.length;

  float top = -INFINITY;
  for (ulong i = begin; i < rows.length; i += team.width) top = MaxOp::of(top, float(x[long(i) * rows.step]));
  top = combine_team<MaxOp>(top, team, scratch);
  float total = 0.0f;
  for (ulong i = begin; i < rows.length; i += team.width) total += metal::exp(float(x[long(i) * rows.step]) - top);
  total = combine_team<AddOp>(total, team, scratch);
  float lse = metal::fabs(top) < INFINITY ? top + metal::log(total) : top;

  if (!works) return;
  if (!backward) {
    if (team.lane == 0) loss[team.row] = lse - float(x[target * rows.step]);
    return;
  }
  float by = ct[ct_at];
  if (lse == -INFINITY) lse = 0.0f;
  for (ulong i = team.lane; i < rows.length; i += team.width) {
    float y = by * metal::exp(float(x[long(i) * rows.step]) - lse);
    out[team.row * rows.length + i] = T(long(i) == target ? y - by : y);
  }
}

#define CROSS_ENTROPY_KERNEL(T, NAME) INSTANTIATE("cross_entropy_" NAME, cross_entropy, T)
FOR_REALS(CROSS_ENTROPY_KERNEL)

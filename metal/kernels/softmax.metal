// softmax.metal — softmax_<dtype>: softmax along axes of any strides, or with the function constant the logarithm of the sum of
// exponentials. A team of threads (lanes.h) passes a row three times: its largest element, the sum, the results.
// plan/softmax.cpp launches this.

#include "lanes.h"
#include "strided.h"

constant bool log_sum [[function_constant(0)]];
constant bool columns [[function_constant(1)]];
constant bool one_axis [[function_constant(2)]];

struct Rows {
  ulong n_rows, length, n_groups;
  uint width, unused;
};

template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(1024)]] void softmax(
    device const T* in [[buffer(0)]],
    device T* out [[buffer(1)]],
    constant Rows& rows [[buffer(2)]],
    constant long* kept [[buffer(3)]],
    constant long* along [[buffer(4)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  threadgroup float scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  Team team = make_team(columns, rows.width, g, tid);
  bool works = team.row < rows.n_rows;
  Offsets<2> at = {{0, 0}};
  if (works) at = element_offsets<2>(kept, team.row);
  ulong begin = works ? team.lane : rows.length;
  device const T* x = in + at.at[0];
  device T* y = out + at.at[1];
  long in_step = layout_stride(along, 0, 0), out_step = layout_stride(along, 1, 0);

  float top = -INFINITY;
  for (ulong i = begin; i < rows.length; i += team.width) {
    top = MaxOp::of(top, float(x[one_axis ? long(i) * in_step : element_offsets<1>(along, i).at[0]]));
  }
  top = combine_team<MaxOp>(top, team, scratch);
  // Of infinities the logarithm is right from 0: the sum is 0, infinite or NaN as it should be.
  if (log_sum && !(metal::fabs(top) < INFINITY)) top = 0.0f;
  float total = 0.0f;
  for (ulong i = begin; i < rows.length; i += team.width) {
    total += metal::exp(float(x[one_axis ? long(i) * in_step : element_offsets<1>(along, i).at[0]]) - top);
  }
  total = combine_team<AddOp>(total, team, scratch);

  if (log_sum) {
    if (works && team.lane == 0) y[0] = T(metal::log(total) + top);
    return;
  }
  for (ulong i = begin; i < rows.length; i += team.width) {
    Offsets<2> o = {{long(i) * in_step, long(i) * out_step}};
    if (!one_axis) o = element_offsets<2>(along, i);
    y[o.at[1]] = T(metal::exp(float(x[o.at[0]]) - top) / total);
  }
}

#define SOFTMAX_KERNEL(T, NAME) INSTANTIATE("softmax_" NAME, softmax, T)
FOR_REALS(SOFTMAX_KERNEL)

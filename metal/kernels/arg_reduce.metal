// arg_reduce.metal — arg_reduce_<dtype>: where along an axis the largest or the smallest element is. The first of equal elements wins, and
// the first NaN wins over all. A team of threads (lanes.h) searches a row, or one of its pieces; then a second launch compares what
// was found in the pieces. plan/arg_reduce.cpp launches this.

#include "arithmetic.h"
#include "lanes.h"
#include "strided.h"

constant bool largest [[function_constant(0)]];
constant bool columns [[function_constant(1)]];
constant bool compares [[function_constant(2)]];

struct Rows {
  ulong n_rows, length, n_groups;
  ulong n_pieces, each;     // Pieces of a row, and how long they are.
  long step;
  uint width, unused;
};

constant constexpr uint kNowhere = 0xffffffffu;

template <class W>
struct Found {
  W value;
  uint at;
};
template <class W>
inline Found<W> lane_down(Found<W> x, ushort d) {
  Found<W> y = {lane_down(x.value, d), lane_down(x.at, d)};
  return y;
}
template <class W>
inline Found<W> lane_at(Found<W> x, ushort i) {
  Found<W> y = {lane_at(x.value, i), lane_at(x.at, i)};
  return y;
}
struct Better {
  template <class W>
  static Found<W> of(Found<W> a, Found<W> b) {
    if (b.at == kNowhere) return a;
    if (a.at == kNowhere || better_than(b.value, a.value, largest)) return b;
    return better_than(a.value, b.value, largest) || a.at < b.at ? a : b;
  }
};

template <class T>
[[kernel]] [[max_total_threads_per_threadgroup(1024)]] void arg_reduce(
    device const T* in [[buffer(0)]],
    device uint* out [[buffer(1)]],
    constant Rows& rows [[buffer(2)]],
    constant long* kept [[buffer(3)]],
    device const uint* found [[buffer(4), function_constant(compares)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]]) {
  using W = typename WorkOf<T>::type;
  threadgroup Found<W> scratch[kTeamScratch];
  ulong g = linear_index(group, groups);
  if (g >= rows.n_groups) return;
  Team team = make_team(columns, rows.width, g, tid);
  // Teams of the same piece of neighbouring rows are neighbours.
  ulong piece = rows.n_pieces == 1 ? 0 : team.row / rows.n_rows, row = team.row - piece * rows.n_rows;
  bool works = piece < rows.n_pieces && row < rows.n_rows;
  Offsets<2> at = {{0, 0}};
  if (works) at = element_offsets<2>(kept, row);
  ulong begin = piece * rows.each, end = works ? min(rows.length, begin + rows.each) : 0;
  Found<W> best = {convert<W>(0), kNowhere};
  for (ulong i = begin + team.lane; i < end; i += team.width) {
    uint place = compares ? found[i * rows.n_rows + row] : uint(i);
    W x = convert<W>(in[at.at[0] + long(place) * rows.step]);
    if (best.at == kNowhere || better_than(x, best.value, largest)) {
      best.value = x;
      best.at = place;
    }
  }
  best = combine_team<Better>(best, team, scratch);
  if (works && team.lane == 0) out[rows.n_pieces == 1 ? at.at[1] : long(team.row)] = best.at;
}

#define ARG_REDUCE_KERNEL(T, NAME) INSTANTIATE("arg_reduce_" NAME, arg_reduce, T)
FOR_ALL_TYPES(ARG_REDUCE_KERNEL)

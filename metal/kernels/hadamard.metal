// hadamard.metal — the Walsh-Hadamard transform: sums and differences at distances 1, 2, 4, ... along lines of 2^k numbers in threadgroup memory, and
// sums over m numbers with the signs of the matrix of order m. All in float. The planner is in plan/hadamard.cpp.

#include "dtypes.h"
#include "elements.h"
#include "strided.h"

constant uint in_type [[function_constant(0)]];   // float32, float16 or bfloat16
constant uint out_type [[function_constant(1)]];

inline float read_real(device const uchar* p, long i) {
  switch (in_type) {
    case kFloat16: return float(((device const half*)p)[i]);
    case kBfloat16: return float(((device const bfloat*)p)[i]);
    default: return ((device const float*)p)[i];
  }
}
inline void write_real(device uchar* p, long i, float x) {
  switch (out_type) {
    case kFloat16: ((device half*)p)[i] = half(x); return;
    case kBfloat16: ((device bfloat*)p)[i] = bfloat(x); return;
    default: ((device float*)p)[i] = x;
  }
}

// Lines of n numbers that lie in_step apart begin where the layout says.
struct HadamardParams {
  long in_step, out_step;
  ulong lines;
  uint n;
  uint per_group;   // Lines of a threadgroup.
  float scale;
  uint across;      // Neighbouring threads read neighbouring lines.
};

[[kernel]] void hadamard_lines(
    device const uchar* in [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant HadamardParams& p [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    threadgroup float* x [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  ulong first = (ulong(group.y) * groups.x + group.x) * p.per_group;
  if (first >= p.lines) return;
  uint n_lines = uint(min(ulong(p.per_group), p.lines - first)), n_elements = n_lines * p.n;
  for (uint e = tid; e < n_elements; e += size.x) {
    uint r = p.across ? e % n_lines : e / p.n, i = p.across ? e / n_lines : e % p.n;
    x[r * p.n + i] = read_real(in, element_offsets<2>(layout, first + r).at[0] + long(i) * p.in_step);
  }
  for (uint h = 1; h < p.n; h *= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    // Lines follow each other and 2 h divides their length.
    for (uint j = tid; j < n_elements / 2; j += size.x) {
      uint low = j / h * (2 * h) + j % h;
      float a = x[low], b = x[low + h];
      x[low] = a + b;
      x[low + h] = a - b;
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint e = tid; e < n_elements; e += size.x) {
    uint r = p.across ? e % n_lines : e / p.n, i = p.across ? e / n_lines : e % p.n;
    write_real(out, element_offsets<2>(layout, first + r).at[1] + long(i) * p.out_step, x[r * p.n + i] * p.scale);
  }
}

// A thread a line of n numbers, n up to 28. Bit j of signs[i]: input j counts negative for output i.
[[kernel]] void hadamard_mix(
    device const uchar* in [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant HadamardParams& p [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    constant uint* signs [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong line = linear_index(at, grid);
  if (line >= p.lines) return;
  Offsets<2> o = element_offsets<2>(layout, line);
  float x[28];
  for (uint j = 0; j < p.n; ++j) x[j] = read_real(in, o.at[0] + long(j) * p.in_step);
  for (uint i = 0; i < p.n; ++i) {
    float sum = 0.0f;
    for (uint j = 0; j < p.n; ++j) sum += signs[i] >> j & 1u ? -x[j] : x[j];
    write_real(out, o.at[1] + long(i) * p.out_step, sum * p.scale);
  }
}

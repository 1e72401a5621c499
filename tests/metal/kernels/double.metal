// double.metal — small kernels for tests/cpp/metal_double_test.cpp, which compiles them at run time.

#include <metal_atomic>
#include <metal_stdlib>
using namespace metal;

constant int by [[function_constant(0)]];
constant bool with_offset [[function_constant(1)]];

struct Params {
  uint n;
  float scale;
};

[[kernel]] void fill(device float* out [[buffer(0)]], constant Params& p [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  if (i < p.n) out[i] = p.scale;
}

[[kernel]] void add_one(device const float* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = in[i] + 1.0f;
}

[[kernel]] void increment(device float* x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] = x[i] * 2.0f + 1.0f; }

[[kernel]] void add_constant(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i] = float(by) + (with_offset ? 100.0f : 0.0f);
}

[[kernel]] void through_threadgroup(device float* out [[buffer(0)]], threadgroup float* shared [[threadgroup(0)]],
                                    uint i [[thread_position_in_grid]], uint l [[thread_index_in_threadgroup]],
                                    uint n [[threads_per_threadgroup]]) {
  shared[l] = float(i);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[n - 1 - l];
}

[[kernel]] void read_table(device float* out [[buffer(0)]], constant float4* table [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  out[i] = table[0].x;
}

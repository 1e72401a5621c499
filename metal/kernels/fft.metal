// fft.metal — Fourier transforms of lines of complex numbers. fft_lines does sizes of small primes in threadgroup memory, in passes that leave the
// order right (T. G. Stockham, High-speed convolution and correlation, 1966). Longer ones are done as columns, factors and rows (Gentleman
// and Sande, 1966): two launches of fft_lines. The fft_chirp kernels make a convolution of a transform of any size (Bluestein, 1970). An inverse
// transform is the conjugate of the transform of the conjugate. The planner is in plan/fft.cpp.

#include "roots.h"
#include "strided.h"

constant uint load_mode [[function_constant(0)]];   // LoadCode
constant uint store_mode [[function_constant(1)]];  // StoreCode
constant bool conjugate_in [[function_constant(2)]];
constant bool conjugate_out [[function_constant(3)]];
constant bool twiddled [[function_constant(4)]];    // columns of a split transform: factors after the transform
constant bool across_in [[function_constant(5)]];   // neighbouring threads read neighbouring lines, not neighbouring elements
constant bool across_out [[function_constant(6)]];

// kMirrored: the first half of coefficients whose other half are conjugates. kHalf: that half is all that is written.
enum LoadCode : uint { kComplexIn, kRealIn, kMirrored };
enum StoreCode : uint { kComplexOut, kRealOut, kHalf };

// Lines are (batch, column). Element i of a line is element i * in_i + column * in_c of a transform of `total` elements, which lie in_step apart; what
// comes out for i is its element i * out_i + column * out_c.
struct FftParams {
  long in_step, out_step, total;
  ulong lines;
  uint n, columns;
  uint in_i, in_c, out_i, out_c;
  uint per_group;  // Lines of a threadgroup.
  uint n_passes;
  float scale, interior;
  uint radices[16];
};

struct Line {
  long in, out;  // Where the transform begins.
  uint column;
};
inline Line line_at(ulong number, constant FftParams& p, constant long* layout) {
  Offsets<2> o = element_offsets<2>(layout, number / p.columns);
  Line line;
  line.in = o.at[0];
  line.out = o.at[1];
  line.column = uint(number % p.columns);
  return line;
}

inline float2 load(device const float* in, Line line, uint i, constant FftParams& p) {
  long g = long(i) * p.in_i + long(line.column) * p.in_c;
  float2 x;
  if (load_mode == kRealIn) {
    x = float2(in[line.in + g * p.in_step], 0.0f);
  } else if (load_mode == kMirrored) {
    bool mirrored = 2 * g > p.total, edge = g == 0 || 2 * g == p.total;
    x = ((device const float2*)in)[line.in + (mirrored ? p.total - g : g) * p.in_step];
    x = edge ? float2(x.x, 0.0f) : float2(x.x, mirrored ? -x.y : x.y) * p.interior;
  } else {
    x = ((device const float2*)in)[line.in + g * p.in_step];
  }
  return conjugate_in ? conjugate(x) : x;
}

inline void store(device float* out, Line line, uint i, float2 x, constant FftParams& p) {
  long g = long(i) * p.out_i + long(line.column) * p.out_c;
  x = (conjugate_out ? conjugate(x) : x) * p.scale;
  if (store_mode == kRealOut) {
    out[line.out + g * p.out_step] = x.x;
    return;
  }
  if (store_mode == kHalf) {
    if (2 * g > p.total) return;
    bool edge = g == 0 || 2 * g == p.total;
    x = edge ? float2(x.x, 0.0f) : x * p.interior;
  }
  ((device float2*)out)[line.out + g * p.out_step] = x;
}

// ---- passes

inline float2 over_i(float2 a) { return float2(a.y, -a.x); }

// Transforms of R numbers in place. `roots` are those of order n; `step` is n / R.
template <int R>
struct Small {
  static void transform(thread float2* v, device const float2* roots, uint step) {
    float2 x[R];
    for (int k = 0; k < R; ++k) x[k] = v[k];
    for (int k = 0; k < R; ++k) {
      float2 sum = x[0];
      for (int q = 1; q < R; ++q) sum += times(x[q], roots[uint(k * q % R) * step]);
      v[k] = sum;
    }
  }
};
inline void transform_2(thread float2& a, thread float2& b) {
  float2 t = a;
  a = t + b;
  b = t - b;
}
inline void transform_4(thread float2& a, thread float2& b, thread float2& c, thread float2& d) {
  transform_2(a, c);
  transform_2(b, d);
  d = over_i(d);
  transform_2(a, b);
  transform_2(c, d);
  // The results are in the order 0, 2, 1, 3.
  float2 t = b;
  b = c;
  c = t;
}
template <>
struct Small<2> {
  static void transform(thread float2* v, device const float2*, uint) { transform_2(v[0], v[1]); }
};
template <>
struct Small<4> {
  static void transform(thread float2* v, device const float2*, uint) { transform_4(v[0], v[1], v[2], v[3]); }
};
template <>
struct Small<8> {
  static void transform(thread float2* v, device const float2*, uint) {
    float2 e0 = v[0], e1 = v[2], e2 = v[4], e3 = v[6], o0 = v[1], o1 = v[3], o2 = v[5], o3 = v[7];
    transform_4(e0, e1, e2, e3);
    transform_4(o0, o1, o2, o3);
    const float h = 0.707106781186547524f;
    o1 = float2(o1.x + o1.y, o1.y - o1.x) * h;
    o2 = over_i(o2);
    o3 = float2(o3.y - o3.x, -o3.x - o3.y) * h;
    v[0] = e0 + o0;
    v[1] = e1 + o1;
    v[2] = e2 + o2;
    v[3] = e3 + o3;
    v[4] = e0 - o0;
    v[5] = e1 - o1;
    v[6] = e2 - o2;
    v[7] = e3 - o3;
  }
};

// One pass over all lines of the group. `done` is the product of the radices of earlier passes. A thread does up to B transforms: it reads all that it
// needs before anything is overwritten.
template <int R, int B>
inline void pass(threadgroup float2* x, device const float2* roots, uint n, uint n_lines, uint done, uint tid, uint n_threads) {
  float2 v[B * R];
  uint each = n / R, count = n_lines * each, turn = n / (done * R);
  for (int b = 0; b < B; ++b) {
    uint j = tid + uint(b) * n_threads;
    if (j < count) {
      uint k = j % each, from = j / each * n + k, root = k % done * turn;
      for (int q = 0; q < R; ++q) v[b * R + q] = times(x[from + uint(q) * each], roots[uint(q) * root]);
      Small<R>::transform(v + b * R, roots, each);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int b = 0; b < B; ++b) {
    uint j = tid + uint(b) * n_threads;
    if (j < count) {
      uint k = j % each, to = j / each * n + k / done * done * R + k % done;
      for (int q = 0; q < R; ++q) x[to + uint(q) * done] = v[b * R + q];
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}

[[kernel]] void fft_lines(
    device const float* in [[buffer(0)]],
    device float* out [[buffer(1)]],
    device const float2* roots [[buffer(2)]],
    constant FftParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    threadgroup float2* x [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 groups [[threadgroups_per_grid]],
    uint tid [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]]) {
  ulong first = (ulong(group.y) * groups.x + group.x) * p.per_group;
  if (first >= p.lines) return;
  uint n_lines = uint(min(ulong(p.per_group), p.lines - first)), n_elements = n_lines * p.n;
  for (uint e = tid; e < n_elements; e += size.x) {
    uint r = across_in ? e % n_lines : e / p.n, i = across_in ? e / n_lines : e % p.n;
    x[r * p.n + i] = load(in, line_at(first + r, p, layout), i, p);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  uint done = 1;
  for (uint k = 0; k < p.n_passes; ++k) {
    switch (p.radices[k]) {
      case 2: pass<2, 4>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 3: pass<3, 3>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 4: pass<4, 2>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 5: pass<5, 2>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 7: pass<7, 2>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 8: pass<8, 1>(x, roots, p.n, n_lines, done, tid, size.x); break;
      case 11: pass<11, 1>(x, roots, p.n, n_lines, done, tid, size.x); break;
      default: pass<13, 1>(x, roots, p.n, n_lines, done, tid, size.x); break;
    }
    done *= p.radices[k];
  }
  for (uint e = tid; e < n_elements; e += size.x) {
    uint r = across_out ? e % n_lines : e / p.n, i = across_out ? e / n_lines : e % p.n;
    Line line = line_at(first + r, p, layout);
    float2 y = x[r * p.n + i];
    if (twiddled) y = times(y, root_of_unity(ulong(i) * line.column % ulong(p.total), ulong(p.total)));
    store(out, line, i, y, p);
  }
}

/// The table that fft_lines reads.
[[kernel]] void fft_roots(device float2* roots [[buffer(0)]], uint i [[thread_position_in_grid]], uint n [[threads_per_grid]]) {
  roots[i] = root_of_unity(i, n);
}

// ---- convolution with chirps: p is of the whole transform, of p.n elements; the convolution has `size`

inline float2 chirp(ulong k, ulong n) { return root_of_unity(k * k % (2 * n), 2 * n); }

// What the chirped input is convolved with.
[[kernel]] void fft_chirp(device float2* out [[buffer(0)]], constant uint& n [[buffer(1)]], uint i [[thread_position_in_grid]], uint size [[threads_per_grid]]) {
  uint k = i < n ? i : size - i;
  out[i] = k < n ? conjugate(chirp(k, n)) : float2(0.0f, 0.0f);
}

[[kernel]] void fft_chirp_in(
    device const float* in [[buffer(0)]],
    device float2* out [[buffer(1)]],
    constant FftParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  float2 x = float2(0.0f, 0.0f);
  if (at.x < p.n) x = times(load(in, line_at(at.y, p, layout), at.x, p), chirp(at.x, p.n));
  out[ulong(at.y) * grid.x + at.x] = x;
}

// Leaves the conjugate of the product, for the way back.
[[kernel]] void fft_chirp_product(
    device float2* x [[buffer(0)]],
    device const float2* spectrum [[buffer(1)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong i = ulong(at.y) * grid.x + at.x;
  x[i] = conjugate(times(x[i], spectrum[at.x]));
}

[[kernel]] void fft_chirp_out(
    device const float2* in [[buffer(0)]],
    device float* out [[buffer(1)]],
    constant uint& size [[buffer(2)]],
    constant FftParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]]) {
  float2 x = conjugate(in[ulong(at.y) * size + at.x]) * (1.0f / float(size));
  store(out, line_at(at.y, p, layout), at.x, times(x, chirp(at.x, p.n)), p);
}

// fft_lanes.h — the inner loops of Fourier transforms, as a table of functions for each instruction set.
//
// They work on a block of `lanes` transforms at once: real and imaginary parts in planes of their own, element j of lane l
// at [j * lanes + l]. A transform of size n = r1 r2 ... is a series of passes (Stockham's, which need no reordering) from
// one pair of planes to another. The tables are made by fft_baseline.cpp, fft_avx2.cpp and fft_avx512.cpp from the templates
// in fft_lanes.inl; the direction is always forward: for the inverse, callers exchange the planes.
#pragma once

#include <cstdint>

namespace mx::cpu::fft {

/// Real and imaginary parts, apart.
struct Planes {
  float* re;
  float* im;
};

/// One pass of radix r over a remaining size r * m with s results so far: reads x[q + s (p + m j)], writes y[q + s (r p + k)]
/// for q < s, p < m and j, k < r. `twiddles` holds r - 1 pairs (re, im) for each p from 1 on.
using PassFn = void (*)(Planes x, Planes y, const float* twiddles, int64_t m, int64_t s);
/// The same for any odd r up to kLargestRadix; `roots` holds cos and sin of 2 pi j / r for each j < r.
using OddPassFn = void (*)(Planes x, Planes y, const float* twiddles, int64_t m, int64_t s, int r, const float* roots);

constexpr int kMaxRadix = 8;
constexpr int kLargestRadix = 61;

struct LaneKernels {
  int lanes;
  PassFn pass[kMaxRadix + 1];  ///< By radix: 2, 3, 4, 5, 7, 8.
  OddPassFn odd_pass;
  /// Lanes are adjacent complex numbers: element j of lane l is at src[2 (l + j * step)].
  void (*load_columns)(const float* src, int64_t step, int64_t n, Planes to);
  void (*store_columns)(Planes from, int64_t n, float* dst, int64_t step, float scale);
  /// Lanes are rows of complex numbers: element j of lane l is at src[2 (j + l * step)].
  void (*load_rows)(const float* src, int64_t step, int64_t n, Planes to);
  void (*store_rows)(Planes from, int64_t n, float* dst, int64_t step, float scale);
  /// Element j of lane l is at [j + l * step] of planes; n is rounded up to a multiple of `lanes`.
  void (*load_turned)(Planes src, int64_t step, int64_t n, Planes to);
  /// Element j of lane l goes to [l + j * step], multiplied by factor j * lanes + l of `twiddles`, which come in groups of
  /// `lanes` real and `lanes` imaginary parts.
  void (*store_twiddled)(Planes from, int64_t n, const float* twiddles, Planes dst, int64_t step);
  /// Between the transform of 2 h real numbers and that of their even and odd ones as h complex numbers: with
  /// w = -sin + i turn cos of pi k / h, S = in_k + conj in_(h-k) and D = in_k - conj in_(h-k),
  /// out_k = factor (S + w D) and out_(h-k) = factor conj(S - w D) for 1 <= k <= h / 2. `out` may be `in`.
  void (*mix_mirrored)(const float* in, float* out, int64_t h, const float* cosines, const float* sines, float turn, float factor);
};

/// The best table for the processor we run on.
const LaneKernels& lane_kernels();

extern const LaneKernels lanes_baseline;
#if defined(__x86_64__)
extern const LaneKernels lanes_avx2;  ///< With FMA.
extern const LaneKernels lanes_avx512;
#endif

}  // namespace mx::cpu::fft

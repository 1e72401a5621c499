// fft_params.h — parameters of Fourier transforms.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// fft: complex64 to complex64, along each of `axes` (ascending). The sums are multiplied by `scale`.
struct FftParams {
  Axes axes;
  bool inverse = false;
  double scale = 1;
  auto fields() const { return std::tie(axes, inverse, scale); }
};

/// rfft: float32 to the n / 2 + 1 first coefficients of the transform along `axis`, complex64. `interior` multiplies
/// those that also stand for their mirror image: all but the first and, for even n, the last.
struct RfftParams {
  int axis = 0;
  double scale = 1;
  double interior = 1;
  auto fields() const { return std::tie(axis, scale, interior); }
};

/// irfft: complex64 of size n / 2 + 1 along `axis` to float32 of size n, as if the missing half were the conjugate of
/// the other. Imaginary parts of the first and, for even n, the last coefficient are ignored.
struct IrfftParams {
  int axis = 0;
  int64_t n = 1;
  double scale = 1;
  double interior = 1;
  auto fields() const { return std::tie(axis, n, scale, interior); }
};

extern const Primitive fft_p, rfft_p, irfft_p;

}  // namespace mx

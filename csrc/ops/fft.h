// fft.h — discrete Fourier transforms: X[k] = sum over j of x[j] exp(-2 pi i j k / n), and the inverse with the other sign.
//
// Everything is computed in single precision: the input becomes complex64 (for rfft float32), and so is the result.
// Sizes `n` and `s` cut the input or fill it up with zeros at the end; absent ones are those of the input. Sizes must
// be positive. Short-time transforms and frequencies are in fft_time.cpp, the rest in fft.cpp.
#pragma once

#include <optional>

#include "graph/array.h"
#include "ops/fft_params.h"

namespace mx::fft {

/// Where the factor 1 / n goes: to the inverse, to both as 1 / sqrt(n), or to the forward transform.
enum class Norm : uint8_t { backward, ortho, forward };
/// The norm of that name; throws ValueError for another.
Norm parse_norm(std::string_view name, std::string_view op);

array fft(const array& a, std::optional<int64_t> n = {}, int axis = -1, Norm norm = Norm::backward);
array ifft(const array& a, std::optional<int64_t> n = {}, int axis = -1, Norm norm = Norm::backward);
/// The first n / 2 + 1 coefficients of the transform of a real array. The imaginary part of a complex one is dropped.
array rfft(const array& a, std::optional<int64_t> n = {}, int axis = -1, Norm norm = Norm::backward);
/// The real array of size `n` (absent: 2 (m - 1) for m coefficients) with these first coefficients.
array irfft(const array& a, std::optional<int64_t> n = {}, int axis = -1, Norm norm = Norm::backward);

/// Over several axes: absent means all (not allowed if `s` is given), none of them returns `a`. For real transforms
/// the last of `axes` is the one that is halved.
array fftn(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = {}, Norm norm = Norm::backward);
array ifftn(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = {}, Norm norm = Norm::backward);
array rfftn(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = {}, Norm norm = Norm::backward);
array irfftn(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = {}, Norm norm = Norm::backward);

/// Over the last two axes, or those given.
array fft2(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = Axes{-2, -1}, Norm norm = Norm::backward);
array ifft2(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = Axes{-2, -1}, Norm norm = Norm::backward);
array rfft2(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = Axes{-2, -1}, Norm norm = Norm::backward);
array irfft2(const array& a, const std::optional<Shape>& s = {}, const std::optional<Axes>& axes = Axes{-2, -1}, Norm norm = Norm::backward);

/// Frequencies of the coefficients of fft, in cycles per unit of `d`, a floating dtype: shape (n,); of rfft: (n / 2 + 1,).
array fftfreq(int64_t n, double d = 1, Dtype dtype = Dtype::float32);
array rfftfreq(int64_t n, double d = 1, Dtype dtype = Dtype::float32);
/// Moves frequency 0 to the middle of `axes` (absent: all), and back.
array fftshift(const array& a, const std::optional<Axes>& axes = {});
array ifftshift(const array& a, const std::optional<Axes>& axes = {});

/// How frames of a signal are transformed. An absent `hop_length` is n_fft / 4, an absent `win_length` n_fft, an
/// undefined window is rectangular; a window shorter than n_fft is centred in zeros.
struct Frames {
  std::optional<int64_t> hop_length = {};
  std::optional<int64_t> win_length = {};
  array window = {};
  bool center = true;
  Norm norm = Norm::backward;
  std::optional<bool> onesided = {};
};
/// Transforms of overlapping frames of the last axis: (..., frequencies, frames). `pad_mode` ("constant", "edge",
/// "reflect" or "symmetric") says what `center` continues the signal with.
array stft(const array& x, int64_t n_fft = 2048, const Frames& frames = {}, std::string_view pad_mode = "reflect");
/// The signal (..., length): frames transformed back, windowed, added up, and divided by the sum of squared windows.
array istft(const array& stft_matrix, std::optional<int64_t> n_fft = {}, const Frames& frames = {}, std::optional<int64_t> length = {});

}  // namespace mx::fft

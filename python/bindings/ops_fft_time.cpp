// ops_fft_time.cpp — the rest of mx.fft: frequencies, shifts and short-time transforms (ops/fft.h); and the
// Walsh-Hadamard transform (ops/hadamard.h).

#include "bindings/bind.h"
#include "ops/fft.h"
#include "ops/hadamard.h"

namespace mx::python {

void bind_fft_time(py::module_& m);
void bind_hadamard(py::module_& m);

namespace {

// Parameters of stft and istft by their positions.
fft::Frames frames_of(const Args& a, int hop, int win_length, int window, int center, int norm, int onesided) {
  fft::Frames f{.hop_length = a.opt_integer(hop),
                .win_length = a.opt_integer(win_length),
                .window = a.opt_arr(window).value_or(array()),
                .center = a.flag(center),
                .norm = fft::parse_norm(a.str(norm), a.signature().name)};
  if (!a.is_none(onesided)) f.onesided = a.flag(onesided);
  return f;
}

void bind_short_time(py::module_& m) {
  def(m, "stft(x, n_fft=2048, hop_length=None, win_length=None, window=None, center=True, pad_mode='reflect', norm='backward', "
         "onesided=None, stream=None)",
      R"(Transform overlapping frames of a signal: the short-time Fourier transform.

Args:
    x (array): The signal, shape (..., samples).
    n_fft (int, optional): Samples of a frame. Default: 2048.
    hop_length (int, optional): Samples from one frame to the next. Default: `n_fft // 4`.
    win_length (int, optional): Points of the rectangular window if none is given. Default: `n_fft`.
    window (array, optional): Multiplies every frame: shape (m,) with m <= n_fft, centred in zeros. Default: rectangular.
    center (bool, optional): Continue the signal by `n_fft // 2` samples at both ends, so that frame i is centred at
        sample `i * hop_length`. Default: True.
    pad_mode (str, optional): How it is continued: "reflect", "symmetric", "edge" or "constant" (zeros).
        Default: "reflect".
    norm (str, optional): "backward", "ortho" or "forward", as for `fft`. Default: "backward".
    onesided (bool, optional): Give only frequencies that are not negative. Default: True unless `x` is complex.

Returns:
    array: complex64, shape (..., frequencies, frames).

Raises:
    ValueError: If `n_fft` or `hop_length` is not positive, the window does not fit, the signal is shorter than a frame,
        or `pad_mode` or `norm` is unknown.

Example:
    >>> x = mx.sin(mx.arange(64) * (2 * mx.pi * 4 / 16))
    >>> spectra = mx.fft.stft(x, n_fft=16, window=mx.hanning(16))
    >>> spectra.shape, mx.argmax(mx.abs(spectra[:, 8])).item()
    ((9, 17), 4)
)",
      [](const Args& a) { return fft::stft(a.arr(0), a.integer(1), frames_of(a, 2, 3, 4, 5, 7, 8), a.str(6)); });

  def(m, "istft(stft_matrix, n_fft=None, hop_length=None, win_length=None, window=None, center=True, norm='backward', onesided=None, "
         "length=None, stream=None)",
      R"(Put a signal together from its short-time Fourier transform.

Frames are transformed back, multiplied by the window and added up; the sum is divided by that of the squared windows. Where
no window reaches, the signal is 0.

Args:
    stft_matrix (array): What stft gives, shape (..., frequencies, frames).
    n_fft (int, optional): Samples of a frame. Default: the even number that goes with the frequencies.
    hop_length (int, optional): As given to stft. Default: `n_fft // 4`.
    win_length (int, optional): As given to stft. Default: `n_fft`.
    window (array, optional): As given to stft. Default: rectangular.
    center (bool, optional): Whether frames were centred. Default: True.
    norm (str, optional): As given to stft. Default: "backward".
    onesided (bool, optional): Whether there are only frequencies that are not negative; if not, the real part of the
        signal is returned. Default: True.
    length (int, optional): Cut the signal, or fill it up with zeros, to so many samples.

Returns:
    array: float32, shape (..., samples).

Raises:
    ValueError: If the matrix has fewer than two axes or no frames, `n_fft` or `hop_length` is not positive, the window does
        not fit, or the norm is unknown.

Example:
    >>> x = mx.sin(mx.arange(64) * 0.3)
    >>> spectra = mx.fft.stft(x, n_fft=16, window=mx.hamming(16))
    >>> mx.allclose(mx.fft.istft(spectra, window=mx.hamming(16)), x, atol=1e-5).item()
    True
)",
      [](const Args& a) { return fft::istft(a.arr(0), a.opt_integer(1), frames_of(a, 2, 3, 4, 5, 6, 7), a.opt_integer(8)); });
}

}  // namespace

void bind_fft_time(py::module_& m) {
  auto def_frequencies = [&m](const char* name, const char* text, const char* points, const char* size, const char* example, auto f) {
    std::string doc = cat(text, "\n\nArgs:\n    n (int): ", points, R"(, at least 1.
    d (float, optional): Distance of samples. Default: 1.0.
    dtype (Dtype, optional): Default: float32.
    device (Device, optional): Where it is made: the same as ``stream``.

Returns:
    array: Shape ()", size, R"(,).

Raises:
    ValueError: If `n` is not positive, `d` is 0, or `dtype` is not a floating one.

Example:
    >>> mx.fft.)", name, "(4, d=0.5).tolist()\n    ", example, "\n");
    def(m, cat(name, "(n, d=1.0, stream=None, *, dtype=float32, device=None)"), doc.c_str(),
        [f](const Args& a) { return f(a.integer(0), a.real(1), a.opt_dtype(3).value_or(Dtype::float32)); });
  };
  def_frequencies("fftfreq", "List the frequencies of what `fft` gives: 0, 1, ..., then negative ones, over n d.", "Number of points", "n",
                  "[0.0, 0.5, -1.0, -0.5]", fft::fftfreq);
  def_frequencies("rfftfreq", "List the frequencies of what `rfft` gives: 0, 1, ..., n // 2, over n d.", "Number of points of the real signal",
                  "n // 2 + 1", "[0.0, 0.5, 1.0]", fft::rfftfreq);

  auto def_shift = [&m](const char* name, const char* text, const char* before, const char* after, auto f) {
    std::string doc = cat(text, R"(

Args:
    a (array): Any shape and dtype.
    axes (int or tuple of int, optional): The axes to shift. Default: all.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If an axis is out of range.

Example:
    >>> mx.fft.)", name, "(mx.array(", before, ")).tolist()\n    ", after, "\n");
    def(m, cat(name, "(a, axes=None, stream=None)"), doc.c_str(), [f](const Args& a) { return f(a.arr(0), a.opt_axes(1)); });
  };
  def_shift("fftshift", "Move frequency 0 to the middle.", "[0, 1, 2, -2, -1]", "[-2, -1, 0, 1, 2]", fft::fftshift);
  def_shift("ifftshift", "Move frequency 0 back to the front; the inverse of fftshift.", "[-2, -1, 0, 1, 2]", "[0, 1, 2, -2, -1]", fft::ifftshift);

  bind_short_time(m);
}

void bind_hadamard(py::module_& m) {
  def(m, "hadamard_transform(a, scale=None, stream=None)", R"(Multiply the rows of an array with a Hadamard matrix: signs, orthogonal.

The matrix of size n = m 2**k is the Kronecker product of one of order m, which is 1, 12, 20 or 28, and of k factors
[[1, 1], [1, -1]]. It costs n log n additions a row.

Args:
    a (array): Shape (..., n). Integers give float32.
    scale (float, optional): What the result is multiplied by. Default: `1 / sqrt(n)`, which keeps lengths.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If there is no matrix of that size.

Example:
    >>> mx.hadamard_transform(mx.array([1.0, 2.0, 3.0, 4.0]), scale=1.0).tolist()
    [10.0, -2.0, -4.0, 0.0]
)",
      [](const Args& a) { return hadamard_transform(a.arr(0), a.opt_real(1)); });
}

}  // namespace mx::python

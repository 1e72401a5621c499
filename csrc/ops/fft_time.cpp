// fft_time.cpp — short-time Fourier transforms and what goes with spectra: frequencies and shifts. All are compositions,
// so derivatives come from their parts: frames are read with as_strided, and added up again with its transpose.

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fft.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx::fft {

namespace {

void check_frequencies(int64_t n, double d, Dtype dtype, std::string_view op) {
  if (!is_floating(dtype)) throw DtypeError(cat("[", op, "] dtype is ", dtype, "; need a floating dtype."));
  if (n <= 0) throw ValueError(cat("[", op, "] n must be positive: n is ", n, "."));
  if (d == 0) throw ValueError(cat("[", op, "] d must not be 0: it is the distance of samples."));
}

// k / (n d) for k from `first` on; after `wrap` values it goes on at the most negative one.
array frequencies(int64_t count, int64_t wrap, int64_t n, double d, Dtype dtype) {
  std::vector<double> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t k = i < wrap ? i : i - n;
    values[static_cast<size_t>(i)] = static_cast<double>(k) / (static_cast<double>(n) * d);
  }
  array exact = array::from<double>(values, {count});
  return dtype == Dtype::float64 ? exact : astype(exact, dtype).eval();
}

array rolled(const array& a, const std::optional<Axes>& axes, bool back, std::string_view op) {
  array out = a;
  for (int axis : axes ? *axes : all_axes(a.ndim())) {
    int at = normalize_axis(axis, a.ndim(), op);
    int64_t n = a.shape(at), half = n / 2;
    if (n > 1) out = roll(out, back ? n - half : half, at);
  }
  return out;
}

PadMode parse_pad_mode(std::string_view mode) {
  if (mode == "constant") return PadMode::constant;
  if (mode == "edge") return PadMode::edge;
  if (mode == "reflect") return PadMode::reflect;
  if (mode == "symmetric") return PadMode::symmetric;
  throw ValueError(cat("[stft] unknown pad_mode: it is '", mode, "'; need 'constant', 'edge', 'reflect' or 'symmetric'."));
}

int64_t checked_hop(int64_t n_fft, const Frames& f, std::string_view op) {
  if (n_fft <= 0) throw ValueError(cat("[", op, "] n_fft must be positive: it is ", n_fft, "."));
  int64_t hop = f.hop_length.value_or(n_fft / 4);
  if (hop <= 0) {
    throw ValueError(cat("[", op, "] hop_length must be positive: it is ", hop, f.hop_length ? "." : " (n_fft // 4). Give one."));
  }
  return hop;
}

// The window (n_fft,): the given one, or ones, in the middle of zeros.
array full_window(int64_t n_fft, const Frames& f, std::string_view op) {
  if (f.window.defined() && f.window.ndim() != 1) {
    throw ValueError(cat("[", op, "] window must have one dimension: its shape is ", f.window.shape(), "."));
  }
  int64_t size = f.window.defined() ? f.window.size() : f.win_length.value_or(n_fft);
  if (size < 0) throw ValueError(cat("[", op, "] win_length must not be negative: it is ", size, "."));
  if (size > n_fft) throw ValueError(cat("[", op, "] the window is longer than a frame: it has ", size, " points, n_fft is ", n_fft, "."));
  array window = f.window.defined() ? f.window : ones({size});
  int64_t left = (n_fft - size) / 2;
  return pad(window, {0}, {left}, {n_fft - size - left});
}

Shape joined(Shape shape, std::initializer_list<int64_t> more) {
  for (int64_t n : more) shape.push_back(n);
  return shape;
}

// (..., frames, n_fft) added up into (..., total).
array overlap_add(const array& frames, int64_t total, int64_t hop) {
  Shape outer(frames.shape().begin(), frames.shape().end() - 2);
  Strides strides = row_strides(joined(outer, {total}));
  strides.back() = hop;
  strides.push_back(1);
  return reshape(as_strided_add(frames, n_elems(outer) * total, strides), joined(outer, {total}));
}

}  // namespace

array fftfreq(int64_t n, double d, Dtype dtype) {
  check_frequencies(n, d, dtype, "fftfreq");
  return frequencies(n, (n + 1) / 2, n, d, dtype);
}

array rfftfreq(int64_t n, double d, Dtype dtype) {
  check_frequencies(n, d, dtype, "rfftfreq");
  return frequencies(n / 2 + 1, n, n, d, dtype);
}

array fftshift(const array& a, const std::optional<Axes>& axes) { return rolled(a, axes, false, "fftshift"); }
array ifftshift(const array& a, const std::optional<Axes>& axes) { return rolled(a, axes, true, "ifftshift"); }

array stft(const array& x, int64_t n_fft, const Frames& f, std::string_view pad_mode) {
  if (x.ndim() == 0) throw ValueError("[stft] x is a scalar; need at least one axis: that of time.");
  int64_t hop = checked_hop(n_fft, f, "stft");
  array window = full_window(n_fft, f, "stft");
  bool onesided = f.onesided.value_or(!is_complex(x.dtype()));
  array signal = is_complex(x.dtype()) ? x : astype(x, Dtype::float32);
  if (f.center) signal = pad(signal, {-1}, {n_fft / 2}, {n_fft / 2}, array(), parse_pad_mode(pad_mode));
  int64_t length = signal.shape(-1);
  if (length < n_fft) {
    throw ValueError(cat("[stft] the signal is shorter than a frame: it has ", length, " samples, n_fft is ", n_fft, "."));
  }
  Shape outer(signal.shape().begin(), signal.shape().end() - 1);
  Strides strides = row_strides(signal.shape());
  strides.back() = hop;
  strides.push_back(1);
  array frames = as_strided(signal, joined(outer, {1 + (length - n_fft) / hop, n_fft}), strides) * window;
  return swapaxes(onesided ? rfft(frames, {}, -1, f.norm) : fft(frames, {}, -1, f.norm), -1, -2);
}

array istft(const array& stft_matrix, std::optional<int64_t> n, const Frames& f, std::optional<int64_t> length) {
  if (stft_matrix.ndim() < 2) {
    throw ValueError(cat("[istft] stft_matrix needs two axes, (frequencies, frames): its shape is ", stft_matrix.shape(), "."));
  }
  bool onesided = f.onesided.value_or(true);
  int64_t n_freq = stft_matrix.shape(-2), n_frames = stft_matrix.shape(-1);
  int64_t n_fft = n.value_or(onesided ? 2 * (n_freq - 1) : n_freq);
  int64_t hop = checked_hop(n_fft, f, "istft");
  array window = full_window(n_fft, f, "istft");
  if (n_frames == 0) throw ValueError(cat("[istft] there are no frames: stft_matrix has shape ", stft_matrix.shape(), "."));
  array spectra = swapaxes(stft_matrix, -1, -2);
  array frames = (onesided ? irfft(spectra, n_fft, -1, f.norm) : real(ifft(spectra, n_fft, -1, f.norm))) * window;
  int64_t total = n_fft + hop * (n_frames - 1);
  array weight = overlap_add(broadcast_to(square(window), {n_frames, n_fft}), total, hop);
  // Where no window reaches the signal is 0.
  array signal = overlap_add(frames, total, hop) / maximum(weight, array(1e-8, real_type(weight.dtype())));
  int64_t start = f.center ? n_fft / 2 : 0;
  if (!length) return slice_along(signal, -1, start, std::max(start, total - start));
  int64_t wanted = std::max<int64_t>(*length, 0), stop = std::min(start + wanted, total);
  signal = slice_along(signal, -1, start, stop);
  return pad(signal, {-1}, {0}, {wanted - signal.shape(-1)});
}

}  // namespace mx::fft

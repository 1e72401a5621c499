// ops_fft.cpp — the module mx.fft (ops/fft.h): transforms. Frequencies, shifts and short-time transforms are in
// ops_fft_time.cpp, and with them the Walsh-Hadamard transform.

#include "bindings/bind.h"
#include "ops/fft.h"

namespace mx::python {

void bind_fft_time(py::module_& m);
void bind_hadamard(py::module_& m);

namespace {

fft::Norm norm_of(const Args& a, int i) { return fft::parse_norm(a.str(i), a.signature().name); }

void bind_one_axis(py::module_& m) {
  def(m, "fft(a, n=None, axis=-1, norm='backward', stream=None)", R"(Transform an axis to frequencies: X[k] = sum over j of x[j] exp(-2πi jk / n).

Any length is fast, primes too.

Args:
    a (array): Any shape and dtype but a scalar.
    n (int, optional): Size of the axis: the input is cut or filled up with zeros at the end. Default: that of `a`.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, the axis of size `n`.

Raises:
    ValueError: If the axis is out of range, the size is not positive, or the norm is unknown.

Example:
    >>> mx.fft.fft(mx.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [(10+0j), (-2+2j), (-2+0j), (-2-2j)]
)",
      [](const Args& a) { return fft::fft(a.arr(0), a.opt_integer(1), a.small(2), norm_of(a, 3)); });

  def(m, "ifft(a, n=None, axis=-1, norm='backward', stream=None)", R"(Transform an axis back from frequencies: x[j] = sum over k of X[k] exp(2πi jk / n) / n.

Args:
    a (array): Any shape and dtype but a scalar.
    n (int, optional): Size of the axis: the input is cut or filled up with zeros at the end. Default: that of `a`.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, the axis of size `n`.

Raises:
    ValueError: If the axis is out of range, the size is not positive, or the norm is unknown.

Example:
    >>> mx.fft.ifft(mx.array([10, -2 + 2j, -2, -2 - 2j])).tolist()
    [(1+0j), (2+0j), (3+0j), (4+0j)]
)",
      [](const Args& a) { return fft::ifft(a.arr(0), a.opt_integer(1), a.small(2), norm_of(a, 3)); });

  def(m, "rfft(a, n=None, axis=-1, norm='backward', stream=None)", R"(Transform an axis of real numbers to the frequencies that are not negative.

The others would be their conjugates.

Args:
    a (array): Any shape but a scalar. Of complex numbers the imaginary part is dropped.
    n (int, optional): Size of the axis: the input is cut or filled up with zeros at the end. Default: that of `a`.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, the axis of size `n // 2 + 1`.

Raises:
    ValueError: If the axis is out of range, the size is not positive, or the norm is unknown.

Example:
    >>> mx.fft.rfft(mx.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [(10+0j), (-2+2j), (-2+0j)]
)",
      [](const Args& a) { return fft::rfft(a.arr(0), a.opt_integer(1), a.small(2), norm_of(a, 3)); });

  def(m, "irfft(a, n=None, axis=-1, norm='backward', stream=None)", R"(Transform frequencies that are not negative back to real numbers; the inverse of rfft.

Imaginary parts at frequency 0 and, for even `n`, at the highest are ignored.

Args:
    a (array): Any shape and dtype but a scalar.
    n (int, optional): Size of the result: the input is cut or filled up with zeros to
        `n // 2 + 1`. Default: `2 * (a.shape[axis] - 1)`; pass it for an odd size.
    axis (int, optional): The axis to transform. Default: -1.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: float32, the axis of size `n`.

Raises:
    ValueError: If the axis is out of range, the size is not positive, or the norm is unknown.

Example:
    >>> mx.fft.irfft(mx.array([10, -2 + 2j, -2]), n=4).tolist()
    [1.0, 2.0, 3.0, 4.0]
)",
      [](const Args& a) { return fft::irfft(a.arr(0), a.opt_integer(1), a.small(2), norm_of(a, 3)); });
}

void bind_several_axes(py::module_& m) {
  def(m, "fft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)", R"(Transform two axes to frequencies; see `fft`.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform. Default: the last two.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.fft2(mx.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[(10+0j), (-2+0j)], [(-4+0j), 0j]]
)",
      [](const Args& a) { return fft::fft2(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "ifft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)", R"(Transform two axes back from frequencies; see `ifft`.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform. Default: the last two.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.ifft2(mx.array([[10.0, -2.0], [-4.0, 0.0]])).tolist()
    [[(1+0j), (2+0j)], [(3+0j), (4+0j)]]
)",
      [](const Args& a) { return fft::ifft2(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "rfft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)", R"(Transform two axes of real numbers, the last of them as `rfft` does, the others as `fft`.

Args:
    a (array): Any shape but a scalar. Of complex numbers the imaginary part is dropped.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform. Default: the last two.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`, the last of them `s[-1] // 2 + 1`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.rfft2(mx.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])).shape
    (2, 2)
)",
      [](const Args& a) { return fft::rfft2(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "irfft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)", R"(Transform two axes back to real numbers: the inverse of rfft2.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of the result; the input is cut or filled up to them, along the last of
        `axes` to `s[-1] // 2 + 1`. Default: those of `a`, the last one `2 * (m - 1)`.
    axes (tuple of int, optional): The axes to transform. Default: the last two.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: float32, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> x = mx.array([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]])
    >>> mx.allclose(mx.fft.irfft2(mx.fft.rfft2(x)), x).item()
    True
)",
      [](const Args& a) { return fft::irfft2(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "fftn(a, s=None, axes=None, norm='backward', stream=None)", R"(Transform several axes to frequencies; see `fft`.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform; must be given if `s` is. Default: None, all of them.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.fftn(mx.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[(10+0j), (-2+0j)], [(-4+0j), 0j]]
)",
      [](const Args& a) { return fft::fftn(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "ifftn(a, s=None, axes=None, norm='backward', stream=None)", R"(Transform several axes back from frequencies; see `ifft`.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform; must be given if `s` is. Default: None, all of them.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.ifftn(mx.array([[10.0, -2.0], [-4.0, 0.0]])).tolist()
    [[(1+0j), (2+0j)], [(3+0j), (4+0j)]]
)",
      [](const Args& a) { return fft::ifftn(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "rfftn(a, s=None, axes=None, norm='backward', stream=None)", R"(Transform several axes of real numbers, the last of them as `rfft` does, the others as `fft`.

Args:
    a (array): Any shape but a scalar. Of complex numbers the imaginary part is dropped.
    s (tuple of int, optional): Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.
    axes (tuple of int, optional): The axes to transform; must be given if `s` is. Default: None, all of them.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: complex64, with the sizes `s`, the last of them `s[-1] // 2 + 1`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> mx.fft.rfftn(mx.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])).shape
    (2, 2)
)",
      [](const Args& a) { return fft::rfftn(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });

  def(m, "irfftn(a, s=None, axes=None, norm='backward', stream=None)", R"(Transform several axes back to real numbers: the inverse of rfftn.

Args:
    a (array): Any shape and dtype but a scalar.
    s (tuple of int, optional): Sizes of the result; the input is cut or filled up to them, along the last of
        `axes` to `s[-1] // 2 + 1`. Default: those of `a`, the last one `2 * (m - 1)`.
    axes (tuple of int, optional): The axes to transform; must be given if `s` is. Default: None, all of them.
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".

Returns:
    array: float32, with the sizes `s`.

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    >>> x = mx.array([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]])
    >>> mx.allclose(mx.fft.irfftn(mx.fft.rfftn(x)), x).item()
    True
)",
      [](const Args& a) { return fft::irfftn(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });
}

}  // namespace

void bind_fft(py::module_& parent) {
  py::module_ m = parent.def_submodule("fft", "Discrete Fourier transforms.");
  bind_one_axis(m);
  bind_several_axes(m);
  bind_fft_time(m);
  bind_hadamard(parent);
}

}  // namespace mx::python

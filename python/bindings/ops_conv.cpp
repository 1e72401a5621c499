// ops_conv.cpp — Python functions that convolve (ops/conv.h).

#include "bindings/bind.h"
#include "ops/conv.h"

namespace mx::python {

namespace {

// Zeros in front of and behind the input.
struct Padding {
  Shape low, high;
};

bool is_sequence(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o); }

// A number or a list of numbers, for both sides; or a pair of lists: one for the front, one for behind.
Padding padding_of(const Args& a, int i) {
  PyObject* o = a.raw(i);
  if (is_sequence(o) && PySequence_Fast_GET_SIZE(o) == 2 && is_sequence(PySequence_Fast_GET_ITEM(o, 0)) &&
      is_sequence(PySequence_Fast_GET_ITEM(o, 1))) {
    auto pair = py::reinterpret_borrow<py::sequence>(o);
    return {to_shape(py::object(pair[0]).ptr(), a.what(i)), to_shape(py::object(pair[1]).ptr(), a.what(i))};
  }
  Shape both = a.shape(i);
  return {both, both};
}

array conv1d_of(const Args& a) { return conv1d(a.arr(0), a.arr(1), a.integer(2), a.integer(3), a.integer(4), a.integer(5)); }

template <array (*F)(const array&, const array&, const Shape&, const Shape&, const Shape&, int64_t)>
array conv_of(const Args& a) {
  return F(a.arr(0), a.arr(1), a.shape(2), a.shape(3), a.shape(4), a.integer(5));
}

array conv_general_of(const Args& a) {
  Padding p = padding_of(a, 3);
  return conv_general(a.arr(0), a.arr(1), a.shape(2), p.low, p.high, a.shape(4), a.shape(5), a.integer(6), a.flag(7));
}

array conv_transpose1d_of(const Args& a) {
  return conv_transpose1d(a.arr(0), a.arr(1), a.integer(2), a.integer(3), a.integer(4), a.integer(5), a.integer(6));
}

template <array (*F)(const array&, const array&, const Shape&, const Shape&, const Shape&, const Shape&, int64_t)>
array conv_transpose_of(const Args& a) {
  return F(a.arr(0), a.arr(1), a.shape(2), a.shape(3), a.shape(4), a.shape(5), a.integer(6));
}

void bind_plain(py::module_& m) {
  def(m, "conv1d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
      R"(Convolve along one axis, with channels.

The weights are not flipped: this is what neural networks call a convolution. float16 and bfloat16 are summed in float32.

Args:
    input (array): Shape (N, L, C_in), floating or complex.
    weight (array): Shape (C_out, K, C_in / groups).
    stride (int, optional): Steps between outputs. Default: 1.
    padding (int, optional): Zeros put on both sides of the input; a negative number cuts. Default: 0.
    dilation (int, optional): Steps between the weights. Default: 1.
    groups (int, optional): Parts that input and output channels are cut into; each output part sees its own input part.
        Default: 1.

Returns:
    array: Shape (N, (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1, C_out), in the promoted dtype.

Raises:
    ValueError: If the shapes do not fit, the kernel is larger than the padded input, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> x = mx.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    >>> mx.conv1d(x, mx.array([1.0, -1.0]).reshape(1, 2, 1)).flatten().tolist()
    [-1.0, -1.0, -1.0]
)",
      conv1d_of);

  def(m, "conv2d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
      R"(Convolve along two axes, with channels.

Args:
    input (array): Shape (N, H, W, C_in), floating or complex.
    weight (array): Shape (C_out, KH, KW, C_in / groups).
    stride (int or tuple(int, int), optional): Steps between outputs. Default: 1.
    padding (int or tuple(int, int), optional): Zeros put on both sides of each axis; a negative number cuts. Default: 0.
    dilation (int or tuple(int, int), optional): Steps between the weights. Default: 1.
    groups (int, optional): Parts that the channels are cut into; C_in of them make a depthwise convolution. Default: 1.

Returns:
    array: Shape (N, H_out, W_out, C_out); sizes as for conv1d.

Raises:
    ValueError: If the shapes do not fit, the kernel is larger than the padded input, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> mx.conv2d(mx.ones((1, 4, 4, 3)), mx.ones((8, 3, 3, 3)), stride=(1, 2), padding=1).shape
    (1, 4, 2, 8)
)",
      conv_of<conv2d>);

  def(m, "conv3d(input, weight, /, stride=1, padding=0, dilation=1, groups=1, *, stream=None)",
      R"(Convolve along three axes, with channels.

Args:
    input (array): Shape (N, D, H, W, C_in), floating or complex.
    weight (array): Shape (C_out, KD, KH, KW, C_in / groups).
    stride (int or tuple(int, int, int), optional): Steps between outputs. Default: 1.
    padding (int or tuple(int, int, int), optional): Zeros put on both sides of each axis; a negative number cuts. Default: 0.
    dilation (int or tuple(int, int, int), optional): Steps between the weights. Default: 1.
    groups (int, optional): Parts that the channels are cut into. Default: 1.

Returns:
    array: Shape (N, D_out, H_out, W_out, C_out); sizes as for conv1d.

Raises:
    ValueError: If the shapes do not fit, the kernel is larger than the padded input, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> mx.conv3d(mx.ones((1, 4, 4, 4, 2)), mx.ones((5, 2, 2, 2, 2))).shape
    (1, 3, 3, 3, 5)
)",
      conv_of<conv3d>);

  def(m, "conv_general(input, weight, /, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False, *, stream=None)",
      R"(Convolve along any number of axes, with every freedom.

The input is spread out by `input_dilation`, then padded, then the weights slide over it.

Args:
    input (array): Shape (N, ..., C_in), floating or complex, with one spatial axis or more.
    weight (array): Shape (C_out, ..., C_in / groups).
    stride (int or list(int), optional): Steps between outputs, for all axes or for each. Default: 1.
    padding (int, list(int) or tuple(list(int), list(int)), optional): Zeros on both sides of each axis; or a pair: those in
        front, those behind. Negative numbers cut. Default: 0.
    kernel_dilation (int or list(int), optional): Steps between the weights. Default: 1.
    input_dilation (int or list(int), optional): Steps between the elements of the input, with zeros in between. Default: 1.
    groups (int, optional): Parts that the channels are cut into. Default: 1.
    flip (bool, optional): Whether to turn the weights around along the spatial axes, as signal processing does. Default: False.

Returns:
    array: Shape (N, ..., C_out), in the promoted dtype.

Raises:
    ValueError: If the shapes do not fit, the kernel is larger than the padded input, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> x, w = mx.array([1.0, 2.0, 3.0]).reshape(1, 3, 1), mx.array([1.0, 10.0]).reshape(1, 2, 1)
    >>> mx.conv_general(x, w, padding=([1], [0]), flip=True).flatten().tolist()
    [1.0, 12.0, 23.0]
)",
      conv_general_of);
}

void bind_transposed(py::module_& m) {
  def(m, "conv_transpose1d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, groups=1, *, stream=None)",
      R"(Convolve along one axis the other way: every input element adds its weights to the output.

With the channels exchanged this is the gradient of conv1d with respect to its input.

Args:
    input (array): Shape (N, L, C_in), floating or complex.
    weight (array): Shape (C_out, K, C_in / groups).
    stride (int, optional): Steps in the output between inputs. Default: 1.
    padding (int, optional): Elements cut from both ends of the output. Default: 0.
    dilation (int, optional): Steps between the weights. Default: 1.
    output_padding (int, optional): Elements put at the end of the output. Default: 0.
    groups (int, optional): Parts that the channels are cut into. Default: 1.

Returns:
    array: Shape (N, (L - 1) * stride - 2 * padding + dilation * (K - 1) + 1 + output_padding, C_out).

Raises:
    ValueError: If the shapes do not fit, nothing is left of the output, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> x, w = mx.array([1.0, 2.0]).reshape(1, 2, 1), mx.array([1.0, 10.0, 100.0]).reshape(1, 3, 1)
    >>> mx.conv_transpose1d(x, w, stride=2).flatten().tolist()
    [1.0, 10.0, 102.0, 20.0, 200.0]
)",
      conv_transpose1d_of);

  def(m, "conv_transpose2d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, groups=1, *, stream=None)",
      R"(Convolve along two axes the other way: every input element adds its weights to the output.

Args:
    input (array): Shape (N, H, W, C_in), floating or complex.
    weight (array): Shape (C_out, KH, KW, C_in / groups).
    stride (int or tuple(int, int), optional): Steps in the output between inputs. Default: 1.
    padding (int or tuple(int, int), optional): Elements cut from both ends of each axis of the output. Default: 0.
    dilation (int or tuple(int, int), optional): Steps between the weights. Default: 1.
    output_padding (int or tuple(int, int), optional): Elements put at the end of each axis of the output. Default: 0.
    groups (int, optional): Parts that the channels are cut into. Default: 1.

Returns:
    array: Shape (N, H_out, W_out, C_out); sizes as for conv_transpose1d.

Raises:
    ValueError: If the shapes do not fit, nothing is left of the output, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> mx.conv_transpose2d(mx.ones((1, 4, 4, 3)), mx.ones((8, 2, 2, 3)), stride=2).shape
    (1, 8, 8, 8)
)",
      conv_transpose_of<conv_transpose2d>);

  def(m, "conv_transpose3d(input, weight, /, stride=1, padding=0, dilation=1, output_padding=0, groups=1, *, stream=None)",
      R"(Convolve along three axes the other way: every input element adds its weights to the output.

Args:
    input (array): Shape (N, D, H, W, C_in), floating or complex.
    weight (array): Shape (C_out, KD, KH, KW, C_in / groups).
    stride (int or tuple(int, int, int), optional): Steps in the output between inputs. Default: 1.
    padding (int or tuple(int, int, int), optional): Elements cut from both ends of each axis of the output. Default: 0.
    dilation (int or tuple(int, int, int), optional): Steps between the weights. Default: 1.
    output_padding (int or tuple(int, int, int), optional): Elements put at the end of each axis of the output. Default: 0.
    groups (int, optional): Parts that the channels are cut into. Default: 1.

Returns:
    array: Shape (N, D_out, H_out, W_out, C_out); sizes as for conv_transpose1d.

Raises:
    ValueError: If the shapes do not fit, nothing is left of the output, or a parameter is not positive.
    DtypeError: If the input holds integers.

Example:
    >>> mx.conv_transpose3d(mx.ones((1, 2, 2, 2, 3)), mx.ones((4, 3, 3, 3, 3)), padding=1).shape
    (1, 2, 2, 2, 4)
)",
      conv_transpose_of<conv_transpose3d>);
}

}  // namespace

void bind_conv(py::module_& m) {
  bind_plain(m);
  bind_transposed(m);

  def(m, "convolve(a, v, /, mode='full', *, stream=None)", R"(Convolve two vectors, as numpy.convolve does.

The second is turned around, as signal processing does. If it is the longer one the two change places.

Args:
    a (array): Shape (n,), floating or complex.
    v (array): Shape (k,).
    mode (str, optional): 'full': all n + k - 1 positions where they overlap; 'same': as many as the longer has elements, from
        the middle; 'valid': those where they overlap completely. Default: 'full'.

Returns:
    array: One axis.

Raises:
    ValueError: If an argument is empty or not a vector, or the mode is none of these.
    DtypeError: If the longer one holds integers.

Example:
    >>> mx.convolve(mx.array([1.0, 2.0, 3.0]), mx.array([0.0, 1.0, 0.5])).tolist()
    [0.0, 1.0, 2.5, 4.0, 1.5]
)",
      [](const Args& a) { return convolve(a.arr(0), a.arr(1), a.str(2)); });
}

}  // namespace mx::python

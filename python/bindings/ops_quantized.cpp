// ops_quantized.cpp — quantized weights, products with them, and fp8 (ops/quantized.h).

#include "bindings/bind.h"
#include "ops/quantized.h"

namespace mx::python {

namespace {

void bind_conversion(py::module_& m) {
  def(m, "quantize(w, /, group_size=None, bits=None, mode='affine', *, global_scale=None, stream=None)", R"(Quantize a matrix: store it in few bits an element.

Each row is cut into groups of `group_size` elements that share a scale (and, in 'affine' mode, a bias). The codes of a
row are packed into uint32 words, from the lowest bit on.

| mode | group_size | bits | an element | scales | biases |
|---|---|---|---|---|---|
| 'affine' | 32, 64 (default), 128 | 1, 2, 3, 4 (default), 5, 6, 8 | an integer | dtype of `w` | yes |
| 'mxfp4' | 32 | 4 | e2m1 | uint8: powers of two (e8m0) | no |
| 'mxfp8' | 32 | 8 | e4m3 | uint8: powers of two (e8m0) | no |
| 'nvfp4' | 16 | 4 | e2m1 | uint8: e4m3 | no |

Scales and biases of 'affine' mode are differentiable functions of `w`; words and bytes are integers.

Args:
    w (array): Shape (..., r, n), float32, float16, bfloat16 or float64; n must be a multiple of the group size.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): One of the above. Default: 'affine'.
    global_scale (array, optional): For 'nvfp4': a float32 scalar, the largest magnitude in the whole tensor; the scales
        then make the most of their range. Default: None.

Returns:
    list of array: words (..., r, n * bits / 32) uint32, scales (..., r, n / group_size) and, in 'affine' mode, biases of
    the same shape.

Raises:
    ValueError: If there is no such format, `w` is not real and floating, has fewer than two axes, or its last axis does
        not divide into groups.

Example:
    >>> w = mx.arange(64.0).reshape(1, 64)
    >>> words, scales, biases = mx.quantize(w)
    >>> words.shape, scales.item(), biases.item()
    ((1, 8), -4.199999809265137, 63.0)
)",
      [](const Args& a) { return quantize(a.arr(0), a.opt_small(1), a.opt_small(2), a.str(3), a.opt_arr(4)); });

  def(m, "dequantize(w, /, scales, biases=None, group_size=None, bits=None, mode='affine', global_scale=None, dtype=None, *, stream=None)",
      R"(Compute the matrix that a quantized one stands for.

In 'affine' mode an element is scale * code + bias, else scale * number. Differentiable in scales, biases and global scale.

Args:
    w (array): Words, shape (..., r, p), uint32.
    scales (array): Shape (..., r, g), as `quantize` returns them.
    biases (array, optional): Shape of `scales`; needed in 'affine' mode, else None.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): 'affine', 'mxfp4', 'mxfp8' or 'nvfp4'; see `quantize`. Default: 'affine'.
    global_scale (array, optional): For 'nvfp4': what `quantize` was given. Default: None.
    dtype (Dtype, optional): The result's. Default: that of scales and biases in 'affine' mode, float32 with a global scale,
        else bfloat16.

Returns:
    array: Shape (..., r, g * group_size).

Raises:
    ValueError: If the arrays do not belong together or do not fit the format.

Example:
    >>> w = mx.arange(64.0).reshape(1, 64)
    >>> mx.dequantize(*mx.quantize(w, bits=8), bits=8)[0, -3:].tolist()
    [61.023529052734375, 62.01176452636719, 63.0]
)",
      [](const Args& a) {
        return dequantize(a.arr(0), a.arr(1), a.opt_arr(2), a.opt_small(3), a.opt_small(4), a.str(5), a.opt_arr(6), a.opt_dtype(7));
      });

  def(m, "to_fp8(x, *, stream=None)", R"(Convert to fp8 numbers (e4m3: a sign, 4 bits of exponent, 3 of mantissa).

Rounds to nearest even. Magnitudes above 448, the largest number, become 448, and so does NaN.

Args:
    x (array): Any shape, a real floating dtype.

Returns:
    array: uint8, shaped like `x`.

Raises:
    ValueError: If `x` is not real and floating.

Example:
    >>> mx.to_fp8(mx.array([1.0, -2.0, 1000.0])).tolist()
    [56, 192, 126]
)",
      [](const Args& a) { return to_fp8(a.arr(0)); });

  def(m, "from_fp8(x, dtype=bfloat16, *, stream=None)", R"(Convert fp8 numbers (e4m3) to another floating dtype.

Args:
    x (array): Any shape, uint8; 127 and 255 are NaN.
    dtype (Dtype, optional): The result's. Default: bfloat16.

Returns:
    array: Shape of `x`.

Raises:
    ValueError: If `x` is not uint8 or `dtype` is not real and floating.

Example:
    >>> mx.from_fp8(mx.to_fp8(mx.array([1.0, 1.1, 500.0])), mx.float32).tolist()
    [1.0, 1.125, 448.0]
)",
      [](const Args& a) { return from_fp8(a.arr(0), a.dtype(1)); });
}

void bind_products(py::module_& m) {
  def(m, "quantized_matmul(x, w, /, scales, biases=None, transpose=True, group_size=None, bits=None, mode='affine', *, stream=None)",
      R"(Multiply by a quantized matrix, which is unpacked on the way.

Differentiable in `x` and, in 'affine' mode, in scales and biases.

Args:
    x (array): Shape (..., m, k) or (k,). In 'affine' mode the dtypes of x, scales and biases are promoted.
    w (array): Words of a matrix (..., r, n), uint32; batch axes broadcast with those of `x`.
    scales (array): As `quantize` returns them.
    biases (array, optional): As `quantize` returns them in 'affine' mode, else None.
    transpose (bool, optional): Multiply by the transposed matrix: k is n and the result (..., m, r). If False k is r and
        the result (..., m, n). Default: True.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): 'affine', 'mxfp4', 'mxfp8' or 'nvfp4'; see `quantize`. Default: 'affine'.

Returns:
    array: The product. Sums are kept in float32 (float64 for float64).

Raises:
    ValueError: If the arrays do not belong together, do not fit the format, or inner dimensions differ.

Example:
    >>> q = mx.quantize(mx.eye(64), bits=8)
    >>> mx.quantized_matmul(mx.ones((2, 64)), *q, bits=8).shape
    (2, 64)
)",
      [](const Args& a) {
        return quantized_matmul(a.arr(0), a.arr(1), a.arr(2), a.opt_arr(3), a.flag(4), a.opt_small(5), a.opt_small(6), a.str(7));
      });

  def(m, "gather_qmm(x, w, /, scales, biases=None, lhs_indices=None, rhs_indices=None, transpose=True, group_size=None, bits=None, mode='affine', "
         "global_scale=None, *, sorted_indices=False, stream=None)",
      R"(Multiply matrices chosen by index by quantized ones chosen by index.

Result i is x[lhs_indices[i]] times w[rhs_indices[i]], with indices into the flattened batch axes; see `gather_mm` and
`quantized_matmul`. Each matrix is unpacked once, however often it is chosen.

Args:
    x (array): Shape (..., m, k).
    w (array): Words of matrices (..., r, n), uint32.
    scales (array): As `quantize` returns them.
    biases (array, optional): As `quantize` returns them in 'affine' mode, else None.
    lhs_indices (array, optional): Integers; negative ones count from the end. Default: all of `x` in order.
    rhs_indices (array, optional): The same for `w`; the indices broadcast. Without any indices, batch axes broadcast.
    transpose (bool, optional): Multiply by the transposed matrices. Default: True.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): 'affine', 'mxfp4', 'mxfp8' or 'nvfp4'; see `quantize`. Default: 'affine'.
    global_scale (array, optional): For 'nvfp4': what `quantize` was given. Default: None.
    sorted_indices (bool, optional): A hint; results are the same. Default: False.

Returns:
    array: Shape (*indices, m, r), or (*indices, m, n) without `transpose`.

Raises:
    ValueError: As for `quantized_matmul`, and if the indices are not integers or do not broadcast.
    IndexError: When the result is computed, if an index is out of bounds.

Example:
    >>> q = mx.quantize(mx.ones((3, 32, 64)))
    >>> mx.gather_qmm(mx.ones((2, 1, 64)), *q, rhs_indices=mx.array([2, 0])).shape
    (2, 1, 32)
)",
      [](const Args& a) {
        return gather_qmm(a.arr(0), a.arr(1), a.arr(2), a.opt_arr(3), a.opt_arr(4), a.opt_arr(5), a.flag(6), a.opt_small(7), a.opt_small(8),
                          a.str(9), a.opt_arr(10), a.flag(11));
      });

  def(m, "qqmm(x, w, scales=None, group_size=None, bits=None, mode='nvfp4', global_scale_x=None, global_scale_w=None, *, stream=None)",
      R"(Multiply x by the transposed w with both quantized: x @ w.T, each rounded to the format first.

`w` is either packed, with its scales, or floating, and then quantized on the way as `x` always is. Derivatives pass straight
through the rounding: they are those of the product at the rounded values. A packed `w` has none.

Args:
    x (array): Shape (..., m, k) or (k,), floating; k must be a multiple of the group size.
    w (array): Words of a matrix (n, k), uint32; or a floating matrix (n, k).
    scales (array, optional): Those of a packed `w`. Default: None.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): 'nvfp4', 'mxfp8' or 'mxfp4'; see `quantize`. Default: 'nvfp4'.
    global_scale_x (array, optional): For 'nvfp4': a float32 scalar, the largest magnitude in `x`. Default: None.
    global_scale_w (array, optional): The same for `w`; both or neither. Default: None.

Returns:
    array: Shape (..., m, n), dtype of `x` (promoted with that of a floating `w`).

Raises:
    ValueError: If the arrays do not fit each other or the format.

Example:
    >>> x, w = mx.ones((2, 32)), mx.ones((3, 32))
    >>> mx.qqmm(x, *mx.quantize(w, mode='nvfp4')).shape
    (2, 3)
)",
      [](const Args& a) {
        return qqmm(a.arr(0), a.arr(1), a.opt_arr(2), a.opt_small(3), a.opt_small(4), a.str(5), a.opt_arr(6), a.opt_arr(7));
      });

  def(m, "gather_qqmm(x, w, /, scales=None, lhs_indices=None, rhs_indices=None, group_size=None, bits=None, mode='nvfp4', global_scale_x=None, "
         "global_scale_w=None, *, sorted_indices=False, stream=None)",
      R"(Multiply matrices chosen by index with both factors quantized; see `qqmm` and `gather_qmm`.

Args:
    x (array): Shape (..., m, k), floating; k must be a multiple of the group size.
    w (array): Words of matrices (..., n, k), uint32; or floating matrices (..., n, k).
    scales (array, optional): Those of a packed `w`. Default: None.
    lhs_indices (array, optional): Integers into the flattened batch axes of `x`. Default: all in order.
    rhs_indices (array, optional): The same for `w`; the indices broadcast.
    group_size (int, optional): Elements that share a scale. Default: the mode's.
    bits (int, optional): Bits of an element. Default: the mode's.
    mode (str, optional): 'nvfp4', 'mxfp8' or 'mxfp4'; see `quantize`. Default: 'nvfp4'.
    global_scale_x (array, optional): For 'nvfp4': a float32 scalar, the largest magnitude in `x`. Default: None.
    global_scale_w (array, optional): The same for `w`; both or neither. Default: None.
    sorted_indices (bool, optional): A hint; results are the same. Default: False.

Returns:
    array: Shape (*indices, m, n), dtype of `x` (promoted with that of a floating `w`).

Raises:
    ValueError: If the arrays do not fit each other or the format.
    IndexError: When the result is computed, if an index is out of bounds.

Example:
    >>> x, w = mx.ones((2, 1, 32)), mx.ones((3, 8, 32))
    >>> mx.gather_qqmm(x, w, rhs_indices=mx.array([2, 0])).shape
    (2, 1, 8)
)",
      [](const Args& a) {
        return gather_qqmm(a.arr(0), a.arr(1), a.opt_arr(2), a.opt_arr(3), a.opt_arr(4), a.opt_small(5), a.opt_small(6), a.str(7), a.opt_arr(8),
                           a.opt_arr(9), a.flag(10));
      });
}

}  // namespace

void bind_quantized(py::module_& m) {
  bind_conversion(m);
  bind_products(m);
}

}  // namespace mx::python

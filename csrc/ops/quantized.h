// quantized.h — matrices of few bits an element, and products with them. The formats, and what a derivative means
// there, are described in docs/quantization.md.
//
// A quantized matrix is two or three arrays: uint32 words (..., r, p), scales (..., r, g) and, in affine mode, biases of the
// same shape. Absent group sizes and bits are the mode's defaults. Sources: quantized.cpp (conversion),
// quantized_matmul.cpp (products).
#pragma once

#include <optional>
#include <string_view>

#include "graph/array.h"
#include "ops/quantized_params.h"

namespace mx {

/// Words, scales and, if affine, biases of w (..., r, n). Scales and biases are differentiable functions of w.
/// `global_scale` is the largest magnitude of the whole tensor, a float32 scalar, for nvfp4 only.
Arrays quantize(const array& w, std::optional<int> group_size = {}, std::optional<int> bits = {}, std::string_view mode = "affine",
                const std::optional<array>& global_scale = {});

/// The matrix that these stand for. The dtype, if not given, is that of scales and biases, float32 with a global
/// scale, else bfloat16. Differentiable in scales, biases and global scale.
array dequantize(const array& w, const array& scales, const std::optional<array>& biases = {}, std::optional<int> group_size = {},
                 std::optional<int> bits = {}, std::string_view mode = "affine", const std::optional<array>& global_scale = {},
                 std::optional<Dtype> dtype = {});

/// x @ wᵀ, or x @ w without `transpose`, for a quantized w. Batch axes broadcast; x may be a vector.
array quantized_matmul(const array& x, const array& w, const array& scales, const std::optional<array>& biases = {},
                       bool transpose = true, std::optional<int> group_size = {}, std::optional<int> bits = {},
                       std::string_view mode = "affine");

/// quantized_matmul of matrices chosen by indices into the flattened batch axes of x and w; the indices broadcast. Absent
/// ones take the matrices in order. One out of bounds raises IndexError when the result is computed.
array gather_qmm(const array& x, const array& w, const array& scales, const std::optional<array>& biases = {},
                 const std::optional<array>& lhs_indices = {}, const std::optional<array>& rhs_indices = {}, bool transpose = true,
                 std::optional<int> group_size = {}, std::optional<int> bits = {}, std::string_view mode = "affine",
                 const std::optional<array>& global_scale = {}, bool sorted_indices = false);

/// x @ wᵀ with both quantized: x and a floating w are rounded to the format on the way; a packed w comes with scales. The
/// derivative passes straight through the rounding.
array qqmm(const array& x, const array& w, const std::optional<array>& scales = {}, std::optional<int> group_size = {},
           std::optional<int> bits = {}, std::string_view mode = "nvfp4", const std::optional<array>& global_scale_x = {},
           const std::optional<array>& global_scale_w = {});

/// qqmm of matrices chosen by index, as gather_qmm.
array gather_qqmm(const array& x, const array& w, const std::optional<array>& scales = {},
                  const std::optional<array>& lhs_indices = {}, const std::optional<array>& rhs_indices = {},
                  std::optional<int> group_size = {}, std::optional<int> bits = {}, std::string_view mode = "nvfp4",
                  const std::optional<array>& global_scale_x = {}, const std::optional<array>& global_scale_w = {},
                  bool sorted_indices = false);

/// `x` as fp8 numbers (e4m3: 4 bits of exponent, 3 of mantissa) in uint8, to nearest even; what is larger than 448, and
/// NaN, becomes 448 with its sign.
array to_fp8(const array& x);
/// The numbers that fp8 bytes stand for.
array from_fp8(const array& x, Dtype dtype = Dtype::bfloat16);

}  // namespace mx

// conv.h — convolutions of any number of spatial dimensions, channels last:
//
//     input (N, spatial..., C_in), weight (C_out, spatial..., C_in / groups) -> (N, spatial..., C_out)
//
// Weights slide over the input without being flipped (cross-correlation) unless `flip` says so. Group g of the input's
// channels meets group g of the output's. Lists of one number hold for every spatial axis; empty ones mean the default.
// The records with their rules are in conv_rules.cpp.
#pragma once

#include <string_view>

#include "graph/array.h"

namespace mx {

/// Any number of spatial axes. The input is first spread out by `input_dilation` (zeros in between), then padded
/// with `padding_low` zeros in front and `padding_high` behind (negative ones cut). Floating or complex.
array conv_general(const array& input, const array& weight, const Shape& stride = {}, const Shape& padding_low = {},
                   const Shape& padding_high = {}, const Shape& kernel_dilation = {}, const Shape& input_dilation = {},
                   int64_t groups = 1, bool flip = false);

/// input (N, L, C_in), weight (C_out, K, C_in / groups), and so for two and three dimensions.
array conv1d(const array& input, const array& weight, int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1,
             int64_t groups = 1);
array conv2d(const array& input, const array& weight, const Shape& stride = {}, const Shape& padding = {}, const Shape& dilation = {},
             int64_t groups = 1);
array conv3d(const array& input, const array& weight, const Shape& stride = {}, const Shape& padding = {}, const Shape& dilation = {},
             int64_t groups = 1);

/// The gradient of a convolution with respect to its input, as an operation: every input element adds its weights to the
/// output. Sizes become (size - 1) * stride - 2 * padding + dilation * (K - 1) + 1 + output_padding.
/// weight (C_out, K, C_in / groups).
array conv_transpose1d(const array& input, const array& weight, int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1,
                       int64_t output_padding = 0, int64_t groups = 1);
array conv_transpose2d(const array& input, const array& weight, const Shape& stride = {}, const Shape& padding = {},
                       const Shape& dilation = {}, const Shape& output_padding = {}, int64_t groups = 1);
array conv_transpose3d(const array& input, const array& weight, const Shape& stride = {}, const Shape& padding = {},
                       const Shape& dilation = {}, const Shape& output_padding = {}, int64_t groups = 1);

/// Convolution of two vectors as numpy.convolve: mode "full", "same" (as long as the longer) or "valid".
array convolve(const array& a, const array& v, std::string_view mode = "full");

}  // namespace mx

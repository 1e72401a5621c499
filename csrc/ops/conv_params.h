// conv_params.h — convolution as two primitives of one relation between positions.
//
// Along each spatial axis, input element i, kernel element k and output element o meet where
//     o * stride + k * kernel_dilation == i * input_dilation + pad.
// conv_p sums input times weight over all (i, k) that meet at o; conv_weight_p sums input times output over all
// (i, o) that meet at k. The third of the family, over (k, o) that meet at i, is conv_p again with the roles of the
// strides exchanged. So derivatives of any order stay within the two. What lies outside counts as zero.
#pragma once

#include "graph/primitive.h"

namespace mx {

struct ConvParams {
  Shape size;  ///< Spatial sizes of the result: of the output for conv_p, of the kernel for conv_weight_p.
  Shape stride, kernel_dilation, input_dilation;  ///< Positive, one an axis.
  Shape pad;   ///< Zeros in front of the input; negative: elements cut off. What follows behind is up to `size`.
  int64_t groups = 1;
  auto fields() const { return std::tie(size, stride, kernel_dilation, input_dilation, pad, groups); }
};

/// input (N, ..., C_in), weight (C_out, ..., C_in / groups) -> output (N, ..., C_out).
extern const Primitive conv_p;
/// input (N, ..., C_in), output (N, ..., C_out) -> weight (C_out, ..., C_in / groups).
extern const Primitive conv_weight_p;

}  // namespace mx

// conv_faces.h — the three sides of one trilinear form: from any two of input, weight and output the third (see
// conv_params.h). Shared by the public functions (conv.cpp) and the rules (conv_rules.cpp); no arguments are checked.
#pragma once

#include "ops/conv_params.h"

namespace mx::conv_faces {

/// The output (N, out..., C_out); `p.size` is out.
array output(const array& input, const array& weight, ConvParams p);
/// The input (N, in..., C_in) that pulls `out` back through `weight`; `in` is its spatial size, p that of the convolution.
array input(const array& weight, const array& out, Shape in, const ConvParams& p);
/// The weight (C_out, kernel..., C_in / groups); `kernel` is its spatial size, p that of the convolution.
array weight(const array& input, const array& out, Shape kernel, const ConvParams& p);

/// Sizes of the spatial axes.
inline Shape spatial(const Shape& s) { return {s.begin() + 1, s.end() - 1}; }

}  // namespace mx::conv_faces

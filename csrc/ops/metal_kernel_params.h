// metal_kernel_params.h — parameters of calls of kernels that users write.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/primitive.h"

namespace mx {

/// Source and how it is launched. The slots of its buffers: for each input the memory, then what it asks to know of it in the
/// order of the bits; then the outputs.
struct MetalKernelParams {
  enum Known : int { shape = 1, strides = 2, ndim = 4 };

  std::string name;         ///< That the user gave.
  std::string kernel;       ///< Of the function in `text`.
  std::string text;
  bool fast_math = false;
  std::vector<int> known = {};  ///< For each input, bits of Known.
  std::vector<Shape> shapes = {};  ///< Of the outputs.
  std::vector<Dtype> dtypes = {};
  Shape grid = {}, group = {};
  std::optional<double> init_value = {};

  auto fields() const { return std::tie(name, kernel, text, fast_math, known, shapes, dtypes, grid, group, init_value); }
};

extern const Primitive metal_kernel_p;

/// The kernel in a call's text that fills outputs of a dtype with a value first.
std::string metal_fill_kernel(Dtype t);

}  // namespace mx

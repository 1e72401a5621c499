// metal_kernel.h — kernels for Apple GPUs from source text.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/array.h"

namespace mx {

/// A kernel whose body is given; its signature is written for each call.
struct MetalKernel {
  std::string name;
  std::vector<std::string> input_names, output_names;
  std::string source;                 ///< The body.
  std::string header = {};            ///< Source in front of the function.
  bool ensure_row_contiguous = true;  ///< Inputs are copied to row order first.
  bool atomic_outputs = false;        ///< Outputs are declared `device atomic<T>*`.
  bool fast_math = false;
};

/// One argument of the function's template.
struct TemplateArg {
  std::string name;
  std::variant<Dtype, int64_t, bool> value;
};

/// How a kernel is launched.
struct MetalCall {
  std::vector<Shape> output_shapes;
  std::vector<Dtype> output_dtypes;
  std::array<int64_t, 3> grid = {1, 1, 1};         ///< Threads along each axis.
  std::array<int64_t, 3> threadgroup = {1, 1, 1};  ///< Of one group.
  std::vector<TemplateArg> templates = {};
  std::optional<double> init_value = {};           ///< What the outputs hold before.
};

/// The text that a call with these inputs compiles.
std::string metal_kernel_source(const MetalKernel& kernel, const Arrays& inputs, const MetalCall& call);
/// The outputs of a kernel. Compiled when the value is asked for: then BackendError has the compiler's messages. Has no derivative
/// unless a custom function gives one.
Arrays metal_kernel(const MetalKernel& kernel, Arrays inputs, const MetalCall& call);

}  // namespace mx

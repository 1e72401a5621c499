// quantized_detail.h — what quantized.cpp and quantized_matmul.cpp share: checks of arguments.
#pragma once

#include <optional>
#include <string_view>

#include "ops/quantized_params.h"

namespace mx::detail {

/// The largest magnitude that nvfp4 holds without a global scale: 448 · 6.
constexpr double kLargestNvfp4 = 2688;

/// The format with defaults filled in; throws ValueError for a mode, group size or number of bits that there is not.
QuantFormat quant_format(const char* op, std::string_view mode, std::optional<int> group_size, std::optional<int> bits);

/// Throws ValueError unless words, scales and biases belong together. `w` has two dimensions or more.
void check_packed(const char* op, const QuantFormat& f, const array& w, const array& scales, const std::optional<array>& biases);

/// Throws ValueError unless the global scale is a float32 scalar and the mode is nvfp4; returns it with shape ().
array checked_global_scale(const char* op, const QuantFormat& f, const array& global_scale, const char* name = "global_scale");

/// Throws DtypeError unless `x` is real and floating.
void check_floating(const char* op, const char* name, const array& x);

/// Throws ValueError unless the last axis of `x` consists of whole groups.
void check_groups(const char* op, const QuantFormat& f, const char* name, const array& x);

/// The values of x (..., n) rounded to the format; `global` is undefined or a scalar.
array requantize(const QuantFormat& f, const array& x, const array& global, Dtype dtype);

/// The codes themselves as numbers: words (..., p) -> (..., n). The format is affine.
array codes(const QuantFormat& f, const array& w, Dtype dtype);

/// (..., g · size) -> (..., g): sums of groups. And (..., g) -> (..., g · size): repeats.
array sum_groups(const array& x, int size);
array repeat_groups(const array& x, int size);

}  // namespace mx::detail

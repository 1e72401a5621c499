// conv.cpp — what callers see of convolution: checks, promotion, sizes. Everything ends in conv_general_of().

#include "ops/conv.h"

#include <algorithm>

#include "ops/cast.h"
#include "ops/conv_faces.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace mx {

namespace {

constexpr int64_t kMost = int64_t(1) << 31;  // Beyond it strides and dilations make no sense; below, nothing overflows.

// One number for each of `n` axes: none given means `initial`, one holds for all.
Shape per_axis(const Shape& given, size_t n, int64_t initial, std::string_view op, std::string_view name) {
  if (given.size() == n) return given;
  if (given.size() <= 1) return Shape(n, given.empty() ? initial : given[0]);
  throw ValueError(cat("[", op, "] ", name, " has ", given.size(), " entries: it is ", given, ", the input has ", n,
                       n == 1 ? " spatial axis" : " spatial axes", "; need one number, or one for each spatial axis."));
}

void check_positive(const Shape& s, std::string_view op, std::string_view name) {
  for (int64_t x : s) {
    if (x <= 0 || x >= kMost) {
      throw ValueError(cat("[", op, "] ", name, " must be positive", x <= 0 ? "" : " and below 2**31", ": it is ", s, "."));
    }
  }
}

void check_padding(const Shape& s, std::string_view op) {
  for (int64_t x : s) {
    if (x <= -kMost * kMost / 4 || x >= kMost * kMost / 4) throw ValueError(cat("[", op, "] padding is out of range: it is ", s, "."));
  }
}

void check_operands(const array& input, const array& weight, int64_t groups, std::string_view op) {
  if (!is_inexact(input.dtype())) {
    throw DtypeError(cat("[", op, "] input must be floating or complex: it is ", input.dtype(), ". Convert with astype."));
  }
  if (input.ndim() < 3) {
    throw ValueError(cat("[", op, "] input lacks axes: it is ", input.shape(), "; need (N, spatial..., C_in) with a spatial axis or more."));
  }
  if (weight.ndim() != input.ndim()) {
    throw ValueError(cat("[", op, "] weight has ", weight.ndim(), " axes: it is ", weight.shape(), ", input is ", input.shape(),
                         "; need (C_out, spatial..., C_in / groups) with as many axes as the input."));
  }
  if (groups < 1) throw ValueError(cat("[", op, "] groups must be positive: it is ", groups, "."));
  int64_t c_in = input.shape(-1), c_out = weight.shape(0);
  if (c_in % groups != 0) {
    throw ValueError(cat("[", op, "] groups does not divide the input's channels: input is ", input.shape(), ", groups is ", groups, "."));
  }
  if (weight.shape(-1) != c_in / groups) {
    throw ValueError(cat("[", op, "] channels differ: input is ", input.shape(), ", weight is ", weight.shape(), ", groups is ", groups,
                         "; need weight.shape[-1] == ", c_in / groups, "."));
  }
  if (c_out % groups != 0) {
    throw ValueError(cat("[", op, "] groups does not divide the output channels: weight is ", weight.shape(), ", groups is ", groups, "."));
  }
}

struct Options {
  Shape stride, low, high, kernel_dilation, input_dilation;
  int64_t groups = 1;
  bool flip = false;
  std::string_view dilation_name = "dilation";
};

// Length of `size` elements that lie `dilation` apart.
__int128 spread(int64_t size, int64_t dilation) { return size == 0 ? 0 : __int128(size - 1) * dilation + 1; }

array conv_general_of(std::string_view op, const array& input, const array& weight, const Options& o) {
  check_operands(input, weight, o.groups, op);
  size_t n = input.shape().size() - 2;
  ConvParams p{.size = {},
               .stride = per_axis(o.stride, n, 1, op, "stride"),
               .kernel_dilation = per_axis(o.kernel_dilation, n, 1, op, o.dilation_name),
               .input_dilation = per_axis(o.input_dilation, n, 1, op, "input_dilation"),
               .pad = per_axis(o.low, n, 0, op, "padding"),
               .groups = o.groups};
  Shape high = per_axis(o.high, n, 0, op, "padding");
  check_positive(p.stride, op, "stride");
  check_positive(p.kernel_dilation, op, o.dilation_name);
  check_positive(p.input_dilation, op, "input_dilation");
  check_padding(p.pad, op);
  check_padding(high, op);
  for (size_t i = 0; i < n; ++i) {
    int64_t in = input.shape()[i + 1], kernel = weight.shape()[i + 1];
    if (kernel == 0) throw ValueError(cat("[", op, "] weight has no elements along axis ", i + 1, ": it is ", weight.shape(), "."));
    __int128 room = spread(in, p.input_dilation[i]) + p.pad[i] + high[i], extent = spread(kernel, p.kernel_dilation[i]);
    if (room < extent) {
      throw ValueError(cat("[", op, "] the kernel does not fit the input along axis ", i + 1, ": input is ", input.shape(), ", weight is ",
                           weight.shape(), ", padding is ", p.pad, " in front and ", high, " behind, ", o.dilation_name,
                           " is ", p.kernel_dilation, ", input_dilation is ", p.input_dilation, "."));
    }
    if (room > kMost * kMost / 4) throw OverflowError(cat("[", op, "] the padded input is too long along axis ", i + 1, "."));
    p.size.push_back(static_cast<int64_t>((room - extent) / p.stride[i]) + 1);
  }
  Dtype t = promote(input.dtype(), weight.dtype());
  array w = astype(weight, t);
  if (o.flip) {
    Axes axes;
    for (int i = 1; i < w.ndim() - 1; ++i) axes.push_back(i);
    w = flip(w, axes);
  }
  return conv_faces::output(astype(input, t), w, std::move(p));
}

void check_axes(const array& input, int n, std::string_view op) {
  if (input.ndim() == n + 2) return;
  throw ValueError(cat("[", op, "] input must have ", n + 2, " axes: it is ", input.shape(), "; need (N, ",
                       n == 1 ? "L" : n == 2 ? "H, W" : "D, H, W", ", C_in)."));
}

array plain(std::string_view op, int n, const array& input, const array& weight, const Shape& stride, const Shape& padding,
            const Shape& dilation, int64_t groups) {
  check_axes(input, n, op);
  return conv_general_of(op, input, weight, {stride, padding, padding, dilation, {}, groups});
}

array transposed(std::string_view op, int n, const array& input, const array& weight, const Shape& stride, const Shape& padding,
                 const Shape& dilation, const Shape& output_padding, int64_t groups) {
  check_axes(input, n, op);
  check_operands(input, weight, groups, op);
  auto axes = static_cast<size_t>(n);
  Shape spread_by = per_axis(stride, axes, 1, op, "stride"), dilations = per_axis(dilation, axes, 1, op, "dilation");
  Shape cut = per_axis(padding, axes, 0, op, "padding"), extra = per_axis(output_padding, axes, 0, op, "output_padding");
  check_positive(spread_by, op, "stride");
  check_positive(dilations, op, "dilation");
  check_padding(cut, op);
  check_padding(extra, op);
  Shape low, high;
  for (size_t i = 0; i < axes; ++i) {
    int64_t in = input.shape()[i + 1], kernel = weight.shape()[i + 1];
    __int128 reach = spread(kernel, dilations[i]) - 1;
    if (reach > kMost * kMost / 8) throw OverflowError(cat("[", op, "] the dilated weight is too long along axis ", i + 1, "."));
    if (spread(in, spread_by[i]) + reach - 2 * __int128(cut[i]) + extra[i] < 1) {
      throw ValueError(cat("[", op, "] nothing is left of the output along axis ", i + 1, ": input is ", input.shape(), ", weight is ",
                           weight.shape(), ", stride is ", spread_by, ", dilation is ", dilations, ", padding is ", cut,
                           ", output_padding is ", extra, "."));
    }
    low.push_back(static_cast<int64_t>(reach) - cut[i]);
    high.push_back(low[i] + extra[i]);
  }
  return conv_general_of(op, input, weight, {{}, low, high, dilations, spread_by, groups, true});
}

}  // namespace

array conv_general(const array& input, const array& weight, const Shape& stride, const Shape& padding_low, const Shape& padding_high,
                   const Shape& kernel_dilation, const Shape& input_dilation, int64_t groups, bool flip) {
  return conv_general_of("conv_general", input, weight, {stride, padding_low, padding_high, kernel_dilation, input_dilation, groups, flip, "kernel_dilation"});
}

array conv1d(const array& input, const array& weight, int64_t stride, int64_t padding, int64_t dilation, int64_t groups) {
  return plain("conv1d", 1, input, weight, {stride}, {padding}, {dilation}, groups);
}
array conv2d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation, int64_t groups) {
  return plain("conv2d", 2, input, weight, stride, padding, dilation, groups);
}
array conv3d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation, int64_t groups) {
  return plain("conv3d", 3, input, weight, stride, padding, dilation, groups);
}

array conv_transpose1d(const array& input, const array& weight, int64_t stride, int64_t padding, int64_t dilation, int64_t output_padding,
                       int64_t groups) {
  return transposed("conv_transpose1d", 1, input, weight, {stride}, {padding}, {dilation}, {output_padding}, groups);
}
array conv_transpose2d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
                       const Shape& output_padding, int64_t groups) {
  return transposed("conv_transpose2d", 2, input, weight, stride, padding, dilation, output_padding, groups);
}
array conv_transpose3d(const array& input, const array& weight, const Shape& stride, const Shape& padding, const Shape& dilation,
                       const Shape& output_padding, int64_t groups) {
  return transposed("conv_transpose3d", 3, input, weight, stride, padding, dilation, output_padding, groups);
}

array convolve(const array& a, const array& v, std::string_view mode) {
  for (const array* x : {&a, &v}) {
    if (x->ndim() != 1 || x->size() == 0) {
      throw ValueError(cat("[convolve] ", x == &a ? "a" : "v", x->ndim() != 1 ? " is not a vector" : " is empty", ": a is ", a.shape(), ", v is ",
                           v.shape(), "; need two vectors of one element or more."));
    }
  }
  const array &longer = a.size() >= v.size() ? a : v, &shorter = a.size() >= v.size() ? v : a;
  int64_t k = shorter.size(), low = 0, high = 0;
  if (mode == "full") {
    low = high = k - 1;
  } else if (mode == "same") {
    low = k / 2;
    high = k - 1 - low;
  } else if (mode != "valid") {
    throw ValueError(cat("[convolve] mode is '", mode, "'; need 'full', 'same' or 'valid'."));
  }
  array out = conv_general_of("convolve", reshape(longer, {1, -1, 1}), reshape(shorter, {1, -1, 1}), {{}, {low}, {high}, {}, {}, 1, true});
  return reshape(out, {out.shape(1)});
}

}  // namespace mx

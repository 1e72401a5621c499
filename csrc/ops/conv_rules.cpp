// conv_rules.cpp — the records of convolution. Input, weight and output are the three sides of one trilinear form,
// so every derivative is one of its three faces: output(), input() and weight(). Batches join the channels or the
// examples, and where both operands have one, it becomes groups. Start at conv_p.

#include "ops/cast.h"
#include "ops/conv_faces.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"

namespace mx {

namespace {

Shape joined(int64_t first, const Shape& middle, int64_t last) {
  Shape s{first};
  s.insert(s.end(), middle.begin(), middle.end());
  s.push_back(last);
  return s;
}

// The spatial axes of an array of this many axes.
Axes spatial_axes(int ndim) {
  Axes axes;
  for (int i = 1; i < ndim - 1; ++i) axes.push_back(i);
  return axes;
}

// (groups * a, ..., b) -> (groups * b, ..., a): exchanges the channels of each group.
array exchange_channels(const array& w, int64_t groups) {
  int last = w.ndim() - 1;
  if (groups == 1) return swapaxes(w, 0, last);
  array split = unflatten(w, 0, {groups, w.shape(0) / groups});
  return flatten(swapaxes(split, 1, last + 1), 0, 1);
}

Shape all_of(size_t n, int64_t value) { return Shape(n, value); }

// Padding with which the mirrored kernel (k counted from its end) meets the same positions.
Shape mirrored_pad(const ConvParams& p, const Shape& kernel) {
  Shape pad;
  for (size_t i = 0; i < kernel.size(); ++i) pad.push_back((kernel[i] - 1) * p.kernel_dilation[i] - p.pad[i]);
  return pad;
}

Type output_type(const ConvParams& p, const Call& c) {
  return {c.in(0).dtype(), joined(c.in(0).shape(0), p.size, c.in(1).shape(0))};
}

Type weight_type(const ConvParams& p, const Call& c) {
  return {c.in(0).dtype(), joined(c.in(1).shape(-1), p.size, c.in(0).shape(-1) / p.groups)};
}

array conjugated(const array& x) { return is_complex(x.dtype()) ? conjugate(x) : x; }

ConvParams with_groups(ConvParams p, int64_t groups) {
  p.groups = groups;
  return p;
}

// Moves the batch axis in front of the channels and merges the two: (b, n, ..., c) -> (n, ..., b * c). With groups the
// batch goes inside them: (n, ..., groups * b * (c / groups)).
array batch_into_channels(const array& x, int64_t groups) {
  int last = x.ndim() - 1;
  array moved = moveaxis(x, 0, last - 1);  // (n, ..., b, c)
  if (groups > 1) {
    moved = unflatten(moved, -1, {groups, moved.shape(-1) / groups});  // (n, ..., b, groups, c')
    return flatten(swapaxes(moved, -2, -3), -3, -1);
  }
  return flatten(moved, -2, -1);
}

// The inverse: (n, ..., groups * b * c') -> (b, n, ..., groups * c').
array batch_from_channels(const array& x, int64_t batch, int64_t groups) {
  int64_t c = x.shape(-1) / (batch * groups);
  array split = unflatten(x, -1, {groups, batch, c});
  return flatten(moveaxis(split, -2, 0), -2, -1);
}

// The same for the first axis of a weight: (b, groups * o, ...) <-> (groups * b * o, ...).
array batch_into_rows(const array& w, int64_t groups) {
  if (groups == 1) return flatten(w, 0, 1);
  return flatten(moveaxis(unflatten(w, 1, {groups, w.shape(1) / groups}), 0, 1), 0, 2);
}

array batch_from_rows(const array& w, int64_t batch, int64_t groups) {
  int64_t rows = w.shape(0) / (batch * groups);
  array split = unflatten(w, 0, {groups, batch, rows});
  return flatten(moveaxis(split, 1, 0), 1, 2);
}

// The outputs of a batch of no examples.
Outs nothing(const Type& one) { return zeros(with_axis(one.shape, 0), one.dtype); }

// Mapped input: more examples. Mapped weight: more output channels in each group. Both: as many groups more.
Outs batched_output(const ConvParams& p, const Batch& b) {
  if (b.size() == 0) return nothing(output_type(p, b.call()));
  if (!b.mapped(1)) return unflatten(conv_faces::output(flatten(b.raw(0), 0, 1), b.raw(1), p), 0, {b.size(), b.shape(0)[0]});
  if (!b.mapped(0)) {
    array y = conv_faces::output(b.raw(0), batch_into_rows(b.raw(1), p.groups), p);
    return batch_from_channels(y, b.size(), p.groups);
  }
  array y = conv_faces::output(batch_into_channels(b.raw(0), 1), flatten(b.raw(1), 0, 1), with_groups(p, b.size() * p.groups));
  return moveaxis(unflatten(y, -1, {b.size(), b.shape(1)[0]}), -2, 0);
}

// Mapped input: more input channels in each group. Mapped output: more output channels. Both: more groups.
Outs batched_weight(const ConvParams& p, const Batch& b) {
  if (b.size() == 0) return nothing(weight_type(p, b.call()));
  if (!b.mapped(1)) {
    array w = conv_faces::weight(batch_into_channels(b.raw(0), p.groups), b.raw(1), p.size, p);
    return moveaxis(unflatten(w, -1, {b.size(), w.shape(-1) / b.size()}), -2, 0);
  }
  if (!b.mapped(0)) {
    array w = conv_faces::weight(b.raw(0), batch_into_channels(b.raw(1), p.groups), p.size, p);
    return batch_from_rows(w, b.size(), p.groups);
  }
  array w = conv_faces::weight(batch_into_channels(b.raw(0), 1), batch_into_channels(b.raw(1), 1), p.size,
                               with_groups(p, b.size() * p.groups));
  return unflatten(w, 0, {b.size(), w.shape(0) / b.size()});
}

}  // namespace

namespace conv_faces {

array output(const array& input, const array& weight, ConvParams p) {
  Type type{input.dtype(), joined(input.shape(0), p.size, weight.shape(0))};
  return make_node(conv_p, std::move(p), {input, weight}, std::move(type));
}

// i * input_dilation + k' * kernel_dilation = o * stride + pad', k' counted from the end: a convolution of `out`.
array input(const array& weight, const array& out, Shape in, const ConvParams& p) {
  ConvParams q{.size = std::move(in), .stride = p.input_dilation, .kernel_dilation = p.kernel_dilation, .input_dilation = p.stride,
               .pad = mirrored_pad(p, spatial(weight.shape())), .groups = p.groups};
  array mirrored = exchange_channels(flip(weight, spatial_axes(weight.ndim())), p.groups);
  return output(out, mirrored, std::move(q));
}

array weight(const array& input, const array& out, Shape kernel, const ConvParams& p) {
  bool spread = p.input_dilation != all_of(p.input_dilation.size(), 1);
  if (spread && p.stride == all_of(p.stride.size(), 1)) {
    // The kernel goes through its output and looks into its input; here the other way round meets fewer zeros.
    ConvParams q{.size = {}, .stride = p.input_dilation, .kernel_dilation = p.kernel_dilation, .input_dilation = p.stride,
                 .pad = mirrored_pad(p, kernel), .groups = p.groups};
    array mirrored = weight(out, input, std::move(kernel), q);
    return flip(exchange_channels(mirrored, p.groups), spatial_axes(mirrored.ndim()));
  }
  ConvParams q = p;
  q.size = std::move(kernel);
  Type type{input.dtype(), joined(out.shape(-1), q.size, input.shape(-1) / p.groups)};
  return make_node(conv_weight_p, std::move(q), {input, out}, std::move(type));
}

}  // namespace conv_faces

using conv_faces::spatial;

const Primitive conv_p = define<ConvParams>({
    .name = "conv",
    .infer = output_type,
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      return i == 0 ? conv_faces::output(t, c.in(1), p) : conv_faces::output(c.in(0), t, p);
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      if (i == 0) return conv_faces::input(conjugated(c.in(1)), ct[0], spatial(c.in(0).shape()), p);
      return conv_faces::weight(conjugated(c.in(0)), ct[0], spatial(c.in(1).shape()), p);
    },
    .vmap = batched_output,
});

const Primitive conv_weight_p = define<ConvParams>({
    .name = "conv_weight",
    .infer = weight_type,
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      return i == 0 ? conv_faces::weight(t, c.in(1), p.size, p) : conv_faces::weight(c.in(0), t, p.size, p);
    },
    .vjp = [](auto& p, const Call& c, int i, const Outs& ct) {
      if (i == 0) return conv_faces::input(ct[0], conjugated(c.in(1)), spatial(c.in(0).shape()), p);
      ConvParams q = p;
      q.size = spatial(c.in(1).shape());
      return conv_faces::output(conjugated(c.in(0)), ct[0], std::move(q));
    },
    .vmap = batched_weight,
});

}  // namespace mx

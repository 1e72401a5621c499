// movement.cpp — shape and order of axes: reshape, broadcast, transpose and what is written with them.
// All three primitives are linear, so a tangent goes through the same operation; a cotangent through the
// inverse one (for broadcast: a sum). Start at the records; slices are in movement_slice.cpp.

#include "ops/movement.h"

#include "ops/movement_params.h"
#include "ops/reduce.h"

namespace mx {

namespace {

// The strides of `to` in memory laid out as (from, strides); nullopt where only a copy will do.
// Axes that step through memory as one are merged; each must then be a product of sizes of `to`.
std::optional<Strides> reshape_strides(const Shape& from, const Strides& strides, const Shape& to) {
  if (n_elems(to) == 0) return row_strides(to);
  Shape sizes;
  Strides steps;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == 1) continue;
    if (!sizes.empty() && steps.back() == from[i] * strides[i]) {
      sizes.back() *= from[i];
      steps.back() = strides[i];
    } else {
      sizes.push_back(from[i]);
      steps.push_back(strides[i]);
    }
  }
  Strides out(to.size());
  size_t group = sizes.size();
  int64_t left = 1, step = 1;  // What the current group, taken from its end, still has to give.
  for (size_t i = to.size(); i-- > 0;) {
    if (to[i] == 1) {
      out[i] = step;
      continue;
    }
    if (left == 1) {
      --group;
      left = sizes[group];
      step = steps[group];
    }
    if (left % to[i] != 0) return std::nullopt;
    out[i] = step;
    left /= to[i];
    step *= to[i];
  }
  return out;
}

Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out(to.size(), 0);
  size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) out[lead + i] = from[i] == 1 ? 0 : strides[i];
  return out;
}

// Sums away what a broadcast from `shape` repeated.
array sum_to(const array& ct, const Shape& shape) {
  int lead = ct.ndim() - static_cast<int>(shape.size());
  Axes axes = all_axes(lead);
  for (int i = lead; i < ct.ndim(); ++i) {
    if (shape[static_cast<size_t>(i - lead)] == 1 && ct.shape(i) != 1) axes.push_back(i);
  }
  return reshape(sum(ct, axes), shape);
}

Axes inverse(const Axes& axes) {
  Axes out(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) out[static_cast<size_t>(axes[i])] = static_cast<int>(i);
  return out;
}

}  // namespace

// ---- records

const Primitive reshape_p = define<ShapeParams>({
    .name = "reshape",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), p.shape}; },
    .jvp = [](auto& p, const Call&, int, const array& t) { return reshape(t, p.shape); },
    .vjp = [](auto&, const Call& c, int, const array& ct) { return reshape(ct, c.in(0).shape()); },
    .vmap = [](auto& p, const Batch& b) { return reshape(b.in(0), with_axis(p.shape, b.size())); },
    .view = [](auto&, const array& in, const Shape& out) -> std::optional<View> {
      auto strides = reshape_strides(in.shape(), in.strides(), out);
      if (!strides) return std::nullopt;
      return View{std::move(*strides), 0};
    },
});

const Primitive broadcast_p = define<ShapeParams>({
    .name = "broadcast",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), p.shape}; },
    .jvp = [](auto& p, const Call&, int, const array& t) { return broadcast_to(t, p.shape); },
    .vjp = [](auto&, const Call& c, int, const array& ct) { return sum_to(ct, c.in(0).shape()); },
    .vmap = [](auto& p, const Batch& b) {
      // The axes that the broadcast adds go between the batch axis and the others.
      Shape aligned(b.shape(0));
      while (aligned.size() < p.shape.size()) aligned.insert(aligned.begin(), 1);
      return broadcast_to(reshape(b.in(0), with_axis(aligned, b.size())), with_axis(p.shape, b.size()));
    },
    .view = [](auto&, const array& in, const Shape& out) {
      return View{broadcast_strides(in.shape(), in.strides(), out), 0};
    },
});

const Primitive transpose_p = define<TransposeParams>({
    .name = "transpose",
    .infer = [](auto& p, const Call& c) {
      Shape shape;
      for (int axis : p.axes) shape.push_back(c.in(0).shape(axis));
      return Type{c.in(0).dtype(), shape};
    },
    .jvp = [](auto& p, const Call&, int, const array& t) { return transpose(t, p.axes); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return transpose(ct, inverse(p.axes)); },
    .vmap = [](auto& p, const Batch& b) {
      Axes axes = shift(p.axes);
      axes.insert(axes.begin(), 0);
      return transpose(b.in(0), axes);
    },
    .view = [](auto& p, const array& in, const Shape&) {
      Strides strides;
      for (int axis : p.axes) strides.push_back(in.strides()[static_cast<size_t>(axis)]);
      return View{std::move(strides), 0};
    },
});

// ---- shape

array reshape(const array& a, const Shape& shape) {
  Shape full(shape);
  int64_t known = 1, *unknown = nullptr;
  for (int64_t& size : full) {
    if (size == -1) {
      if (unknown) throw ValueError(cat("[reshape] more than one size is -1: ", shape, "; only one can be found from the others."));
      unknown = &size;
    } else if (size < 0) {
      throw ValueError(cat("[reshape] negative size in shape ", shape, "; need sizes >= 0, or one -1."));
    }
  }
  if (unknown) {
    *unknown = 1;
    known = n_elems(full);
    if (known == 0) {
      throw ValueError(cat("[reshape] the size written -1 in ", shape, " cannot be found for an array of shape ", a.shape(),
                           ": any number would do. Give it explicitly."));
    }
    *unknown = a.size() / known;
  }
  if (n_elems(full) != a.size()) {
    throw ValueError(cat("[reshape] the number of elements differs: a has shape ", a.shape(), ", ", a.size(),
                         " elements; the new shape is ", shape, "."));
  }
  if (full == a.shape()) return a;
  Dtype dtype = a.dtype();
  return make_node(reshape_p, ShapeParams{full}, {a}, {dtype, full});
}

array flatten(const array& a, int start_axis, int end_axis) {
  int ndim = a.ndim();
  if (ndim == 0) return reshape(a, {1});
  int first = std::max(start_axis < 0 ? start_axis + ndim : start_axis, 0);
  int last = std::min(end_axis < 0 ? end_axis + ndim : end_axis, ndim - 1);
  if (first >= ndim) normalize_axis(start_axis, ndim, "flatten");
  if (last < 0) normalize_axis(end_axis, ndim, "flatten");
  if (first > last) {
    throw ValueError(cat("[flatten] start_axis ", start_axis, " lies after end_axis ", end_axis, " in shape ", a.shape(), "."));
  }
  const Shape& shape = a.shape();
  Shape merged(shape.begin() + first, shape.begin() + last + 1);
  Shape out(shape.begin(), shape.begin() + first);
  out.push_back(n_elems(merged));
  out.insert(out.end(), shape.begin() + last + 1, shape.end());
  return reshape(a, out);
}

array unflatten(const array& a, int axis, const Shape& shape) {
  int at = normalize_axis(axis, a.ndim(), "unflatten");
  if (shape.empty()) throw ValueError("[unflatten] the shape to split an axis into is empty; need at least one size.");
  Shape parts(shape);
  int64_t size = a.shape(at), known = 1, *unknown = nullptr;
  bool valid = true;
  for (int64_t& part : parts) {
    if (part != -1) {
      valid &= part >= 0;
    } else {
      valid &= unknown == nullptr;
      unknown = &part;
      part = 1;
    }
  }
  if (valid) {
    known = n_elems(parts);
    if (unknown) {
      valid = known > 0 && size % known == 0;
      if (valid) *unknown = size / known;
    } else {
      valid = known == size;
    }
  }
  if (!valid) {
    throw ValueError(cat("[unflatten] axis ", axis, " of size ", size, " cannot be split into ", shape, " (a has shape ", a.shape(),
                         "); need sizes whose product is ", size, ", one of which may be -1."));
  }
  Shape out(a.shape().begin(), a.shape().begin() + at);
  out.insert(out.end(), parts.begin(), parts.end());
  out.insert(out.end(), a.shape().begin() + at + 1, a.shape().end());
  return reshape(a, out);
}

array squeeze(const array& a) {
  Shape out;
  for (int64_t size : a.shape()) {
    if (size != 1) out.push_back(size);
  }
  return reshape(a, out);
}

array squeeze(const array& a, const Axes& axes) {
  Axes fixed = normalize_axes(axes, a.ndim(), "squeeze");
  Shape out;
  size_t k = 0;
  for (int i = 0; i < a.ndim(); ++i) {
    if (k == fixed.size() || fixed[k] != i) {
      out.push_back(a.shape(i));
      continue;
    }
    ++k;
    if (a.shape(i) != 1) {
      throw ValueError(cat("[squeeze] axis ", i, " has size ", a.shape(i), " in shape ", a.shape(), "; need size 1."));
    }
  }
  return reshape(a, out);
}
array squeeze(const array& a, int axis) { return squeeze(a, Axes{axis}); }

array expand_dims(const array& a, const Axes& axes) {
  int ndim = a.ndim() + static_cast<int>(axes.size());
  Axes fixed = normalize_axes(axes, ndim, "expand_dims");
  Shape out;
  size_t k = 0, from = 0;
  for (int i = 0; i < ndim; ++i) {
    if (k < fixed.size() && fixed[k] == i) {
      out.push_back(1);
      ++k;
    } else {
      out.push_back(a.shape()[from++]);
    }
  }
  return reshape(a, out);
}
array expand_dims(const array& a, int axis) { return expand_dims(a, Axes{axis}); }

array broadcast_to(const array& a, const Shape& shape) {
  const Shape& from = a.shape();
  if (from == shape) return a;
  for (int64_t size : shape) {
    if (size < 0) throw ValueError(cat("[broadcast_to] negative size in shape ", shape, "."));
  }
  bool fits = from.size() <= shape.size();
  size_t lead = fits ? shape.size() - from.size() : 0;
  for (size_t i = 0; fits && i < from.size(); ++i) fits = from[i] == shape[lead + i] || from[i] == 1;
  if (!fits) {
    throw ValueError(cat("[broadcast_to] an array of shape ", from, " cannot be broadcast to ", shape,
                         "; each size, aligned at the right, must be equal or 1."));
  }
  n_elems(shape);
  return make_node(broadcast_p, ShapeParams{shape}, {a}, {a.dtype(), shape});
}

Arrays broadcast_arrays(const Arrays& arrays) {
  Shape shape;
  for (const array& a : arrays) shape = broadcast_shapes(shape, a.shape(), "broadcast_arrays");
  Arrays out;
  for (const array& a : arrays) out.push_back(broadcast_to(a, shape));
  return out;
}

array atleast_1d(const array& a) { return a.ndim() == 0 ? reshape(a, {1}) : a; }
array atleast_2d(const array& a) {
  if (a.ndim() >= 2) return a;
  return reshape(a, {1, a.size()});
}
array atleast_3d(const array& a) {
  if (a.ndim() >= 3) return a;
  if (a.ndim() == 2) return reshape(a, {a.shape(0), a.shape(1), 1});
  return reshape(a, {1, a.size(), 1});
}

// ---- order of axes

array transpose(const array& a, const Axes& axes) {
  if (static_cast<int>(axes.size()) != a.ndim()) {
    throw ValueError(cat("[transpose] ", axes.size(), " axes ", axes, " for an array of shape ", a.shape(), "; need all ", a.ndim(),
                         ", each once."));
  }
  normalize_axes(axes, a.ndim(), "transpose");
  Axes order;
  Shape shape;
  bool same = true;
  for (int axis : axes) {
    int at = axis < 0 ? axis + a.ndim() : axis;
    same &= at == static_cast<int>(order.size());
    order.push_back(at);
    shape.push_back(a.shape(at));
  }
  if (same) return a;
  return make_node(transpose_p, TransposeParams{order}, {a}, {a.dtype(), shape});
}

array transpose(const array& a) {
  Axes axes = all_axes(a.ndim());
  std::reverse(axes.begin(), axes.end());
  return transpose(a, axes);
}
array permute_dims(const array& a) { return transpose(a); }
array permute_dims(const array& a, const Axes& axes) { return transpose(a, axes); }

array matrix_transpose(const array& a) {
  if (a.ndim() < 2) {
    throw ValueError(cat("[matrix_transpose] a has shape ", a.shape(), "; need at least two dimensions."));
  }
  return swapaxes(a, -1, -2);
}

array swapaxes(const array& a, int axis1, int axis2) {
  int i = normalize_axis(axis1, a.ndim(), "swapaxes"), j = normalize_axis(axis2, a.ndim(), "swapaxes");
  Axes axes = all_axes(a.ndim());
  std::swap(axes[static_cast<size_t>(i)], axes[static_cast<size_t>(j)]);
  return transpose(a, axes);
}

array moveaxis(const array& a, const Axes& source, const Axes& destination) {
  if (source.size() != destination.size()) {
    throw ValueError(cat("[moveaxis] source ", source, " and destination ", destination, " differ in length."));
  }
  normalize_axes(source, a.ndim(), "moveaxis");
  normalize_axes(destination, a.ndim(), "moveaxis");
  Axes axes(static_cast<size_t>(a.ndim()), -1);
  std::vector<bool> moved(axes.size());
  for (size_t i = 0; i < source.size(); ++i) {
    int from = normalize_axis(source[i], a.ndim(), "moveaxis"), to = normalize_axis(destination[i], a.ndim(), "moveaxis");
    axes[static_cast<size_t>(to)] = from;
    moved[static_cast<size_t>(from)] = true;
  }
  int next = 0;
  for (int& axis : axes) {
    if (axis >= 0) continue;
    while (moved[static_cast<size_t>(next)]) ++next;
    axis = next++;
  }
  return transpose(a, axes);
}
array moveaxis(const array& a, int source, int destination) { return moveaxis(a, Axes{source}, Axes{destination}); }

}  // namespace mx

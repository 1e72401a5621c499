// index.cpp — reading at index arrays: gather_at and gather_axis, and the functions built on them. Writing is in
// index_scatter.cpp, boolean masks in index_mask.cpp. Both primitives are linear in the array that is read:
// a tangent is read at the same places, a cotangent is added there.

#include "ops/index.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index_detail.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx {

// ---- what gathering and scattering share

void check_indices(const array& indices, std::string_view op) {
  if (!is_integer(indices.dtype())) {
    throw DtypeError(cat("[", op, "] indices must be integers: dtype is ", indices.dtype(),
                         "; convert them with astype, or use a boolean mask as x[mask]."));
  }
}

IndexPlan plan_indices(const array& a, const Arrays& indices, const Axes& axes, int at, std::string_view op) {
  if (indices.size() != axes.size()) {
    throw ValueError(cat("[", op, "] ", indices.size(), " index arrays for ", axes.size(), " axes; need one an axis."));
  }
  IndexPlan plan;
  for (int axis : axes) plan.axes.push_back(normalize_axis(axis, a.ndim(), op));
  normalize_axes(plan.axes, a.ndim(), op);
  if (at < 0 || at > a.ndim() - static_cast<int>(axes.size())) {
    throw ValueError(cat("[", op, "] the index dimensions cannot stand before axis ", at, " of the ",
                         a.ndim() - static_cast<int>(axes.size()), " axes that are left."));
  }
  for (const array& index : indices) {
    check_indices(index, op);
    plan.index_shape = broadcast_shapes(plan.index_shape, index.shape(), op);
  }
  for (const array& index : indices) plan.indices.push_back(broadcast_to(index, plan.index_shape));
  plan.result_shape = gathered_shape(a.shape(), plan.index_shape, plan.axes, at);
  return plan;
}

Shape gathered_shape(const Shape& shape, const Shape& index_shape, const Axes& axes, int at) {
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) == axes.end()) out.push_back(shape[i]);
  }
  out.insert(out.begin() + at, index_shape.begin(), index_shape.end());
  return out;
}

Arrays inputs_from(const Call& c, int first) {
  Arrays out;
  for (int i = first; i < c.n_in(); ++i) out.push_back(c.in(i));
  return out;
}

bool any_mapped_from(const Batch& b, int first) {
  for (int i = first; i < b.n_in(); ++i) {
    if (b.mapped(i)) return true;
  }
  return false;
}

std::pair<Arrays, Axes> batched_indices(const Batch& b, int first, const Axes& axes) {
  Arrays indices;
  Shape iota(b.shape(first).size() + 1, 1);
  iota[0] = b.size();
  indices.push_back(reshape(arange(b.size()), iota));
  for (int i = first; i < b.n_in(); ++i) indices.push_back(b.in(i));
  Axes batched = shift(axes);
  batched.insert(batched.begin(), 0);
  return {std::move(indices), std::move(batched)};
}

Shape aligned_shape(const array& a, const array& indices, int axis, std::string_view op) {
  if (a.ndim() != indices.ndim()) {
    throw ValueError(cat("[", op, "] a and indices must have the same number of dimensions: a is ", a.shape(), ", indices are ",
                         indices.shape(), "."));
  }
  return broadcast_shapes(without_axis(a.shape(), axis), without_axis(indices.shape(), axis), op);
}

// ---- records

const Primitive gather_p = define<GatherParams>({
    .name = "gather",
    .infer = [](auto& p, const Call& c) {
      return Type{c.in(0).dtype(), gathered_shape(c.in(0).shape(), c.in(1).shape(), p.axes, p.at)};
    },
    .jvp = [](auto& p, const Call& c, int, const array& t) { return gather_at(t, inputs_from(c, 1), p.axes, p.at); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) {
      return scatter_at(zeros(c.in(0).shape(), ct.dtype()), inputs_from(c, 1), ct, p.axes, p.at, ScatterMode::add);
    },
    .vmap = [](auto& p, const Batch& b) {
      if (!any_mapped_from(b, 1)) return gather_at(b.raw(0), inputs_from(b.call(), 1), shift(p.axes), p.at + 1);
      if (!b.mapped(0)) {
        Arrays indices;
        for (int i = 1; i < b.n_in(); ++i) indices.push_back(b.in(i));
        return moveaxis(gather_at(b.raw(0), indices, p.axes, p.at), p.at, 0);
      }
      auto [indices, axes] = batched_indices(b, 1, p.axes);
      return moveaxis(gather_at(b.raw(0), indices, axes, p.at), p.at, 0);
    },
    .first_index_input = 1,
});

const Primitive gather_axis_p = define<GatherAxisParams>({
    .name = "gather_axis",
    .infer = [](auto&, const Call& c) { return Type{c.in(0).dtype(), c.in(1).shape()}; },
    .jvp = [](auto& p, const Call& c, int, const array& t) { return take_along_axis(t, c.in(1), p.axis); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) {
      return scatter_add_along_axis(zeros(c.in(0).shape(), ct.dtype()), c.in(1), ct, p.axis);
    },
    .vmap = [](auto& p, const Batch& b) { return take_along_axis(b.in(0), b.in(1), p.axis + 1); },
    .first_index_input = 1,
});

// ---- gathers

array gather_at(const array& a, const Arrays& indices, const Axes& axes, int at) {
  if (indices.empty()) return a;
  IndexPlan plan = plan_indices(a, indices, axes, at, "index");
  SmallVector<array, 3> inputs{a};
  for (array& index : plan.indices) inputs.push_back(std::move(index));
  return make_node(gather_p, GatherParams{std::move(plan.axes), at}, std::move(inputs), {a.dtype(), std::move(plan.result_shape)});
}

array take(const array& a, const array& indices, int axis) {
  axis = normalize_axis(axis, a.ndim(), "take");
  check_indices(indices, "take");
  return gather_at(a, {indices}, {axis}, axis);
}

array take(const array& a, const array& indices) { return take(flatten(a), indices, 0); }

array take(const array& a, int64_t index, int axis) {
  axis = normalize_axis(axis, a.ndim(), "take");
  int64_t size = a.shape(axis), at = index < 0 ? index + size : index;
  if (at < 0 || at >= size) {
    throw IndexError(cat("[take] index ", index, " is out of bounds for axis ", axis, " with size ", size, "; need ", -size,
                         " <= index < ", size, "."));
  }
  return squeeze(slice_along(a, axis, at, at + 1), axis);
}

array take(const array& a, int64_t index) { return take(flatten(a), index, 0); }

array take_along_axis(const array& a, const array& indices, std::optional<int> axis) {
  check_indices(indices, "take_along_axis");
  if (!axis) return take_along_axis(flatten(a), indices, 0);
  int at = normalize_axis(*axis, a.ndim(), "take_along_axis");
  Shape others = aligned_shape(a, indices, at, "take_along_axis");
  Shape out = with_axis(others, indices.shape(at), at);
  array source = broadcast_to(a, with_axis(others, a.shape(at), at));
  return make_node(gather_axis_p, GatherAxisParams{at}, {source, broadcast_to(indices, out)}, {a.dtype(), out});
}

// ---- windows

namespace {

// Windows as single places: each index array gets a further dimension per axis on which the window is larger than 1.
struct Windows {
  Arrays indices;
  Axes sizes_axes;      // The axes that these further dimensions stand for.
  Shape index_shape;    // Of the windows, without the further dimensions.
};

Windows expand_windows(const array& a, const Arrays& indices, const Axes& axes, const Shape& sizes, std::string_view op) {
  Windows w;
  for (const array& index : indices) {
    check_indices(index, op);
    w.index_shape = broadcast_shapes(w.index_shape, index.shape(), op);
  }
  size_t n_wide = 0;
  for (int axis : axes) n_wide += sizes[static_cast<size_t>(axis)] != 1;
  for (size_t k = 0; k < indices.size(); ++k) {
    size_t axis = static_cast<size_t>(axes[k]);
    array index = indices[k];
    if (n_wide) {
      int64_t dim = a.shape()[axis];
      Shape shape(w.index_shape);
      shape.resize(shape.size() + n_wide, 1);
      index = broadcast_to(index, w.index_shape);
      if (sizes[axis] != 1) {
        // Wrapped here, once for the whole window; what is out of bounds must stay so for every offset.
        if (index.dtype() == Dtype::uint64) index = minimum(index, array(dim, Dtype::uint64));
        index = astype(index, Dtype::int64);
        index = where(less(index, array(0, Dtype::int64)), index + dim, index);
        index = where(less(index, array(0, Dtype::int64)), array(dim, Dtype::int64), index);
        Shape offsets(shape.size(), 1);
        offsets[w.index_shape.size() + w.sizes_axes.size()] = sizes[axis];
        w.sizes_axes.push_back(axes[k]);
        index = reshape(index, shape) + reshape(arange(int64_t(0), sizes[axis], int64_t(1), Dtype::int64), offsets);
      } else {
        index = reshape(index, shape);
      }
    }
    w.indices.push_back(index);
  }
  return w;
}

// The order of axes that takes (index dims, window dims, rest dims) to (index dims, axes of a in order); window and
// rest are the axes of a that have a dimension there.
Axes window_order(const Windows& w, const Shape& shape, const Axes& axes) {
  int n_index = static_cast<int>(w.index_shape.size()), n_wide = static_cast<int>(w.sizes_axes.size());
  Axes order = all_axes(n_index);
  int rest = n_index + n_wide;
  for (int axis = 0; axis < static_cast<int>(shape.size()); ++axis) {
    auto wide = std::find(w.sizes_axes.begin(), w.sizes_axes.end(), axis);
    if (wide != w.sizes_axes.end()) {
      order.push_back(n_index + static_cast<int>(wide - w.sizes_axes.begin()));
    } else if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
      order.push_back(rest++);
    }
  }
  return order;
}

// The part of `a` that windows can reach on the axes without an index: all windows begin at 0 there.
Shape reachable(const array& a, const Axes& axes, const Shape& sizes, std::string_view op) {
  if (static_cast<int>(sizes.size()) != a.ndim()) {
    throw ValueError(cat("[", op, "] slice_sizes has ", sizes.size(), " sizes: a is ", a.shape(), "; need one an axis."));
  }
  Shape shape(a.shape());
  for (size_t i = 0; i < shape.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > shape[i]) {
      throw ValueError(cat("[", op, "] slice_sizes ", sizes, " do not fit into a of shape ", a.shape(), "."));
    }
    if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) == axes.end()) shape[i] = sizes[i];
  }
  return shape;
}

Axes checked_axes(const array& a, const Axes& axes, std::string_view op) {
  Axes out;
  for (int axis : axes) out.push_back(normalize_axis(axis, a.ndim(), op));
  normalize_axes(out, a.ndim(), op);
  return out;
}

Shape shape_of_windows(const Shape& index_shape, const Shape& sizes) {
  Shape out(index_shape);
  out.insert(out.end(), sizes.begin(), sizes.end());
  return out;
}

}  // namespace

array gather(const array& a, const Arrays& indices, const Axes& axes_, const Shape& slice_sizes) {
  Axes axes = checked_axes(a, axes_, "gather");
  Shape part = reachable(a, axes, slice_sizes, "gather");
  Windows w = expand_windows(a, indices, axes, slice_sizes, "gather");
  array found = gather_at(slice(a, Shape(part.size(), 0), part), w.indices, axes, 0);
  return reshape(transpose(found, window_order(w, a.shape(), axes)), shape_of_windows(w.index_shape, slice_sizes));
}

array scatter(const array& a, const Arrays& indices, const array& updates, const Axes& axes_, ScatterMode mode) {
  Axes axes = checked_axes(a, axes_, "scatter");
  if (updates.ndim() < a.ndim()) {
    throw ValueError(cat("[scatter] updates have too few dimensions: updates are ", updates.shape(), ", a is ", a.shape(),
                         "; need the index dimensions, then one axis per axis of a."));
  }
  Shape sizes(updates.shape().end() - a.ndim(), updates.shape().end());
  Shape part = reachable(a, axes, sizes, "scatter");
  Windows w = expand_windows(a, indices, axes, sizes, "scatter");
  if (shape_of_windows(w.index_shape, sizes) != updates.shape()) {
    throw ValueError(cat("[scatter] updates do not match the indices: updates are ", updates.shape(), "; need ",
                         shape_of_windows(w.index_shape, sizes), "."));
  }
  // Drop the axes of size 1 that stand for single places, then bring windows in front of the rest.
  Axes order = window_order(w, a.shape(), axes), inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
  Shape kept(w.index_shape);
  for (int axis = 0; axis < a.ndim(); ++axis) {
    bool wide = std::find(w.sizes_axes.begin(), w.sizes_axes.end(), axis) != w.sizes_axes.end();
    if (wide || std::find(axes.begin(), axes.end(), axis) == axes.end()) kept.push_back(sizes[static_cast<size_t>(axis)]);
  }
  array ready = transpose(reshape(updates, kept), inverse);
  if (part == a.shape()) return scatter_at(a, w.indices, ready, axes, 0, mode);
  Shape starts(part.size(), 0);
  array changed = scatter_at(slice(a, starts, part), w.indices, ready, axes, 0, mode);
  return slice_update(a, changed, starts, part);
}

array scatter_add(const array& a, const Arrays& indices, const array& updates, const Axes& axes) {
  return scatter(a, indices, updates, axes, ScatterMode::add);
}
array scatter_multiply(const array& a, const Arrays& indices, const array& updates, const Axes& axes) {
  return scatter(a, indices, updates, axes, ScatterMode::multiply);
}
array scatter_min(const array& a, const Arrays& indices, const array& updates, const Axes& axes) {
  return scatter(a, indices, updates, axes, ScatterMode::minimum);
}
array scatter_max(const array& a, const Arrays& indices, const array& updates, const Axes& axes) {
  return scatter(a, indices, updates, axes, ScatterMode::maximum);
}

}  // namespace mx

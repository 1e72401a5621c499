// movement_slice.cpp — slices, their updates, strided windows and diagonals.
//
// slice / slice_update take positions known when the graph is built; dynamic_slice / dynamic_slice_update read them from
// an array. Each pair is its own transpose: a slice's cotangent is written into zeros, an update's is cut
// out. as_strided and as_strided_add are such a pair too. Start at the records.

#include "ops/movement.h"

#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/movement_params.h"
#include "ops/reduce.h"

namespace mx {

namespace {

Shape prepend(const Shape& xs, int64_t x) { return with_axis(xs, x); }

// `p` for one more axis in front, taken whole.
SliceParams batched(const SliceParams& p, int64_t size) {
  return {prepend(p.starts, 0), prepend(p.steps, 1), prepend(p.sizes, size)};
}

array slice_with(const array& a, const SliceParams& p) {
  bool whole = p.sizes == a.shape();
  for (size_t i = 0; i < p.starts.size(); ++i) whole &= p.starts[i] == 0 && p.steps[i] == 1;
  if (whole) return a;
  return make_node(slice_p, p, {a}, {a.dtype(), p.sizes});
}

array slice_update_with(const array& a, const array& update, const SliceParams& p) {
  // Everything is replaced, perhaps in reverse order; and reversing is its own inverse.
  if (p.sizes == a.shape()) return slice_with(update, p);
  if (n_elems(p.sizes) == 0) return a;
  return make_node(slice_update_p, p, {a, update}, {a.dtype(), a.shape()});
}

// What Python's a[start:stop:step, ...] selects in an array of this shape.
SliceParams resolve(const Shape& shape, const Shape& starts, const Shape& stops, const Shape& steps, std::string_view op) {
  if (starts.size() != shape.size() || stops.size() != shape.size() || steps.size() != shape.size()) {
    throw ValueError(cat("[", op, "] starts ", starts, ", stops ", stops, " and steps ", steps, " for an array of shape ", shape,
                         "; need one of each for every axis."));
  }
  SliceParams p;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t n = shape[i], step = std::max(steps[i], -std::numeric_limits<int64_t>::max());
    if (step == 0) throw ValueError(cat("[", op, "] the step of axis ", i, " is 0."));
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    auto clamp = [&](int64_t x) { return std::clamp(x < 0 ? x + n : x, low, high); };
    int64_t start = clamp(starts[i]), stop = clamp(stops[i]), size = 0;
    if (step > 0 && start < stop) size = (stop - start - 1) / step + 1;
    if (step < 0 && stop < start) size = (start - stop - 1) / -step + 1;
    p.starts.push_back(size > 0 ? start : 0);
    p.steps.push_back(size > 1 ? step : 1);
    p.sizes.push_back(size);
  }
  return p;
}

array zeros_for(const array& a) { return zeros(a.shape(), a.dtype()); }

// (m, n) of the last two axes -> where diagonal `offset` begins in the flat matrix, and its length.
struct Diagonal {
  int64_t first, length;
  Diagonal(int64_t m, int64_t n, int64_t offset) {
    offset = std::clamp(offset, -m, n);
    first = offset >= 0 ? offset : -offset * n;
    length = std::max<int64_t>(offset >= 0 ? std::min(m, n - offset) : std::min(m + offset, n), 0);
  }
};

// Zeros of shape (..., m, n) with x (..., length) on a diagonal: in the flat matrix, every (n + 1)-th element.
array on_diagonal(const array& x, int64_t m, int64_t n, int64_t offset) {
  Shape shape(x.shape());
  shape.back() = m;
  shape.push_back(n);
  Diagonal d(m, n, offset);
  if (n_elems(shape) == 0 || d.length == 0) return zeros(shape, x.dtype());
  Shape flat(x.shape());
  flat.back() = m * n;
  SliceParams p{Shape(flat.size(), 0), Shape(flat.size(), 1), x.shape()};
  p.starts.back() = d.first;
  if (d.length > 1) p.steps.back() = n + 1;
  return reshape(slice_update_with(zeros(flat, x.dtype()), x, p), shape);
}

// Throws unless all of as_strided's elements lie in [0, n).
void check_reach(int64_t n, const Shape& shape, const Strides& strides, int64_t offset, std::string_view op) {
  if (shape.size() != strides.size()) {
    throw ValueError(cat("[", op, "] shape ", shape, " and strides ", strides, " differ in length."));
  }
  for (int64_t size : shape) {
    if (size < 0) throw ValueError(cat("[", op, "] negative size in shape ", shape, "."));
  }
  if (n_elems(shape) == 0) return;
  __int128 low = offset, high = offset;
  bool far = false;  // Beyond any array; also keeps the sums below from overflowing.
  for (size_t i = 0; i < shape.size() && !far; ++i) {
    __int128 reach = __int128(shape[i] - 1) * strides[i];
    (reach < 0 ? low : high) += reach;
    far = low < 0 || high >= n;
  }
  if (far || low < 0 || high >= n) {
    throw ValueError(cat("[", op, "] shape ", shape, ", strides ", strides, " and offset ", offset, " reach outside of the ", n,
                         " elements of the array."));
  }
}

}  // namespace

// ---- records

const Primitive slice_p = define<SliceParams>({
    .name = "slice",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), p.sizes}; },
    .jvp = [](auto& p, const Call&, int, const array& t) { return slice_with(t, p); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) { return slice_update_with(zeros_for(c.in(0)), ct, p); },
    .vmap = [](auto& p, const Batch& b) { return slice_with(b.in(0), batched(p, b.size())); },
    .view = [](auto& p, const array& in, const Shape&) {
      View v;
      for (size_t i = 0; i < p.starts.size(); ++i) {
        v.offset += p.starts[i] * in.strides()[i];
        v.strides.push_back(p.steps[i] * in.strides()[i]);
      }
      return v;
    },
});

const Primitive slice_update_p = define<SliceParams>({
    .name = "slice_update",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) {
      return slice_update_with(ts[0].defined() ? ts[0] : zeros_for(c.in(0)), ts[1].defined() ? ts[1] : zeros_for(c.in(1)), p);
    },
    .vjp = [](auto& p, const Call& c, int i, const array& ct) {
      return i == 0 ? slice_update_with(ct, zeros_for(c.in(1)), p) : slice_with(ct, p);
    },
    .vmap = [](auto& p, const Batch& b) { return slice_update_with(b.in(0), b.in(1), batched(p, b.size())); },
    .kind = Kind::update,
});

// The starts are the last input, so that the inputs before it are the differentiable ones.
const Primitive dynamic_slice_p = define<DynamicSliceParams>({
    .name = "dynamic_slice",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), p.sizes}; },
    .jvp = [](auto& p, const Call& c, int, const array& t) { return dynamic_slice(t, c.in(1), p.axes, p.sizes); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) {
      return dynamic_slice_update(zeros_for(c.in(0)), ct, c.in(1), p.axes);
    },
    .vmap = [](auto& p, const Batch& b) {
      Shape sizes = prepend(p.sizes, b.size());
      bool shared = !b.mapped(1) && b.shape(1).size() == 1;
      return dynamic_slice(b.in(0), shared ? b.raw(1) : b.in(1), shift(p.axes), sizes);
    },
    .first_index_input = 1,
});

const Primitive dynamic_slice_update_p = define<DynamicSliceParams>({
    .name = "dynamic_slice_update",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) {
      return dynamic_slice_update(ts[0].defined() ? ts[0] : zeros_for(c.in(0)), ts[1].defined() ? ts[1] : zeros_for(c.in(1)),
                                  c.in(2), p.axes);
    },
    .vjp = [](auto& p, const Call& c, int i, const array& ct) {
      if (i == 0) return dynamic_slice_update(ct, zeros_for(c.in(1)), c.in(2), p.axes);
      return dynamic_slice(ct, c.in(2), p.axes, p.sizes);
    },
    .vmap = [](auto& p, const Batch& b) {
      bool shared = !b.mapped(2) && b.shape(2).size() == 1;
      return dynamic_slice_update(b.in(0), b.in(1), shared ? b.raw(2) : b.in(2), shift(p.axes));
    },
    .first_index_input = 2,
    .kind = Kind::update,
});

// The input is one-dimensional, so it is a view whatever its stride.
const Primitive as_strided_p = define<StridedParams>({
    .name = "as_strided",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), p.shape}; },
    .jvp = [](auto& p, const Call&, int, const array& t) { return as_strided(t, p.shape, p.strides, p.offset); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return as_strided_add(ct, p.n, p.strides, p.offset); },
    .vmap = [](auto& p, const Batch& b) {
      return as_strided(b.in(0), prepend(p.shape, b.size()), prepend(p.strides, p.n), p.offset);
    },
    .view = [](auto& p, const array& in, const Shape&) {
      int64_t stride = in.strides()[0];
      View v{p.strides, p.offset * stride};
      for (int64_t& s : v.strides) s *= stride;
      return v;
    },
});

const Primitive as_strided_add_p = define<StridedParams>({
    .name = "as_strided_add",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), {p.n}}; },
    .jvp = [](auto& p, const Call&, int, const array& t) { return as_strided_add(t, p.n, p.strides, p.offset); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return as_strided(ct, p.shape, p.strides, p.offset); },
    .vmap = [](auto& p, const Batch& b) {
      array flat = as_strided_add(b.in(0), b.size() * p.n, prepend(p.strides, p.n), p.offset);
      return reshape(flat, {b.size(), p.n});
    },
});

const Primitive diagonal_p = define<DiagonalParams>({
    .name = "diagonal",
    .infer = [](auto& p, const Call& c) {
      Shape shape(c.in(0).shape());
      Diagonal d(shape[shape.size() - 2], shape.back(), p.offset);
      shape.pop_back();
      shape.back() = d.length;
      return Type{c.in(0).dtype(), shape};
    },
    .jvp = [](auto& p, const Call&, int, const array& t) { return diagonal(t, p.offset, -2, -1); },
    .vjp = [](auto& p, const Call& c, int, const array& ct) {
      return on_diagonal(ct, c.in(0).shape(-2), c.in(0).shape(-1), p.offset);
    },
    .vmap = [](auto& p, const Batch& b) { return diagonal(b.in(0), p.offset, -2, -1); },
    .view = [](auto& p, const array& in, const Shape& out) {
      View v{in.strides(), 0};
      int64_t column = v.strides.back();
      v.strides.pop_back();
      int64_t row = v.strides.back();
      v.strides.back() = row + column;
      if (n_elems(out) > 0) v.offset = p.offset >= 0 ? p.offset * column : -p.offset * row;
      return v;
    },
});

// ---- slices

array slice(const array& a, const Shape& starts, const Shape& stops, const Shape& steps) {
  return slice_with(a, resolve(a.shape(), starts, stops, steps, "slice"));
}
array slice(const array& a, const Shape& starts, const Shape& stops) {
  return slice(a, starts, stops, Shape(starts.size(), 1));
}

array slice_along(const array& a, int axis, int64_t start, int64_t stop, int64_t step) {
  size_t at = static_cast<size_t>(normalize_axis(axis, a.ndim(), "slice"));
  Shape starts(a.shape().size(), 0), stops(a.shape()), steps(a.shape().size(), 1);
  starts[at] = start;
  stops[at] = stop;
  steps[at] = step;
  return slice(a, starts, stops, steps);
}

array slice_update(const array& a, const array& update, const Shape& starts, const Shape& stops, const Shape& steps) {
  SliceParams p = resolve(a.shape(), starts, stops, steps, "slice_update");
  // Leading axes of size 1 are dropped: x[0:2] = row of shape (1, 1, n) is fine in NumPy and here.
  array value = update;
  if (value.ndim() > a.ndim()) {
    Shape shape(value.shape());
    while (static_cast<int>(shape.size()) > a.ndim() && shape.front() == 1) shape.erase(shape.begin());
    value = reshape(value, shape);
  }
  bool fits = value.ndim() <= a.ndim();
  for (int i = 1; fits && i <= value.ndim(); ++i) {
    fits = value.shape(-i) == 1 || value.shape(-i) == p.sizes[p.sizes.size() - static_cast<size_t>(i)];
  }
  if (!fits) {
    throw ValueError(cat("[slice_update] update has shape ", update.shape(), ", the slice ", p.sizes,
                         "; need a shape that broadcasts to the slice's."));
  }
  return slice_update_with(a, broadcast_to(astype(value, a.dtype()), p.sizes), p);
}
array slice_update(const array& a, const array& update, const Shape& starts, const Shape& stops) {
  return slice_update(a, update, starts, stops, Shape(starts.size(), 1));
}

// ---- dynamic slices

namespace {

// Checks `start` (batch..., k) against an array of this shape and the axes; returns start as an array of at least one
// dimension and the axes counted from 0.
std::pair<array, Axes> check_start(const Shape& shape, const array& start, const Axes& axes, std::string_view op) {
  if (!is_integer(start.dtype())) {
    throw DtypeError(cat("[", op, "] start_indices have dtype ", start.dtype(), "; need integers."));
  }
  array starts = start.ndim() == 0 ? reshape(start, {1}) : start;
  int ndim = static_cast<int>(shape.size()), n_batch = starts.ndim() - 1;
  normalize_axes(axes, ndim, op);
  Axes fixed;
  for (int axis : axes) fixed.push_back(axis < 0 ? axis + ndim : axis);
  if (starts.shape(-1) != static_cast<int64_t>(axes.size())) {
    throw ValueError(cat("[", op, "] start_indices have shape ", start.shape(), " for axes ", axes, "; need one index an axis."));
  }
  bool fits = n_batch <= ndim;
  for (int i = 0; fits && i < n_batch; ++i) fits = starts.shape(i) == shape[static_cast<size_t>(i)];
  for (int axis : fixed) fits = fits && axis >= n_batch;
  if (!fits) {
    throw ValueError(cat("[", op, "] start_indices have shape ", start.shape(), " for axes ", axes, " of an array of shape ", shape,
                         "; need shape (", axes.size(), ",)."));
  }
  return {starts, fixed};
}

}  // namespace

array dynamic_slice(const array& a, const array& start, const Axes& axes, const Shape& sizes) {
  auto [starts, fixed] = check_start(a.shape(), start, axes, "slice");
  bool fits = sizes.size() == a.shape().size();
  for (size_t i = 0; fits && i < sizes.size(); ++i) fits = sizes[i] >= 0 && sizes[i] <= a.shape()[i];
  for (size_t i = 0; fits && i + 1 < starts.shape().size(); ++i) fits = sizes[i] == a.shape()[i];
  if (!fits) {
    throw ValueError(cat("[slice] slice_size ", sizes, " for an array of shape ", a.shape(),
                         "; need one size an axis, none larger than the array's."));
  }
  return make_node(dynamic_slice_p, DynamicSliceParams{fixed, sizes}, {a, starts}, {a.dtype(), sizes});
}

array dynamic_slice_update(const array& a, const array& update, const array& start, const Axes& axes) {
  auto [starts, fixed] = check_start(a.shape(), start, axes, "slice_update");
  Shape sizes(update.shape());
  while (sizes.size() < a.shape().size()) sizes.insert(sizes.begin(), 1);
  bool fits = sizes.size() == a.shape().size();
  for (size_t i = 0; fits && i < sizes.size(); ++i) fits = sizes[i] <= a.shape()[i];
  for (size_t i = 0; fits && i + 1 < starts.shape().size(); ++i) fits = sizes[i] == a.shape()[i];
  if (!fits) {
    throw ValueError(cat("[slice_update] update has shape ", update.shape(), ", a ", a.shape(),
                         "; the update must fit into a along every axis."));
  }
  array value = reshape(astype(update, a.dtype()), sizes);
  return make_node(dynamic_slice_update_p, DynamicSliceParams{fixed, sizes}, {a, value, starts}, {a.dtype(), a.shape()});
}

// ---- windows

array as_strided(const array& a, const Shape& shape, const Strides& strides, int64_t offset) {
  check_reach(a.size(), shape, strides, offset, "as_strided");
  if (n_elems(shape) == 0) offset = 0;
  array flat = reshape(a, {a.size()});
  return make_node(as_strided_p, StridedParams{shape, strides, offset, a.size()}, {flat}, {a.dtype(), shape});
}

array as_strided_add(const array& x, int64_t n, const Strides& strides, int64_t offset) {
  if (!is_inexact(x.dtype())) {
    throw DtypeError(cat("[as_strided_add] x has dtype ", x.dtype(), "; need floating or complex."));
  }
  check_reach(n, x.shape(), strides, offset, "as_strided_add");
  return make_node(as_strided_add_p, StridedParams{x.shape(), strides, offset, n}, {x}, {x.dtype(), {n}});
}

// ---- diagonals

array diagonal(const array& a, int64_t offset, int axis1, int axis2) {
  if (a.ndim() < 2) throw ValueError(cat("[diagonal] a has shape ", a.shape(), "; need at least two dimensions."));
  int i = normalize_axis(axis1, a.ndim(), "diagonal"), j = normalize_axis(axis2, a.ndim(), "diagonal");
  if (i == j) throw ValueError(cat("[diagonal] axis1 and axis2 are both axis ", i, "; need two different axes."));
  array matrices = moveaxis(a, Axes{i, j}, Axes{-2, -1});
  Shape shape(matrices.shape());
  int64_t n = shape.back();
  shape.pop_back();
  int64_t m = shape.back();
  shape.back() = Diagonal(m, n, offset).length;
  return make_node(diagonal_p, DiagonalParams{std::clamp(offset, -m, n)}, {matrices}, {a.dtype(), shape});
}

array diag(const array& a, int64_t k) {
  if (a.ndim() == 2) return diagonal(a, k, 0, 1);
  if (a.ndim() != 1) throw ValueError(cat("[diag] a has shape ", a.shape(), "; need one or two dimensions."));
  int64_t n = 0;
  if (k == std::numeric_limits<int64_t>::min() || __builtin_add_overflow(a.size(), k < 0 ? -k : k, &n)) {
    throw OverflowError(cat("[diag] diagonal ", k, " does not fit any matrix."));
  }
  n_elems({n, n});
  return on_diagonal(a, n, n, k);
}

namespace {

void check_trace(const array& a, int axis1, int axis2) {
  if (a.ndim() < 2) throw ValueError(cat("[trace] a has shape ", a.shape(), "; need at least two dimensions."));
  int first = normalize_axis(axis1, a.ndim(), "trace");
  if (first == normalize_axis(axis2, a.ndim(), "trace")) {
    throw ValueError(cat("[trace] axis1 and axis2 are both axis ", first, "; need two different axes."));
  }
}

}  // namespace

array trace(const array& a, int64_t offset, int axis1, int axis2) {
  check_trace(a, axis1, axis2);
  return sum(diagonal(a, offset, axis1, axis2), -1);
}
array trace(const array& a, int64_t offset, int axis1, int axis2, Dtype dtype) {
  check_trace(a, axis1, axis2);
  return astype(sum(astype(diagonal(a, offset, axis1, axis2), dtype), -1), dtype);
}

}  // namespace mx

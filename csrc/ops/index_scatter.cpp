// index_scatter.cpp — writing at index arrays, and its derivatives.
//
// Indices may repeat, and the rules must say whose derivative counts: with `set` the last write's, with maximum and
// minimum all ties' in equal shares (the old value included), with multiply each factor's, by the product of the
// others. None of them divides, and all are made of public functions, so they hold to any order.

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/index_detail.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/sort.h"

namespace mx {

std::ostream& operator<<(std::ostream& out, ScatterMode mode) {
  constexpr const char* names[] = {"set", "add", "multiply", "minimum", "maximum"};
  return out << names[static_cast<size_t>(mode)];
}

namespace {

// Whether two index positions can mean the same place.
bool may_repeat(const Call& c) { return c.in(2).size() > 1; }

// An array of index shape made to broadcast against updates: dimensions of size 1 for the rest axes after `at`.
array beside_rest(const array& x, int n_rest, int at) {
  Shape shape(x.shape());
  shape.resize(shape.size() + static_cast<size_t>(n_rest - at), 1);
  return reshape(x, shape);
}

// For each index position whether no later one writes to the same place: write numbers, and see which stay.
array last_writes(const Shape& shape, const ScatterParams& p, const Arrays& indices) {
  Shape dims;
  for (int axis : p.axes) dims.push_back(shape[static_cast<size_t>(axis)]);
  array number = reshape(arange(indices[0].size()), indices[0].shape());
  Axes axes = all_axes(static_cast<int64_t>(dims.size()));
  array seen = scatter_at(full(dims, -1, number.dtype()), indices, number, axes, 0, ScatterMode::set);
  return equal(gather_at(seen, indices, axes, 0), number);
}

// For each update the product of the other updates of the same place. Updates are brought into the order of their
// places; then the products of those before and of those after are two linear recurrences that restart at each place.
array product_of_others(const array& updates, const Shape& shape, const ScatterParams& p, const Arrays& indices) {
  int64_t n = indices[0].size();
  array place = array(0, Dtype::int64);
  for (size_t k = 0; k < indices.size(); ++k) {
    int64_t size = shape[static_cast<size_t>(p.axes[k])];
    array index = astype(reshape(indices[k], {n}), Dtype::int64);
    place = place * size + where(less(index, array(0, Dtype::int64)), index + size, index);
  }
  array order = argsort(place, 0), back = argsort(order, 0);
  array sorted_place = take(place, order, 0);
  array same = equal(slice_along(sorted_place, 0, 0, n - 1), slice_along(sorted_place, 0, 1, n));
  array no = zeros({1}, Dtype::bool_);

  int axis = p.at, n_rest = static_cast<int>(shape.size() - p.axes.size());
  Shape rows = gathered_shape(shape, {n}, p.axes, p.at);
  array sorted = take(reshape(updates, rows), order, axis);
  array zero = array(0, updates.dtype()), one = array(1, updates.dtype());
  auto products = [&](bool reverse) {
    array begins = logical_not(beside_rest(reverse ? concatenate({same, no}) : concatenate({no, same}), n_rest, p.at));
    array neighbour = roll(sorted, reverse ? -1 : 1, axis);
    return linear_recurrence(where(begins, zero, neighbour), broadcast_to(where(begins, one, zero), rows), axis, reverse);
  };
  return reshape(take(products(false) * products(true), back, axis), updates.shape());
}

// The shares of a tangent between ties at an extreme: of the old value at each place, and of each update.
struct Shares {
  array old, updates;
};
Shares shares(const ScatterParams& p, const Call& c) {
  const array &a = c.in(0), &u = c.in(1);
  Arrays indices = inputs_from(c, 2);
  array out = c.out();
  array old = astype(logical_or(equal(a, out), isnan(a)), a.dtype());
  array hit = astype(logical_or(equal(u, gather_at(out, indices, p.axes, p.at)), isnan(u)), a.dtype());
  array count = scatter_at(old, indices, hit, p.axes, p.at, ScatterMode::add);
  return {old / count, hit / gather_at(count, indices, p.axes, p.at)};
}

array placed(const ScatterParams& p, const Call& c, const array& onto, const array& updates, ScatterMode mode) {
  return scatter_at(onto, inputs_from(c, 2), updates, p.axes, p.at, mode);
}
array nothing_like(const array& x) { return zeros(x.shape(), x.dtype()); }
array or_zeros(const array& t, const array& x) { return t.defined() ? t : nothing_like(x); }

// One example's scatter for a batch. Only if the examples have different indices must these say which example is meant.
array scatter_batch(const ScatterParams& p, const Batch& b) {
  if (!any_mapped_from(b, 2)) {
    return scatter_at(b.in(0), inputs_from(b.call(), 2), b.in(1), shift(p.axes), p.at + 1, p.mode);
  }
  auto [indices, axes] = batched_indices(b, 2, p.axes);
  return scatter_at(b.in(0), indices, moveaxis(b.in(1), 0, p.at), axes, p.at, p.mode);
}

// For each update along an axis whether it is the last one to its place.
array last_writes_along(const Shape& shape, const array& indices, int axis) {
  int64_t n = indices.shape(axis);
  Shape along(indices.shape().size(), 1);
  along[static_cast<size_t>(axis)] = n;
  array number = broadcast_to(reshape(arange(n), along), indices.shape());
  array seen = put_along_axis(full(shape, -1, number.dtype()), indices, number, axis);
  return equal(take_along_axis(seen, indices, axis), number);
}

}  // namespace

// ---- records

// set and add: linear in both arrays.
const Primitive scatter_p = define<ScatterParams>({
    .name = "scatter",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) {
      if (p.mode == ScatterMode::add && !ts[1].defined()) return ts[0];
      return placed(p, c, or_zeros(ts[0], c.in(0)), or_zeros(ts[1], c.in(1)), p.mode);
    },
    .vjp = [](auto& p, const Call& c, int i, const array& ct) {
      bool add = p.mode == ScatterMode::add;
      if (i == 0) return add ? ct : placed(p, c, ct, zeros(c.in(1).shape(), ct.dtype()), p.mode);
      Arrays indices = inputs_from(c, 2);
      array found = gather_at(ct, indices, p.axes, p.at);
      if (add || !may_repeat(c)) return found;
      int n_rest = c.in(0).ndim() - static_cast<int>(p.axes.size());
      array last = beside_rest(last_writes(c.in(0).shape(), p, indices), n_rest, p.at);
      return where(last, found, array(0, ct.dtype()));
    },
    .vmap = [](auto& p, const Batch& b) { return scatter_batch(p, b); },
    .first_index_input = 2,
    .kind = Kind::update,
});

// multiply, minimum and maximum.
const Primitive scatter_reduce_p = define<ScatterParams>({
    .name = "scatter_reduce",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call& c, int i, const array& t) {
      if (p.mode != ScatterMode::multiply) {
        Shares share = shares(p, c);
        if (i == 0) return strong_zero_multiply(share.old, t);
        return placed(p, c, nothing_like(c.in(0)), strong_zero_multiply(share.updates, t), ScatterMode::add);
      }
      if (i == 0) return strong_zero_multiply(placed(p, c, ones_like(c.in(0)), c.in(1), ScatterMode::multiply), t);
      Arrays indices = inputs_from(c, 2);
      array slope = gather_at(c.in(0), indices, p.axes, p.at);
      if (may_repeat(c)) slope = slope * product_of_others(c.in(1), c.in(0).shape(), p, indices);
      return placed(p, c, nothing_like(c.in(0)), strong_zero_multiply(slope, t), ScatterMode::add);
    },
    .vmap = [](auto& p, const Batch& b) { return scatter_batch(p, b); },
    .first_index_input = 2,
    .kind = Kind::update,
});

const Primitive scatter_axis_p = define<ScatterAxisParams>({
    .name = "scatter_axis",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .push = [](auto& p, const Call& c, const Arrays& ts) {
      if (p.mode == ScatterMode::add && !ts[1].defined()) return ts[0];
      return scatter_along_axis(or_zeros(ts[0], c.in(0)), c.in(2), or_zeros(ts[1], c.in(1)), p.axis, p.mode);
    },
    .vjp = [](auto& p, const Call& c, int i, const array& ct) {
      bool add = p.mode == ScatterMode::add;
      if (i == 0) return add ? ct : scatter_along_axis(ct, c.in(2), zeros(c.in(1).shape(), ct.dtype()), p.axis, p.mode);
      array found = take_along_axis(ct, c.in(2), p.axis);
      if (add || c.in(2).shape(p.axis) <= 1) return found;
      return where(last_writes_along(c.in(0).shape(), c.in(2), p.axis), found, array(0, ct.dtype()));
    },
    .vmap = [](auto& p, const Batch& b) { return scatter_along_axis(b.in(0), b.in(2), b.in(1), p.axis + 1, p.mode); },
    .first_index_input = 2,
    .kind = Kind::update,
});

// ---- public functions

array scatter_at(const array& a, const Arrays& indices, const array& updates, const Axes& axes, int at, ScatterMode mode) {
  IndexPlan plan = plan_indices(a, indices, axes, at, "index");
  array cast = astype(updates, a.dtype());
  if (broadcast_shapes(cast.shape(), plan.result_shape, "index") != plan.result_shape) {
    throw ValueError(cat("[index] updates of shape ", updates.shape(), " do not broadcast to the indexed shape ",
                         plan.result_shape, "."));
  }
  cast = broadcast_to(cast, plan.result_shape);
  if (indices.empty()) {
    switch (mode) {
      case ScatterMode::set: return cast;
      case ScatterMode::add: return add(a, cast);
      case ScatterMode::multiply: return multiply(a, cast);
      case ScatterMode::minimum: return minimum(a, cast);
      case ScatterMode::maximum: return maximum(a, cast);
    }
  }
  SmallVector<array, 3> inputs{a, cast};
  for (array& index : plan.indices) inputs.push_back(std::move(index));
  bool linear = mode == ScatterMode::set || mode == ScatterMode::add;
  return make_node(linear ? scatter_p : scatter_reduce_p, ScatterParams{std::move(plan.axes), at, mode}, std::move(inputs), a.type());
}

array scatter_along_axis(const array& a, const array& indices, const array& values, int axis, ScatterMode mode) {
  constexpr std::string_view op = "put_along_axis";
  check_indices(indices, op);
  axis = normalize_axis(axis, a.ndim(), op);
  Shape others = without_axis(a.shape(), axis);
  if (aligned_shape(a, indices, axis, op) != others) {
    throw ValueError(cat("[", op, "] indices do not broadcast to a: indices are ", indices.shape(), ", a is ", a.shape(),
                         "; on the axes other than ", axis, " they need size 1 or a's size."));
  }
  array index = broadcast_to(indices, with_axis(others, indices.shape(axis), axis));
  array updates = astype(values, a.dtype());
  if (broadcast_shapes(updates.shape(), index.shape(), op) != index.shape()) {
    throw ValueError(cat("[", op, "] values do not broadcast to the indices: values are ", values.shape(), ", indices ",
                         index.shape(), "."));
  }
  updates = broadcast_to(updates, index.shape());
  if (mode == ScatterMode::set || mode == ScatterMode::add) {
    return make_node(scatter_axis_p, ScatterAxisParams{axis, mode}, {a, updates, index}, a.type());
  }
  // Rare modes: every position of every axis is spelled out.
  Arrays all;
  for (int i = 0; i < a.ndim(); ++i) {
    Shape along(a.shape().size(), 1);
    along[static_cast<size_t>(i)] = index.shape(i);
    all.push_back(i == axis ? index : reshape(arange(index.shape(i)), along));
  }
  return scatter_at(a, all, updates, all_axes(a.ndim()), 0, mode);
}

array scatter_add_along_axis(const array& a, const array& indices, const array& values, int axis) {
  return scatter_along_axis(a, indices, values, axis, ScatterMode::add);
}

array put_along_axis(const array& a, const array& indices, const array& values, std::optional<int> axis) {
  if (axis) return scatter_along_axis(a, indices, values, *axis, ScatterMode::set);
  check_indices(indices, "put_along_axis");
  array updates = values;
  if (broadcast_shapes(values.shape(), indices.shape(), "put_along_axis") == indices.shape()) {
    updates = flatten(broadcast_to(values, indices.shape()));
  }
  return reshape(scatter_along_axis(flatten(a), flatten(indices), updates, 0, ScatterMode::set), a.shape());
}

}  // namespace mx

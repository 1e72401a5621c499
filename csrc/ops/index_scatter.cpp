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

array push_scatter(const ScatterParams& p, const Call& c, int i, const array& t) {
  array nothing = i == 0 ? zeros(c.in(1).shape(), t.dtype()) : zeros(c.in(0).shape(), t.dtype());
  switch (p.mode) {
    case ScatterMode::set:
      return i == 0 ? placed(p, c, t, nothing, ScatterMode::set) : placed(p, c, nothing, t, ScatterMode::set);
    case ScatterMode::add:
      return i == 0 ? t : placed(p, c, nothing, t, ScatterMode::add);
    case ScatterMode::multiply: {
      if (i == 0) return strong_zero_multiply(placed(p, c, ones_like(c.in(0)), c.in(1), ScatterMode::multiply), t);
      Arrays indices = inputs_from(c, 2);
      array slope = gather_at(c.in(0), indices, p.axes, p.at);
      if (may_repeat(c)) slope = slope * product_of_others(c.in(1), c.in(0).shape(), p, indices);
      return placed(p, c, nothing, strong_zero_multiply(slope, t), ScatterMode::add);
    }
    default: {
      Shares share = shares(p, c);
      if (i == 0) return share.old * t;
      return placed(p, c, nothing, share.updates * t, ScatterMode::add);
    }
  }
}

// Pulls a cotangent through the linear modes; the others are pulled back through their pushforward.
array pull_linear(const ScatterParams& p, const Call& c, int i, const array& ct) {
  if (i == 0) return p.mode == ScatterMode::add ? ct : placed(p, c, ct, zeros(c.in(1).shape(), ct.dtype()), ScatterMode::set);
  Arrays indices = inputs_from(c, 2);
  array found = gather_at(ct, indices, p.axes, p.at);
  if (p.mode == ScatterMode::add || !may_repeat(c)) return found;
  int n_rest = c.in(0).ndim() - static_cast<int>(p.axes.size());
  array last = beside_rest(last_writes(c.in(0).shape(), p, indices), n_rest, p.at);
  return where(last, found, array(0, ct.dtype()));
}

}  // namespace

// ---- records

const Primitive scatter_linear_p = define<ScatterParams>({
    .name = "scatter",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = push_scatter,
    .vjp = [](auto& p, const Call& c, int i, const array& ct) { return pull_linear(p, c, i, ct); },
    .first_index_input = 2,
});

}  // namespace mx

// movement_join.cpp — concatenate, and the operations that are slices, broadcasts and joins put together: stack,
// split, repeat, tile, roll, flip, pad, meshgrid, diff. Only concatenate is a primitive.

#include "ops/movement.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/movement_params.h"
#include "ops/operators.h"

namespace mx {

const Primitive concatenate_p = define<ConcatenateParams>({
    .name = "concatenate",
    .infer = [](auto& p, const Call& c) {
      Type type = c.in(0).type();
      int64_t& size = type.shape[static_cast<size_t>(p.axis)];
      for (int i = 1; i < c.n_in(); ++i) size += c.in(i).shape(p.axis);
      return type;
    },
    .push = [](auto& p, const Call& c, const Arrays& ts) {
      Arrays parts;
      for (int i = 0; i < c.n_in(); ++i) {
        const array& t = ts[static_cast<size_t>(i)];
        parts.push_back(t.defined() ? t : zeros_like(c.in(i)));
      }
      return concatenate(parts, p.axis);
    },
    .pull = [](auto& p, const Call& c, const Outs& cts, const std::vector<bool>& need) {
      Arrays out(need.size());
      int64_t start = 0;
      for (size_t i = 0; i < need.size(); ++i) {
        int64_t stop = start + c.in(static_cast<int>(i)).shape(p.axis);
        if (need[i]) out[i] = slice_along(cts[0], p.axis, start, stop);
        start = stop;
      }
      return out;
    },
    .vmap = [](auto& p, const Batch& b) {
      Arrays parts;
      for (int i = 0; i < b.n_in(); ++i) parts.push_back(b.in(i));
      return concatenate(parts, p.axis + 1);
    },
});

namespace {

Arrays with_common_dtype(const Arrays& arrays) {
  Dtype dtype = arrays[0].dtype();
  for (const array& a : arrays) dtype = promote(dtype, a.dtype());
  Arrays out;
  for (const array& a : arrays) out.push_back(astype(a, dtype));
  return out;
}

array flat(const array& a) { return reshape(a, {a.size()}); }

// `a` n times in a row along `axis` (whole: abab) or element by element (aabb): a new axis, broadcast, merged.
array repeated(const array& a, int64_t n, int axis, bool whole) {
  Shape shape = with_axis(a.shape(), n, whole ? axis : axis + 1), merged(a.shape());
  int64_t& size = merged[static_cast<size_t>(axis)];
  if (__builtin_mul_overflow(size, n, &size)) {
    throw OverflowError(cat("[repeat] ", n, " times an array of shape ", a.shape(), " holds more than 2**63 - 1 elements."));
  }
  return reshape(broadcast_to(expand_dims(a, whole ? axis : axis + 1), shape), merged);
}

}  // namespace

// ---- joining and splitting

array concatenate(const Arrays& arrays, int axis) {
  if (arrays.empty()) throw ValueError("[concatenate] no arrays were given; need at least one.");
  int at = normalize_axis(axis, arrays[0].ndim(), "concatenate");
  Shape shape = arrays[0].shape();
  int64_t total = 0;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const array& a = arrays[i];
    if (a.ndim() != arrays[0].ndim() || without_axis(a.shape(), at) != without_axis(shape, at)) {
      throw ValueError(cat("[concatenate] shapes differ: arrays[0] is ", shape, ", arrays[", i, "] is ", a.shape(),
                           "; all sizes but those along axis ", at, " must be equal."));
    }
    if (__builtin_add_overflow(total, a.shape(at), &total)) {
      throw OverflowError("[concatenate] the result holds more than 2**63 - 1 elements.");
    }
  }
  Arrays parts = with_common_dtype(arrays);
  std::erase_if(parts, [&](const array& a) { return a.shape(at) == 0 && total > 0; });
  if (total == 0 || parts.size() == 1) return parts[0];
  shape[static_cast<size_t>(at)] = total;
  n_elems(shape);
  Dtype dtype = parts[0].dtype();
  return make_node(concatenate_p, ConcatenateParams{at}, SmallVector<array, 3>(parts.begin(), parts.end()), {dtype, shape});
}

array stack(const Arrays& arrays, int axis) {
  if (arrays.empty()) throw ValueError("[stack] no arrays were given; need at least one.");
  int at = normalize_axis(axis, arrays[0].ndim() + 1, "stack");
  Arrays parts;
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].shape() != arrays[0].shape()) {
      throw ValueError(cat("[stack] shapes differ: arrays[0] is ", arrays[0].shape(), ", arrays[", i, "] is ", arrays[i].shape(),
                           "; all must be equal."));
    }
    parts.push_back(expand_dims(arrays[i], at));
  }
  return concatenate(parts, at);
}

// A list of very many arrays would fill the memory before anyone could say so.
static void check_parts(int64_t n, const char* op) {
  constexpr int64_t kMost = int64_t(1) << 24;
  if (n > kMost) throw ValueError(cat("[", op, "] the result would be ", n, " arrays; need at most ", kMost, "."));
}

Arrays unstack(const array& a, int axis) {
  int at = normalize_axis(axis, a.ndim(), "unstack");
  check_parts(a.shape(at), "unstack");
  Arrays out;
  for (int64_t i = 0; i < a.shape(at); ++i) out.push_back(squeeze(slice_along(a, at, i, i + 1), at));
  return out;
}

Arrays split(const array& a, int64_t n_sections, int axis) {
  int at = normalize_axis(axis, a.ndim(), "split");
  if (n_sections <= 0) throw ValueError(cat("[split] the number of sections is ", n_sections, "; need at least 1."));
  if (a.shape(at) % n_sections != 0) {
    throw ValueError(cat("[split] axis ", axis, " of size ", a.shape(at), " does not divide into ", n_sections,
                         " equal sections (a has shape ", a.shape(), "). Give the indices to split at instead."));
  }
  check_parts(n_sections, "split");
  int64_t size = a.shape(at) / n_sections;
  Arrays out;
  for (int64_t i = 0; i < n_sections; ++i) out.push_back(slice_along(a, at, i * size, (i + 1) * size));
  return out;
}

Arrays split(const array& a, const Shape& indices, int axis) {
  int at = normalize_axis(axis, a.ndim(), "split");
  Arrays out;
  int64_t start = 0;
  for (int64_t stop : indices) {
    out.push_back(slice_along(a, at, start, stop));
    start = stop;
  }
  out.push_back(slice_along(a, at, start, a.shape(at)));
  return out;
}

array repeat(const array& a, int64_t repeats, int axis) {
  int at = normalize_axis(axis, a.ndim(), "repeat");
  if (repeats < 0) throw ValueError(cat("[repeat] repeats is ", repeats, "; need repeats >= 0."));
  return repeats == 1 ? a : repeated(a, repeats, at, false);
}
array repeat(const array& a, int64_t repeats) { return repeat(flat(a), repeats, 0); }

array tile(const array& a, const Shape& reps) {
  Shape sizes(a.shape()), times(reps);
  while (sizes.size() < times.size()) sizes.insert(sizes.begin(), 1);
  while (times.size() < sizes.size()) times.insert(times.begin(), 1);
  // Each axis becomes (times, size), all in one broadcast.
  Shape apart, spread, merged;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (times[i] < 0) throw ValueError(cat("[tile] negative number in reps ", reps, "; need numbers >= 0."));
    if (times[i] != 1) {
      apart.push_back(1);
      spread.push_back(times[i]);
    }
    apart.push_back(sizes[i]);
    spread.push_back(sizes[i]);
    int64_t size = 0;
    if (__builtin_mul_overflow(sizes[i], times[i], &size)) {
      throw OverflowError(cat("[tile] ", reps, " times an array of shape ", a.shape(), " holds more than 2**63 - 1 elements."));
    }
    merged.push_back(size);
  }
  return reshape(broadcast_to(reshape(a, apart), spread), merged);
}

// ---- rolling and flipping

array roll(const array& a, int64_t shift, int axis) {
  int at = normalize_axis(axis, a.ndim(), "roll");
  int64_t n = a.shape(at);
  if (n == 0) return a;
  int64_t s = shift % n;
  if (s < 0) s += n;
  if (s == 0) return a;
  return concatenate({slice_along(a, at, n - s, n), slice_along(a, at, 0, n - s)}, at);
}
array roll(const array& a, int64_t shift) { return a.ndim() == 0 ? a : reshape(roll(flat(a), shift, 0), a.shape()); }

array roll(const array& a, const Shape& shifts, const Axes& axes) {
  if (shifts.size() != axes.size() && shifts.size() != 1 && axes.size() != 1) {
    throw ValueError(cat("[roll] ", shifts.size(), " shifts ", shifts, " for ", axes.size(), " axes ", axes,
                         "; need as many of both, or one of either."));
  }
  array out = a;
  size_t n = shifts.empty() || axes.empty() ? 0 : std::max(shifts.size(), axes.size());
  for (size_t i = 0; i < n; ++i) {
    out = roll(out, shifts[shifts.size() == 1 ? 0 : i], axes[axes.size() == 1 ? 0 : i]);
  }
  return out;
}

array flip(const array& a, const Axes& axes) {
  Axes fixed = normalize_axes(axes, a.ndim(), "flip");
  Shape starts(a.shape().size(), 0), stops(a.shape()), steps(a.shape().size(), 1);
  for (int axis : fixed) {
    size_t i = static_cast<size_t>(axis);
    starts[i] = -1;
    stops[i] = -a.shape()[i] - 1;
    steps[i] = -1;
  }
  return slice(a, starts, stops, steps);
}
array flip(const array& a, int axis) { return flip(a, Axes{axis}); }
array flip(const array& a) { return flip(a, all_axes(a.ndim())); }

// ---- padding

namespace {

array pad_edge(const array& a, int axis, int64_t low, int64_t high) {
  int64_t n = a.shape(axis);
  auto spread = [&](int64_t from, int64_t size) {
    Shape shape(a.shape());
    shape[static_cast<size_t>(axis)] = size;
    return broadcast_to(slice_along(a, axis, from, from + 1), shape);
  };
  return concatenate({spread(0, low), a, spread(n - 1, high)}, axis);
}

// `edge` is 1 where the edge element is repeated (symmetric), 0 where not (reflect).
array pad_mirror(const array& a, int axis, int64_t low, int64_t high, int64_t edge) {
  int64_t n = a.shape(axis), reach = n - 1 + edge;
  if (low <= reach && high <= reach) {
    int64_t skip = 1 - edge;
    array before = slice_along(a, axis, skip, low + skip), after = slice_along(a, axis, n - skip - high, n - skip);
    return concatenate({flip(before, axis), a, flip(after, axis)}, axis);
  }
  if (reach == 0) return pad_edge(a, axis, low, high);
  // Farther out the picture repeats: a piece forth and back is its period.
  array period = concatenate({slice_along(a, axis, 0, reach), flip(slice_along(a, axis, 1 - edge, n), axis)}, axis);
  int64_t first = (2 * reach - low % (2 * reach)) % (2 * reach), total = low + n + high;
  array many = repeated(period, (first + total - 1) / (2 * reach) + 1, axis, true);
  return slice_along(many, axis, first, first + total);
}

}  // namespace

array pad(const array& a, const Axes& axes, const Shape& low, const Shape& high, const array& value, PadMode mode) {
  normalize_axes(axes, a.ndim(), "pad");
  if (low.size() != axes.size() || high.size() != axes.size()) {
    throw ValueError(cat("[pad] ", low.size(), " sizes before and ", high.size(), " after for ", axes.size(),
                         " axes; need one of each an axis."));
  }
  Shape starts(a.shape().size(), 0), stops(a.shape()), total(a.shape());
  for (size_t i = 0; i < axes.size(); ++i) {
    if (low[i] < 0 || high[i] < 0) {
      throw ValueError(cat("[pad] negative padding (", low[i], ", ", high[i], ") for axis ", axes[i],
                           "; need sizes >= 0. Slice to shrink."));
    }
    size_t axis = static_cast<size_t>(normalize_axis(axes[i], a.ndim(), "pad"));
    starts[axis] = low[i];
    if (__builtin_add_overflow(low[i], total[axis], &stops[axis]) || __builtin_add_overflow(stops[axis], high[i], &total[axis])) {
      throw OverflowError("[pad] the result holds more than 2**63 - 1 elements.");
    }
    if (mode != PadMode::constant && a.shape()[axis] == 0 && total[axis] > 0) {
      throw ValueError(cat("[pad] axis ", axes[i], " of shape ", a.shape(),
                           " is empty: there is nothing to repeat. Use mode 'constant'."));
    }
  }
  n_elems(total);
  if (total == a.shape()) return a;
  if (mode == PadMode::constant) {
    array fill = value.defined() ? astype(value, a.dtype()) : array(0, a.dtype());
    if (broadcast_shapes(fill.shape(), total, "pad") != total) {
      throw ValueError(cat("[pad] constant_values of shape ", fill.shape(), " do not broadcast to the result, ", total, "."));
    }
    return slice_update(full(total, fill), a, starts, stops);
  }
  array out = a;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    size_t i = static_cast<size_t>(axis);
    int64_t before = starts[i], after = total[i] - stops[i];
    if (before == 0 && after == 0) continue;
    out = mode == PadMode::edge ? pad_edge(out, axis, before, after)
                                : pad_mirror(out, axis, before, after, mode == PadMode::symmetric);
  }
  return out;
}

// ---- grids and differences

Arrays meshgrid(const Arrays& arrays, bool sparse, bool xy) {
  Arrays out;
  int n = static_cast<int>(arrays.size());
  Shape grid;
  for (const array& a : arrays) grid.push_back(a.size());
  bool exchange = xy && n > 1;
  for (int i = 0; i < n; ++i) {
    Shape shape(arrays.size(), 1);
    shape[static_cast<size_t>(i)] = arrays[static_cast<size_t>(i)].size();
    array g = reshape(arrays[static_cast<size_t>(i)], shape);
    if (!sparse) g = broadcast_to(g, grid);
    out.push_back(exchange ? swapaxes(g, 0, 1) : g);
  }
  return out;
}

array diff(const array& a, int64_t n, int axis) {
  if (n < 0) throw ValueError(cat("[diff] n is ", n, "; need n >= 0."));
  int at = normalize_axis(axis, a.ndim(), "diff");
  array out = a;
  for (int64_t i = 0; i < n && out.shape(at) > 0; ++i) {
    int64_t size = out.shape(at);
    array next = slice_along(out, at, 1, size), previous = slice_along(out, at, 0, size - 1);
    out = is_bool(a.dtype()) ? not_equal(next, previous) : next - previous;
  }
  return out;
}

}  // namespace mx

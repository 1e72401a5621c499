// layout.cpp — see layout.h.

#include "runtime/layout.h"

#include <algorithm>
#include <cstdlib>

namespace mx {

namespace {

bool contains(const Axes& axes, size_t axis) { return std::find(axes.begin(), axes.end(), static_cast<int>(axis)) != axes.end(); }

/// The layout of some axes; with `reorder` the one with the smallest stride comes last.
Layout pick(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool reorder) {
  Axes order(axes);
  if (reorder) {
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return std::abs(in[static_cast<size_t>(a)]) > std::abs(in[static_cast<size_t>(b)]);
    });
  }
  Shape sizes;
  Strides from, to;
  for (int axis : order) {
    size_t i = static_cast<size_t>(axis);
    sizes.push_back(shape[i]);
    from.push_back(in[i]);
    to.push_back(out[i]);
  }
  return collapse(sizes, {&from, &to});
}

}  // namespace

Layout collapse(const Shape& shape, std::span<const Strides* const> strides) {
  Layout out;
  size_t n_operands = strides.size();
  out.strides.resize(n_operands);
  for (size_t d = 0; d < shape.size(); ++d) {
    out.size *= shape[d];
    if (shape[d] == 1) continue;
    // Joins the axis before if each operand's next row begins where this one ends.
    bool joins = !out.shape.empty();
    for (size_t k = 0; k < n_operands && joins; ++k) joins = out.strides[k].back() == (*strides[k])[d] * shape[d];
    if (joins) {
      out.shape.back() *= shape[d];
      for (size_t k = 0; k < n_operands; ++k) out.strides[k].back() = (*strides[k])[d];
    } else {
      out.shape.push_back(shape[d]);
      for (size_t k = 0; k < n_operands; ++k) out.strides[k].push_back((*strides[k])[d]);
    }
  }
  if (out.shape.empty()) {
    out.shape.push_back(1);
    for (Strides& s : out.strides) s.push_back(0);
  }
  return out;
}

AxesLayout split_axes(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order) {
  Axes others;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!contains(axes, i)) others.push_back(static_cast<int>(i));
  }
  AxesLayout l{pick(shape, others, in, out, true), pick(shape, axes, in, out, any_order)};
  int64_t across = std::abs(l.kept.inner_stride(0)), along = std::abs(l.along.inner_stride(0));
  l.by_columns = l.kept.inner() > 1 && l.along.inner() > 1 && across < along;
  return l;
}

Strides reduced_strides(const Shape& shape, const Axes& axes) {
  Strides strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (contains(axes, i)) continue;
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

}  // namespace mx

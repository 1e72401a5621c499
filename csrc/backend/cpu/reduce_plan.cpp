// reduce_plan.cpp — see reduce_plan.h.

#include "backend/cpu/reduce_plan.h"

#include <cstdlib>

namespace mx::cpu {

namespace {

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

Plan plan_reduction(const Shape& shape, const Axes& axes, const Strides& in, const Strides& out, bool any_order) {
  Axes others;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) others.push_back(i);
  }
  Plan plan{pick(shape, others, in, out, true), pick(shape, axes, in, out, any_order)};
  int64_t across = std::abs(plan.kept.inner_stride(0)), along = std::abs(plan.along.inner_stride(0));
  // A few elements per result are better combined for many results at once, too.
  plan.by_columns = (plan.kept.inner() > 1 && plan.along.inner() > 1 && across < along) ||
                    (plan.kept.inner() >= 16 && plan.along.size < 24);
  return plan;
}

Strides reduced_strides(const Shape& shape, const Axes& axes) {
  Strides strides(shape.size(), 0);
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) != axes.end()) continue;
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

}  // namespace mx::cpu

// axis.cpp — see axis.h.

#include "backend/metal/plan/axis.h"

#include "backend/metal/plan/copy.h"

namespace mx::metal {

Dtype bits_of(Dtype t) {
  switch (size_of(t)) {
    case 1: return Dtype::uint8;
    case 2: return Dtype::uint16;
    case 4: return Dtype::uint32;
    default: return Dtype::uint64;
  }
}

AroundAxis::AroundAxis(const Shape& shape, const Strides& strides, int axis) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (static_cast<int>(i) == axis) {
      n = shape[i];
      step = strides[i];
      continue;
    }
    bool before = static_cast<int>(i) < axis;
    (before ? n_outer : n_inner) *= shape[i];
    (before ? outer_shape : inner_shape).push_back(shape[i]);
    (before ? outer : inner).push_back(strides[i]);
  }
}

Shape AroundAxis::rows_shape() const {
  Shape shape(outer_shape);
  for (int64_t size : inner_shape) shape.push_back(size);
  return shape;
}

Strides AroundAxis::rows() const {
  Strides strides(outer);
  for (int64_t s : inner) strides.push_back(s);
  return strides;
}

std::optional<Grid> grid_of(uint64_t x, uint64_t y, uint64_t z) {
  constexpr uint32_t kGroup = 256;
  if ((x | y | z) >> 32) return std::nullopt;
  Grid g{{uint32_t(x), uint32_t(y), uint32_t(z)}, {}};
  g.group.x = power_of_2_for(x, kGroup);
  g.group.y = power_of_2_for(y, kGroup / g.group.x);
  g.group.z = power_of_2_for(z, std::min<uint32_t>(64, kGroup / (g.group.x * g.group.y)));
  return g;
}

bool add_copy_of_first(const Task& task, Plan& plan) {
  const array &x = task.in[0], &out = task.out[0];
  if (x.row_contiguous() && x.size() > 0 && x.address() == out.address()) return true;
  return add_copy(plan, {Binding::output, 0, 0, row_strides(x.shape())}, {Binding::input, 0, 0, x.strides()}, x.shape(), x.itemsize());
}

}  // namespace mx::metal

// axis.h — what the planners of indexing, scanning, sorting and Fourier transforms share: arrays around an axis, names of kernels that move
// bits, grids of three numbers.
#pragma once

#include <optional>

#include "backend/metal/plan/layout.h"

namespace mx::metal {

/// The unsigned integer type of as many bytes as a `t` has: how kernels that only move bits are named.
Dtype bits_of(Dtype t);

/// False for what a GPU lacks.
inline bool on_gpu(Dtype t) { return t != Dtype::float64; }

/// An array around one of its axes.
struct AroundAxis {
  Shape outer_shape, inner_shape;
  Strides outer, inner;
  int64_t n = 1, n_outer = 1, n_inner = 1, step = 1;
  AroundAxis(const Shape& shape, const Strides& strides, int axis);
  /// The rows along the axis: all other axes.
  Shape rows_shape() const;
  Strides rows() const;
  int64_t n_rows() const { return n_outer * n_inner; }
};

/// x, y and z threads exactly; nothing if a GPU cannot count that far.
std::optional<Grid> grid_of(uint64_t x, uint64_t y = 1, uint64_t z = 1);

/// Adds the launches that make `out` a copy of input 0, if it does not lie there already. False: it cannot be planned.
bool add_copy_of_first(const Task& task, Plan& plan);

}  // namespace mx::metal

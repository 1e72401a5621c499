// index_params.h — parameters of the gather and scatter primitives: all that a backend may know of them.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// How an update is combined with what is there. Maximum and minimum let NaN through.
enum class ScatterMode : uint8_t { set, add, multiply, minimum, maximum };

std::ostream& operator<<(std::ostream& out, ScatterMode mode);

/// gather: inputs (a, index 0, index 1, ...). Index arrays have one shape I; axes are distinct, index k belongs to
/// axes[k]. With R the other axes of a in order, the output is R[:at] + I + R[at:].
struct GatherParams {
  Axes axes;
  int at = 0;
  auto fields() const { return std::tie(axes, at); }
};

/// scatter (set, add) and scatter_reduce (multiply, minimum, maximum): inputs (a, updates, index 0, ...). Updates
/// have the shape that gather would return.
struct ScatterParams {
  Axes axes;
  int at = 0;
  ScatterMode mode = ScatterMode::set;
  auto fields() const { return std::tie(axes, at, mode); }
};

/// gather_axis: inputs (a, indices) of equal shape but for `axis`.
struct GatherAxisParams {
  int axis = 0;
  auto fields() const { return std::tie(axis); }
};

/// scatter_axis: inputs (a, updates, indices); updates are shaped like the indices. Modes set and add.
struct ScatterAxisParams {
  int axis = 0;
  ScatterMode mode = ScatterMode::set;
  auto fields() const { return std::tie(axis, mode); }
};

extern const Primitive gather_p, scatter_p, scatter_reduce_p, gather_axis_p, scatter_axis_p;

}  // namespace mx

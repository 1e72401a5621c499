// index_detail.h — what gather and scatter share: checks, shapes, and indices with a batch axis. Not public.
#pragma once

#include <string_view>
#include <utility>

#include "graph/primitive.h"

namespace mx {

/// Throws DtypeError unless the dtype is an integer one.
void check_indices(const array& indices, std::string_view op);

/// Index arrays made ready for gather_p and scatter_p.
struct IndexPlan {
  Arrays indices;      ///< All of index_shape.
  Axes axes;           ///< Normalised, in the order given.
  Shape index_shape;
  Shape result_shape;  ///< What gathering returns and updates have.
};
IndexPlan plan_indices(const array& a, const Arrays& indices, const Axes& axes, int at, std::string_view op);

/// `shape` without `axes`, with `index_shape` put in before the `at`-th axis that is left.
Shape gathered_shape(const Shape& shape, const Shape& index_shape, const Axes& axes, int at);

/// The shape that a and indices share on the axes other than `axis`; throws ValueError if they do not fit.
Shape aligned_shape(const array& a, const array& indices, int axis, std::string_view op);

/// Inputs first, first + 1, ... of a call.
Arrays inputs_from(const Call& c, int first);
/// Whether one of them is mapped.
bool any_mapped_from(const Batch& b, int first);
/// Index arrays for an array with a batch axis in front: one that numbers the examples, then the inputs from `first`.
std::pair<Arrays, Axes> batched_indices(const Batch& b, int first, const Axes& axes);

}  // namespace mx

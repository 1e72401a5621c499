// Views, slices and joins, creation, and the operations that pass values on: here a wrong number would read stray memory.

#include "export/check.h"
#include "ops/cast_params.h"
#include "ops/create_params.h"
#include "ops/movement_params.h"

namespace mx::exporting {

namespace {

// Element i along axis d is `starts[d] + i * steps[d]`: all within the array.
void slices(const SliceParams& p, const Shape& shape) {
  require(p.starts.size() == shape.size() && p.steps.size() == shape.size() && p.sizes.size() == shape.size(), "a slice of a wrong number of axes");
  sizes(p.sizes);
  for (size_t i = 0; i < shape.size(); ++i) {
    if (p.sizes[i] == 0) {
      require(p.starts[i] == 0 && p.steps[i] == 1, "an empty slice that starts somewhere");
      continue;
    }
    require(p.sizes[i] > 1 ? p.steps[i] != 0 : p.steps[i] == 1, "a slice with a wrong step");
    __int128 last = p.starts[i] + __int128(p.sizes[i] - 1) * p.steps[i];
    require(p.starts[i] >= 0 && p.starts[i] < shape[i] && last >= 0 && last < shape[i], "a slice that leaves the array");
  }
}

void dynamic(const DynamicSliceParams& p, const array& a, const array& starts) {
  integers(starts);
  ndim_of(starts, 1);
  int n_batch = starts.ndim() - 1;
  require(n_batch <= a.ndim() && p.sizes.size() == a.shape().size(), "a slice of a wrong number of axes");
  distinct_axes(p.axes, a.ndim());
  require(starts.shape().back() == static_cast<int64_t>(p.axes.size()), "a slice with a wrong number of starts");
  for (int axis : p.axes) require(axis >= n_batch, "a slice along a batch axis");
  for (int i = 0; i < a.ndim(); ++i) {
    size_t k = static_cast<size_t>(i);
    require(p.sizes[k] >= 0 && p.sizes[k] <= a.shape()[k], "a slice that leaves the array");
    if (i < n_batch) require(p.sizes[k] == a.shape()[k] && starts.shape()[k] == a.shape()[k], "a batch of slices of a wrong size");
  }
}

// All elements lie in [0, n).
void strided(const StridedParams& p) {
  require(p.shape.size() == p.strides.size() && p.n >= 0, "a window with a wrong number of strides");
  sizes(p.shape);
  if (n_elems(p.shape) == 0) {
    require(p.offset == 0, "an empty window that starts somewhere");
    return;
  }
  __int128 low = p.offset, high = p.offset;
  for (size_t i = 0; i < p.shape.size(); ++i) {
    __int128 reach = __int128(p.shape[i] - 1) * p.strides[i];
    (reach < 0 ? low : high) += reach;
    require(low >= 0 && high < p.n, "a window that leaves the array");
  }
  require(low >= 0 && high < p.n, "a window that leaves the array");
  // Strides of axes of size 1 move nothing, but are multiplied all the same.
  for (int64_t s : p.strides) require(s > -(int64_t(1) << 56) && s < (int64_t(1) << 56), "a window with a stride out of range");
}

}  // namespace

Checks movement_checks() {
  return {
      check_of<ShapeParams>(reshape_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        sizes(p.shape);
        require(n_elems(p.shape) == c.in(0).size(), "a reshape to another number of elements");
      }),
      check_of<ShapeParams>(broadcast_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        sizes(p.shape);
        const Shape& from = c.in(0).shape();
        require(from.size() <= p.shape.size() && broadcast_shapes(from, p.shape, "broadcast_to") == p.shape, "a broadcast to a shape that does not fit");
      }),
      check_of<TransposeParams>(transpose_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        require(static_cast<int>(p.axes.size()) == c.in(0).ndim(), "a transpose of a wrong number of axes");
        distinct_axes(p.axes, c.in(0).ndim());
      }),
      check_of<SliceParams>(slice_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        slices(p, c.in(0).shape());
      }),
      check_of<SliceParams>(slice_update_p, [](auto& p, const Call& c) {
        n_inputs(c, 2);
        slices(p, c.in(0).shape());
        shape_is(c.in(1), p.sizes);
        same_dtype(c.in(0), c.in(1));
      }),
      check_of<DynamicSliceParams>(dynamic_slice_p, [](auto& p, const Call& c) {
        n_inputs(c, 2);
        dynamic(p, c.in(0), c.in(1));
      }),
      check_of<DynamicSliceParams>(dynamic_slice_update_p, [](auto& p, const Call& c) {
        n_inputs(c, 3);
        dynamic(p, c.in(0), c.in(2));
        shape_is(c.in(1), p.sizes);
        same_dtype(c.in(0), c.in(1));
      }),
      check_of<StridedParams>(as_strided_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        shape_is(c.in(0), Shape{p.n});
        strided(p);
      }),
      check_of<StridedParams>(as_strided_add_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        shape_is(c.in(0), p.shape);
        inexact(c.in(0));
        strided(p);
      }),
      check_of<DiagonalParams>(diagonal_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        ndim_of(c.in(0), 2);
        require(p.offset >= -c.in(0).shape(-2) && p.offset <= c.in(0).shape(-1), "a diagonal outside of the matrix");
      }),
      check_of<ConcatenateParams>(concatenate_p, [](auto& p, const Call& c) {
        some_inputs(c, 1);
        axis_of(p.axis, c.in(0));
        int64_t total = 0;
        for (const array& x : c.inputs()) {
          same_dtype(x, c.in(0));
          require(x.ndim() == c.in(0).ndim() && without_axis(x.shape(), p.axis) == without_axis(c.in(0).shape(), p.axis), "parts of different shapes");
          require(!__builtin_add_overflow(total, x.shape(p.axis), &total), "parts that are too long together");
        }
      }),
      check_of<ArangeParams>(arange_p, [](auto& p, const Call& c) {
        n_inputs(c, 0);
        require(!is_bool(p.dtype) && p.n > 0, "a range without elements, or of bools");
        __int128 last = p.int_start + __int128(p.n - 1) * p.int_step;
        require(last >= INT64_MIN && last <= INT64_MAX, "a range that leaves int64");
      }),
      check_of<CastParams>(view_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        require(!is_bool(p.dtype), "bytes seen as bools");
      }),
      check_of<NoParams>(stop_gradient_p, [](auto&, const Call& c) { n_inputs(c, 1); }),
      check_of<ContiguousParams>(contiguous_p, [](auto&, const Call& c) { n_inputs(c, 1); }),
      check_of<DependsParams>(depends_p, [](auto& p, const Call& c) {
        require(p.n_out > 0 && p.n_out <= c.n_in(), "a wrong number of results");
      }),
  };
}

}  // namespace mx::exporting

// sort.h — sorting, selecting and searching.
//
// The order is NumPy's: ascending, NaN last, complex numbers by real then imaginary part. argsort is stable, and -0
// equals 0 there; sort puts -0 before 0.
// Index results are uint32 (int64 along axes too long for it). An absent axis means the flattened array.
#pragma once

#include <optional>

#include "graph/array.h"
#include "ops/sort_params.h"

namespace mx {

/// `descending` reverses the order, NaN included.
array sort(const array& a, std::optional<int> axis = -1, bool descending = false);
/// The indices that sort `a`; equal elements keep their order.
array argsort(const array& a, std::optional<int> axis = -1, bool descending = false);
/// A copy in which element `kth` is where sorting would put it, with no larger one before and no smaller one after.
array partition(const array& a, int64_t kth, std::optional<int> axis = -1);
array argpartition(const array& a, int64_t kth, std::optional<int> axis = -1);
/// The `k` largest elements, ascending.
array topk(const array& a, int64_t k, std::optional<int> axis = -1);

/// For each value the number of elements of the sorted 1-D sequence that are smaller (or, with `right`, not greater).
array searchsorted(const array& sorted_sequence, const array& values, bool right = false);

struct Unique {
  array values;   ///< The sorted distinct elements, `size` of them.
  array index;    ///< Where each occurs first in the flattened input.
  array inverse;  ///< Shaped like the input: values[inverse] restores it.
  array counts;   ///< int32; 0 for the fill at the end.
};
/// The distinct elements of the flattened `a`: the smallest `size`, filled up at the end with `fill_value`
/// (undefined: the first distinct element). Nothing is evaluated.
Unique unique(const array& a, int64_t size, const array& fill_value = {});

}  // namespace mx

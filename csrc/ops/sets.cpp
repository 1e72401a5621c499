// sets.cpp — distinct elements and membership, by sorting. No primitives: gradients of the values follow take().

#include "ops/sets.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/scan.h"
#include "ops/sort.h"

namespace mx {

Distinct distinct(const array& a) {
  array flat = flatten(a);
  int64_t n = flat.size();
  if (n == 0) return {flat, zeros({0}, Dtype::int64), zeros(a.shape(), Dtype::int64), zeros({0}, Dtype::int64)};
  array order = astype(argsort(flat, 0), Dtype::int64), sorted = take(flat, order, 0);
  array differ = not_equal(slice_along(sorted, 0, 1, n), slice_along(sorted, 0, 0, n - 1));
  array begins = concatenate({ones({1}, Dtype::bool_), differ});
  array starts = nonzero(begins)[0];
  array ends = concatenate({slice_along(starts, 0, 1, starts.size()), full({1}, n, Dtype::int64)});
  array rank = cumsum(astype(begins, Dtype::int64), 0) - 1;
  // The order is stable: the first of a kind in it is the first in the input.
  return {take(sorted, starts, 0), take(order, starts, 0), reshape(put_along_axis(zeros({n}, Dtype::int64), order, rank, 0), a.shape()),
          ends - starts};
}

array isin(const array& a, const array& b, bool invert) {
  Dtype t = promote(a.dtype(), b.dtype());
  int64_t n = b.size();
  if (n == 0) return full(a.shape(), array(invert));
  array x = astype(a, t), sorted = sort(flatten(astype(b, t)), 0);
  array at = minimum(searchsorted(sorted, x), array(n - 1, Dtype::uint32));
  array found = equal(take(sorted, at, 0), x);
  return invert ? logical_not(found) : found;
}

}  // namespace mx

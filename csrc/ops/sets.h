// sets.h — an array as a set of its elements: which are distinct, which are in another array.
//
// The shapes of distinct() are known only from the values, so it evaluates its argument; unique() in sort.h, whose size is
// given, does not. Equality is that of ==: -0 is 0, and every NaN is distinct.
#pragma once

#include "graph/array.h"

namespace mx {

struct Distinct {
  array values;   ///< The distinct elements, sorted.
  array index;    ///< int64: where each occurs first in the flattened input.
  array inverse;  ///< int64, shaped like the input: values[inverse] restores it.
  array counts;   ///< int64: how often each occurs.
};
/// The distinct elements of the flattened `a`. Evaluates it; inside a traced function that is a TransformError.
Distinct distinct(const array& a);

/// Whether each element of `a` is among the elements of `b`; with `invert`, whether it is not. Shaped like `a`.
array isin(const array& a, const array& b, bool invert = false);

}  // namespace mx

// cast.h — conversion between dtypes, and operations that pass values on unchanged.
#pragma once

#include "graph/array.h"

namespace mx {

/// `a` converted to `dtype`; `a` itself if it has it. Floats become integers by truncation: values out of range give
/// the nearest representable one, NaN gives 0. Integers wrap. Complex to real drops the imaginary part. Anything
/// becomes bool by comparison with 0. The derivative of a conversion to integer or bool is 0.
array astype(const array& a, Dtype dtype);

/// The bytes of `a` as another dtype. If the sizes differ the last axis shrinks or grows in proportion.
/// Throws ValueError when it does not divide.
array view(const array& a, Dtype dtype);

/// The same values; tangents and cotangents stop here.
array stop_gradient(const array& a);

/// The same values in row order, copied if necessary. With `allow_col_major`, column order is left alone.
array contiguous(const array& a, bool allow_col_major = false);

/// The same values in fresh memory, in row order.
array copy(const array& a);

/// `inputs`, to be computed only after `dependencies`.
Arrays depends(const Arrays& inputs, const Arrays& dependencies);

}  // namespace mx

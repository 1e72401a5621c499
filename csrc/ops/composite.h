// composite.h — softmax, logsumexp and other functions built on reductions.
//
// softmax and logsumexp are primitives with kernels of their own (backend/cpu/composite.cpp): one
// pass over memory, and no overflow. Reductions proper are in reduce.h.
#pragma once

#include "graph/array.h"

namespace mx {

/// exp(a) / sum(exp(a)) over `axes`, without overflow. `precise`: float16 and bfloat16 are summed in
/// float32; this implementation always does.
array softmax(const array& a, const Axes& axes, bool precise = false);
array softmax(const array& a, int axis, bool precise = false);
/// Over all elements.
array softmax(const array& a, bool precise = false);

/// log(sum(exp(a))) over `axes`, without overflow. All elements -inf: -inf, with a zero derivative.
array logsumexp(const array& a, const Axes& axes, bool keepdims = false);
array logsumexp(const array& a, int axis, bool keepdims = false);
array logsumexp(const array& a, bool keepdims = false);

/// How many elements are not zero (NaN is not), as int32.
array count_nonzero(const array& a, const Axes& axes, bool keepdims = false);
array count_nonzero(const array& a, int axis, bool keepdims = false);
array count_nonzero(const array& a, bool keepdims = false);

}  // namespace mx

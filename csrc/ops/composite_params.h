// composite_params.h — softmax and logsumexp as a backend sees them.
#pragma once

#include "ops/reduce_params.h"

namespace mx {

/// With ReduceParams. The output of softmax has the input's type; that of logsumexp follows `keepdims`.
extern const Primitive softmax_p;
extern const Primitive logsumexp_p;

}  // namespace mx

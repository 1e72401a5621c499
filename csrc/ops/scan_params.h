// scan_params.h — parameters of the running reductions.
#pragma once

#include "graph/primitive.h"

namespace mx {

struct ScanParams {
  int axis = 0;
  bool reverse = false;
  bool inclusive = true;
  auto fields() const { return std::tie(axis, reverse, inclusive); }
};

/// linear_recurrence: inputs (a, b) of one shape and dtype; `inclusive` is not used. cumargmax and cumargmin: neither.
extern const Primitive cumsum_p, cumprod_p, cummax_p, cummin_p, logcumsumexp_p, cumargmax_p, cumargmin_p,
    linear_recurrence_p;

}  // namespace mx

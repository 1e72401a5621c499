// cast_params.h — the parameters of casts and of the operations that pass values on unchanged.
#pragma once

#include "graph/primitive.h"

namespace mx {

struct CastParams {
  Dtype dtype;
  auto fields() const { return std::tie(dtype); }
};

struct ContiguousParams {
  bool allow_col_major;  ///< Column order is left as it is.
  bool always;           ///< Copies even what is contiguous.
  auto fields() const { return std::tie(allow_col_major, always); }
};

struct DependsParams {
  int n_out;  ///< The first n_out inputs are passed on; the others only have to be computed.
  auto fields() const { return std::tie(n_out); }
};

/// Elementwise, with CastParams.
extern const Primitive astype_p;
/// With CastParams: the same bytes as another dtype; the last axis changes its size in proportion.
extern const Primitive view_p;
extern const Primitive stop_gradient_p;
extern const Primitive contiguous_p;  ///< With ContiguousParams.
extern const Primitive depends_p;     ///< With DependsParams.

}  // namespace mx

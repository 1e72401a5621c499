// sort_params.h — parameters of sorting and searching.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// sort, argsort.
struct SortParams {
  int axis = 0;
  auto fields() const { return std::tie(axis); }
};

/// partition, argpartition; with `tail` only the elements from `kth` on, in order (topk).
struct PartitionParams {
  int axis = 0;
  int64_t kth = 0;
  bool tail = false;
  auto fields() const { return std::tie(axis, kth, tail); }
};

/// searchsorted: inputs (sequences (..., n), values (..., m)) with equal leading axes.
struct SearchParams {
  bool right = false;
  auto fields() const { return std::tie(right); }
};

extern const Primitive sort_p, argsort_p, partition_p, argpartition_p, searchsorted_p;

}  // namespace mx

// sort_params.h — parameters of sorting and searching.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// sort, argsort.
struct SortParams {
  int axis = 0;
  auto fields() const { return std::tie(axis); }
};

/// argpartition; with `sorted_tail` the elements from `kth` on come out in order (topk).
struct PartitionParams {
  int axis = 0;
  int64_t kth = 0;
  bool sorted_tail = false;
  auto fields() const { return std::tie(axis, kth, sorted_tail); }
};

/// searchsorted: inputs (sequences (..., n), values (..., m)) with equal leading axes.
struct SearchParams {
  bool right = false;
  auto fields() const { return std::tie(right); }
};

extern const Primitive sort_p, argsort_p, argpartition_p, searchsorted_p;

}  // namespace mx

// rows.cpp — see rows.h.

#include "backend/metal/plan/rows.h"

namespace mx::metal {

namespace {

constexpr uint32_t kThreads = 256, kColumns = 32, kMostThreads = 1024;  // As in lanes.h.
constexpr uint64_t kPerThread = 8;                                      // Elements of a row that are worth a thread.

}  // namespace

Teams make_teams(uint64_t n_rows, uint64_t length, bool columns) {
  Teams t;
  t.width = columns ? kThreads / kColumns : power_of_2_for(ceil_div(length, kPerThread), kMostThreads);
  t.group = t.width > 32 ? t.width : kThreads;
  t.n_groups = ceil_div(n_rows, t.group / t.width);
  t.grid = group_grid(t.n_groups, t.group);
  return t;
}

Layout leading_layout(const array& first, std::initializer_list<const array*> others) {
  size_t n = static_cast<size_t>(first.ndim()) - 1;
  SmallVector<Strides, 4> cut;
  cut.push_back(Strides(first.strides().begin(), first.strides().begin() + n));
  for (const array* x : others) cut.push_back(Strides(x->strides().begin(), x->strides().begin() + n));
  SmallVector<const Strides*, 4> strides;
  for (const Strides& s : cut) strides.push_back(&s);
  return collapse(Shape(first.shape().begin(), first.shape().begin() + n), strides);
}

}  // namespace mx::metal

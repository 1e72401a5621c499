// sort.h — plans of sorting, selecting and searching (ops/sort_params.h).
#pragma once

#include "backend/metal/plan/planners.h"
#include "backend/metal/plan/axis.h"

namespace mx::metal {

/// Adds the launches that sort n integers of 64 bits in a temporary; returns the one that they lie in then. n < 2^32.
uint16_t add_item_sort(Plan& plan, uint16_t items, int64_t n);

bool plan_sort(const Task& task, Plan& plan);
bool plan_argsort(const Task& task, Plan& plan);
bool plan_partition(const Task& task, Plan& plan);
bool plan_argpartition(const Task& task, Plan& plan);
bool plan_searchsorted(const Task& task, Plan& plan);

}  // namespace mx::metal

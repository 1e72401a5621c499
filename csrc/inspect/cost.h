// cost.h — what an operation costs, from its types alone.
//
// flops counts additions, multiplications, comparisons and function values alike, in real numbers of any dtype; complex
// arithmetic counts 4 for one. bytes is each input read once and the output written once; of an input that is a view,
// what lies behind it. What only moves data has no flops, and a view has no bytes either. The formulas are in cost.cpp and docs/reading-a-program.md.
#pragma once

#include "graph/subgraph.h"

namespace mx {

struct Cost {
  int64_t flops = 0;
  int64_t bytes = 0;
  Cost& operator+=(const Cost& o) {
    flops += o.flops;
    bytes += o.bytes;
    return *this;
  }
  Cost operator*(int64_t times) const { return {flops * times, bytes * times}; }
};

/// The cost of each step. What a loop holds counts once for each step (a while loop without a bound: one step), of
/// branches the most expensive one.
std::vector<Cost> step_costs(const Subgraph& graph);

/// The sum over the steps.
Cost cost_of(const Subgraph& graph);

/// The types of a graph's slots.
Types slot_types(const Subgraph& graph);

}  // namespace mx

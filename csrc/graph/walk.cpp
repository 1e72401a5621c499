#include "graph/walk.h"

#include "base/pointer_map.h"

namespace mx {

std::vector<CallRecord*> calls_above(std::span<const array> outputs, uint64_t since, bool constants) {
  std::vector<CallRecord*> found;
  PointerMap<bool> seen;
  auto visit = [&](const array& a) {
    const Node& node = *a.node();
    // Records of older nodes are not looked at: another thread may be evaluating, and so dropping, them.
    bool constant = node.newest_mark < since;
    if (node.placeholder || (constant && !(constants && node.serial >= since && !node.available))) return;
    if (!node.call) {
      if (since == 0 || constant) return;
      throw TransformError(
          "[transform] a value inside the transformed function was evaluated on another thread, which cut its graph; "
          "evaluate on the thread that runs the function.");
    }
    if (seen.insert(node.call).second) found.push_back(node.call);
  };
  for (const array& a : outputs) {
    if (a.defined()) visit(a);
  }
  for (size_t i = 0; i < found.size(); ++i) {
    for (const array& in : found[i]->inputs) visit(in);
  }
  // A record is always younger than the records of its inputs, so age is a topological order.
  std::sort(found.begin(), found.end(), [](auto* a, auto* b) { return a->serial < b->serial; });
  return found;
}

}  // namespace mx

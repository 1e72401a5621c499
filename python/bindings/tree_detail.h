// tree_detail.h — what the files tree*.cpp share and nobody else needs.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "bindings/errors.h"
#include "bindings/tree.h"

namespace mx::python {

/// What register_tree_node() was given for a class.
struct Registration {
  py::object flatten, unflatten;
};
std::unordered_map<PyTypeObject*, Registration>& registry();

/// Guards against containers nested too deeply (or within themselves) for the C stack.
class DepthGuard {
 public:
  DepthGuard() {
    if (Py_EnterRecursiveCall(" while walking a tree of arrays")) rethrow();
  }
  ~DepthGuard() { Py_LeaveRecursiveCall(); }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
};

inline std::string joined(const std::vector<std::string>& path) {
  std::string out;
  for (const std::string& step : path) out += step;
  return out;
}

}  // namespace mx::python

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
    // Python's limit may have been raised beyond what the C stack holds.
    if (++depth > kMost) {
      leave();
      PyErr_SetString(PyExc_RecursionError, "[tree] containers are nested more than 2000 deep, or contain themselves.");
      rethrow();
    }
  }
  ~DepthGuard() { leave(); }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  static constexpr int kMost = 2000;
  static inline thread_local int depth = 0;
  static void leave() {
    --depth;
    Py_LeaveRecursiveCall();
  }
};

inline std::string joined(const std::vector<std::string>& path) {
  std::string out;
  for (const std::string& step : path) out += step;
  return out;
}

}  // namespace mx::python

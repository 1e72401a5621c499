// compile_state.h — containers given to compile as inputs= and outputs=: put back after a trace, changed in place by calls.
#pragma once

#include "bindings/tree.h"

namespace mx::python {

/// What mutable containers held, to be put back.
class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  void take(PyObject* o);
  void restore();

  /// Makes the container `o` hold `children` as `node` describes. False if it cannot be changed.
  static bool fill(PyObject* o, const TreeNode& node, const Leaves& children);

 private:
  struct Saved {
    py::object container;
    TreeNode node;
    Leaves children;
  };
  std::vector<Saved> saved_;
};

/// Makes `current`, which may be null, look like `fresh`: mutable containers are changed in place, the rest is taken from
/// `fresh`. Constants stay as they are unless `constants`.
py::object adopt(PyObject* current, const py::object& fresh, bool constants);

}  // namespace mx::python

// tree.h — nested containers of arrays, taken apart into leaves and put together again.
//
// A container is a list, tuple or dict (or a subclass, whose type is kept), a dataclass, None (which has no
// leaves), or a class given to register_tree_node(). Anything else is a leaf. Children are visited in order,
// those of a dict by sorted key; a rebuilt dict has its keys in the order of the original.
// Start at flatten() and Tree::build(). Paths such as `['layers'][2]` are only computed for errors.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bindings/array.h"

namespace mx::python {

/// One container or leaf of a Tree.
struct TreeNode {
  enum Kind : uint8_t { leaf, none, tuple, list, dict, tuple_like, list_like, dict_like, dataclass, custom };
  Kind kind = leaf;
  uint32_t n_children = 0;
  py::object type;   ///< The class, for the kinds from tuple_like on.
  py::object data;   ///< dict: sorted keys; dataclass: field names; custom: what its flatten gave beside the children.
  py::object state;  ///< ..._like: what else a rebuilt object needs (instance attributes, default_factory).
  /// dict: for each key in the order of insertion its place among the sorted; null if the same.
  std::shared_ptr<const std::vector<uint32_t>> inserted;
};

/// The leaves of a tree; keeps them alive.
using Leaves = SmallVector<py::object, 8>;

/// The shape of a nested container: its nodes, parents before children.
class Tree {
 public:
  /// Puts leaves (one per leaf, in order) into containers like the original's.
  py::object build(std::span<const py::object> leaves) const;
  py::object build(std::span<const array> leaves) const;
  /// For a tree of several objects: the objects, one by one.
  Leaves build_children(std::span<const array> leaves) const;
  Leaves build_children(std::span<const py::object> leaves) const;

  size_t n_leaves() const { return n_leaves_; }
  /// Same containers, types and keys; the order in which dict keys were inserted does not matter.
  bool operator==(const Tree& o) const { return equal(o, false); }
  /// With `exact` that order matters too, and keys 1, 1.0 and True differ.
  bool equal(const Tree& o, bool exact) const;
  size_t hash() const;
  /// `{'b': *, 'w': (*, None)}`: leaves are stars.
  std::string str() const;
  /// How to reach leaf number `leaf`: {"['layers']", "[2]"}; empty for a tree that is a leaf. Slow; for errors.
  std::vector<std::string> path(size_t leaf) const;

  const SmallVector<TreeNode, 4>& nodes() const { return nodes_; }

 private:
  friend class Flattener;
  SmallVector<TreeNode, 4> nodes_;
  size_t n_leaves_ = 0;
};

/// One level: describes `o` in `node` and appends its children, or returns false if it is a leaf.
bool open_node(PyObject* o, TreeNode& node, Leaves& children);

/// Takes `o` apart: appends its leaves and returns its structure. `is_leaf` (or null) is a predicate that
/// makes a container a leaf.
Tree flatten(PyObject* o, Leaves& leaves, PyObject* is_leaf = nullptr);
/// Takes several objects apart as one tree: a tuple with these children.
Tree flatten_all(std::span<PyObject* const> os, Leaves& leaves);
/// Appends what `o` holds at the leaves of `tree`: `o` may go deeper there. With `none_covers`, None in place of
/// a container gives None for each leaf in it. Throws TransformError, naming the path, where containers differ
/// otherwise; `what` begins the message.
void flatten_up_to(const Tree& tree, PyObject* o, Leaves& leaves, const std::string& what, bool none_covers = false);

/// A tree whose leaves are arrays and other objects, told apart: the arrays may change, the others stay.
class MixedTree {
 public:
  MixedTree() = default;
  /// `numbers`: Python numbers become scalar arrays.
  static MixedTree split(PyObject* o, bool numbers = false);
  static MixedTree split_all(std::span<PyObject* const> os, bool numbers = false);
  /// The tree with other arrays, one for each of `arrays`.
  py::object build(std::span<const array> replaced) const { return tree.build(std::span<const py::object>(filled(replaced))); }
  Leaves build_children(std::span<const array> replaced) const { return tree.build_children(std::span<const py::object>(filled(replaced))); }

  Tree tree;
  Arrays arrays;                 ///< May be taken away: building does not need them.
  Leaves leaves;                 ///< All leaves; null where there was an array.
  std::vector<size_t> position;  ///< For each of `arrays`, its leaf.

 private:
  void separate(bool numbers);
  Leaves filled(std::span<const array> replaced) const;
};

/// Appends the arrays among the leaves of `o`; other leaves are passed over. Faster than flatten().
void collect_arrays(PyObject* o, Arrays& arrays);

/// Where two trees first differ, and how: "at ['w'] one has a list of 2, the other a tuple of 2". For errors.
std::string first_difference(const Tree& a, const Tree& b);

/// What an error calls a leaf: "float 2.0", "str 'adam'", "array of shape (2,) and dtype int32".
std::string describe(PyObject* leaf);

}  // namespace mx::python

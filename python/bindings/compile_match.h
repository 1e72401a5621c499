// compile_match.h — the fast way through a call that a trace fits: arguments are compared with what the trace was made for as
// they are walked, and results are built, without trees. Where there is doubt it says no; then the exact way decides.
#pragma once

#include "bindings/tree.h"

namespace mx::python {

/// Containers with arrays and constants at given places.
class Pattern {
 public:
  Pattern() = default;
  /// Of a tree without its arrays, whose types are `types` (empty: any). With `constants` other leaves must be the same; without, only
  /// no arrays. The tree must outlive this.
  Pattern(const MixedTree& tree, std::span<const Type> types, bool constants);

  size_t n_arrays() const { return n_arrays_; }
  /// Whether `o` fits; then its arrays are at `arrays` (may be null), in the order of the tree's.
  bool match(PyObject* o, array* arrays) const;
  /// The same for the arguments of a call: the tree is a tuple of the positional ones and a dict of the others.
  bool match_call(PyObject* const* args, size_t n_args, PyObject* names, array* arrays) const;

  /// True if all containers are plain ones: tuples, lists, dicts.
  bool plain() const { return plain_; }
  /// For a plain pattern: new containers.
  PyObject* build(std::span<const array> arrays) const;
  /// True if arrays are in lists, dicts, and classes that are indexed like lists only.
  bool updatable() const { return updatable_; }
  /// For an updatable pattern: puts arrays into `o`, which has matched. What was there goes to `before`.
  void update(PyObject* o, std::span<const array> arrays, Leaves& before) const;

 private:
  struct Entry {
    enum Kind : uint8_t { array, constant, none, tuple, list, dict, other } kind;
    uint32_t n = 0;              ///< Children, which follow.
    uint32_t end = 0;            ///< The entry after them.
    uint32_t index = 0;          ///< Array: which.
    const TreeNode* node = nullptr;
    std::vector<PyObject*> keys; ///< Dict: by order of insertion, as are its children. Borrowed from the node.
    PyObject* leaf = nullptr;    ///< Constant; null: anything that is no array and no container.
    bool any_type = false;
    Type type = {};
  };
  struct Reader;
  void read(Reader& r, size_t node);
  bool fits(const Entry*& e, PyObject* o, mx::array* arrays) const;
  PyObject* make(const Entry*& e, std::span<const mx::array> arrays) const;
  void put(const Entry*& e, PyObject* o, std::span<const mx::array> arrays, Leaves& before) const;

  std::vector<Entry> entries_;
  size_t n_arrays_ = 0;
  bool plain_ = true, updatable_ = true;
};

}  // namespace mx::python

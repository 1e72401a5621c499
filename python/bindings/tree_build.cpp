// tree_build.cpp — putting trees together: Builder, the inverse of the Flattener in tree.cpp.

#include "bindings/tree.h"
#include "bindings/tree_detail.h"

namespace mx::python {

namespace {

void set_attributes(PyObject* o, const py::object& state) {
  if (!state) return;
  py::object attributes = state[py::int_(1)];
  if (attributes.is_none()) return;
  auto own = py::reinterpret_steal<py::object>(checked(PyObject_GenericGetDict(o, nullptr)));
  if (PyDict_Update(own.ptr(), attributes.ptr()) != 0) rethrow();
}

// Make(i) gives a new reference to leaf i.
template <class Make>
class Builder {
 public:
  Builder(const Tree& tree, Make make) : nodes_(tree.nodes()), make_(std::move(make)) {}

  PyObject* build() {
    const TreeNode& node = nodes_[at_++];
    switch (node.kind) {
      case TreeNode::leaf: return checked(make_(leaf_++));
      case TreeNode::none: return Py_NewRef(Py_None);
      case TreeNode::tuple: return sequence(node, checked(PyTuple_New(node.n_children)), [](PyObject* o, Py_ssize_t i, PyObject* c) { PyTuple_SET_ITEM(o, i, c); });
      case TreeNode::list: return sequence(node, checked(PyList_New(node.n_children)), [](PyObject* o, Py_ssize_t i, PyObject* c) { PyList_SET_ITEM(o, i, c); });
      case TreeNode::dict: return dict(node);
      default: return other(node);
    }
  }
  /// Steps into the root, so that build() gives its children one by one.
  size_t open_root() { return nodes_[at_++].n_children; }

 private:
  template <class Set>
  PyObject* sequence(const TreeNode& node, PyObject* fresh, Set set) {
    auto out = py::reinterpret_steal<py::object>(fresh);
    for (uint32_t i = 0; i < node.n_children; ++i) set(fresh, i, build());
    return out.release().ptr();
  }
  PyObject* dict(const TreeNode& node) {
    auto out = py::reinterpret_steal<py::object>(checked(PyDict_New()));
    fill(out.ptr(), node, PyDict_SetItem);
    return out.release().ptr();
  }
  template <class Set>
  void fill(PyObject* dict, const TreeNode& node, Set set) {
    Leaves children;
    children.reserve(node.n_children);
    for (uint32_t i = 0; i < node.n_children; ++i) children.push_back(py::reinterpret_steal<py::object>(build()));
    for (uint32_t i = 0; i < node.n_children; ++i) {
      uint32_t k = node.inserted ? (*node.inserted)[i] : i;
      if (set(dict, PyTuple_GET_ITEM(node.data.ptr(), k), children[k].ptr()) != 0) rethrow();
    }
  }
  // Without running the class's __init__: a rebuilt object is a copy, not a new beginning.
  static py::object bare(PyTypeObject* base, const TreeNode& node) {
    return py::handle(reinterpret_cast<PyObject*>(base)).attr("__new__")(node.type);
  }
  PyObject* other(const TreeNode& node) {
    py::object out;
    if (node.kind == TreeNode::dict_like) {
      auto* type = reinterpret_cast<PyTypeObject*>(node.type.ptr());
      bool ordered = PyType_IsSubtype(type, &PyODict_Type);
      if (node.state && PyObject_HasAttrString(node.type.ptr(), "default_factory")) {
        out = node.type.attr("__new__")(node.type);
        py::setattr(out, "default_factory", node.state[py::int_(0)]);
      } else {
        out = ordered ? bare(&PyODict_Type, node) : bare(&PyDict_Type, node);
      }
      fill(out.ptr(), node, ordered ? PyODict_SetItem : PyDict_SetItem);
      set_attributes(out.ptr(), node.state);
      return out.release().ptr();
    }
    auto children = py::reinterpret_steal<py::object>(
        sequence(node, checked(PyTuple_New(node.n_children)), [](PyObject* o, Py_ssize_t i, PyObject* c) { PyTuple_SET_ITEM(o, i, c); }));
    if (node.kind == TreeNode::tuple_like) {
      out = py::handle(reinterpret_cast<PyObject*>(&PyTuple_Type)).attr("__new__")(node.type, children);
      set_attributes(out.ptr(), node.state);
    } else if (node.kind == TreeNode::list_like) {
      out = bare(&PyList_Type, node);
      if (PyList_SetSlice(out.ptr(), 0, 0, children.ptr()) != 0) rethrow();
      set_attributes(out.ptr(), node.state);
    } else if (node.kind == TreeNode::dataclass) {
      out = bare(&PyBaseObject_Type, node);
      // The generic setter also fills frozen dataclasses.
      for (uint32_t i = 0; i < node.n_children; ++i) {
        if (PyObject_GenericSetAttr(out.ptr(), PyTuple_GET_ITEM(node.data.ptr(), i), PyTuple_GET_ITEM(children.ptr(), i)) != 0) rethrow();
      }
    } else {
      auto it = registry().find(reinterpret_cast<PyTypeObject*>(node.type.ptr()));
      out = it->second.unflatten(node.data, children);
    }
    return out.release().ptr();
  }

  const SmallVector<TreeNode, 4>& nodes_;
  Make make_;
  size_t at_ = 0, leaf_ = 0;
};

void check_count(size_t given, size_t needed) {
  if (given != needed) throw TransformError(cat("[tree_unflatten] ", given, " leaves for a tree with ", needed, "; need one per leaf."));
}

template <class Make>
py::object build_one(const Tree& tree, Make make) {
  return py::reinterpret_steal<py::object>(Builder(tree, make).build());
}
template <class Make>
Leaves build_each(const Tree& tree, Make make) {
  Builder builder(tree, make);
  Leaves out;
  size_t n = builder.open_root();
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) out.push_back(py::reinterpret_steal<py::object>(builder.build()));
  return out;
}

}  // namespace

py::object Tree::build(std::span<const py::object> leaves) const {
  check_count(leaves.size(), n_leaves_);
  return build_one(*this, [&](size_t i) { return Py_NewRef(leaves[i].ptr()); });
}

py::object Tree::build(std::span<const array> leaves) const {
  check_count(leaves.size(), n_leaves_);
  return build_one(*this, [&](size_t i) { return wrap(leaves[i]); });
}

Leaves Tree::build_children(std::span<const py::object> leaves) const {
  check_count(leaves.size(), n_leaves_);
  return build_each(*this, [&](size_t i) { return Py_NewRef(leaves[i].ptr()); });
}

Leaves Tree::build_children(std::span<const array> leaves) const {
  check_count(leaves.size(), n_leaves_);
  return build_each(*this, [&](size_t i) { return wrap(leaves[i]); });
}

Leaves MixedTree::filled(std::span<const array> replaced) const {
  check_count(replaced.size(), position.size());
  Leaves all(leaves);
  for (size_t k = 0; k < replaced.size(); ++k) all[position[k]] = py::reinterpret_steal<py::object>(checked(wrap(replaced[k])));
  return all;
}

}  // namespace mx::python

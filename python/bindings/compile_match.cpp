// compile_match.cpp — see compile_match.h. No Python code runs while plain containers are walked, so borrowed references
// stay good; around containers of other classes, which may run some, they are held.

#include "bindings/compile_match.h"

#include <bit>

#include "base/error.h"
#include "bindings/errors.h"

namespace mx::python {

namespace {

bool same_key(PyObject* a, PyObject* b) {
  return a == b || (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b) && PyUnicode_Compare(a, b) == 0);
}

// Surely the same constant: for classes whose comparison is known.
bool surely_same(PyObject* a, PyObject* b) {
  if (a == b) return true;
  if (Py_TYPE(a) != Py_TYPE(b)) return false;
  if (PyFloat_CheckExact(a)) return std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(a)) == std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(b));
  if (PyLong_CheckExact(a)) return PyObject_RichCompareBool(a, b, Py_EQ) == 1;
  return PyUnicode_CheckExact(a) && PyUnicode_Compare(a, b) == 0;
}

bool surely_leaf(PyObject* o) {
  PyTypeObject* t = Py_TYPE(o);
  return t == &PyFloat_Type || t == &PyLong_Type || t == &PyUnicode_Type || t == &PyBool_Type;
}

}  // namespace

// Where the children of each node are, and which leaves are which arrays.
struct Pattern::Reader {
  const MixedTree& tree;
  std::span<const Type> types;
  bool constants;
  std::vector<size_t> end;         // of each node's subtree
  std::vector<size_t> first_leaf;  // number of leaves before each node
  std::vector<int> array_at;       // leaf -> array, or -1

  Reader(const MixedTree& t, std::span<const Type> ts, bool c) : tree(t), types(ts), constants(c) {
    const auto& nodes = tree.tree.nodes();
    end.resize(nodes.size());
    std::vector<std::pair<size_t, uint32_t>> open;  // node, children still to come
    size_t leaves = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
      first_leaf.push_back(leaves);
      leaves += nodes[i].kind == TreeNode::leaf;
      open.emplace_back(i, nodes[i].n_children);
      while (!open.empty() && open.back().second == 0) {
        end[open.back().first] = i + 1;
        open.pop_back();
        if (!open.empty()) --open.back().second;
      }
    }
    array_at.assign(leaves, -1);
    for (size_t k = 0; k < tree.position.size(); ++k) array_at[tree.position[k]] = static_cast<int>(k);
  }
};

Pattern::Pattern(const MixedTree& tree, std::span<const Type> types, bool constants) : n_arrays_(tree.position.size()) {
  Reader r(tree, types, constants);
  entries_.reserve(tree.tree.nodes().size());
  if (!tree.tree.nodes().empty()) read(r, 0);
}

void Pattern::read(Reader& r, size_t at) {
  const TreeNode& node = r.tree.tree.nodes()[at];
  size_t self = entries_.size();
  entries_.emplace_back();
  Entry e;
  e.node = &node;
  e.n = node.n_children;
  switch (node.kind) {
    case TreeNode::leaf: {
      size_t leaf = r.first_leaf[at];
      int k = r.array_at[leaf];
      e.kind = k >= 0 ? Entry::array : Entry::constant;
      if (k >= 0) {
        e.index = static_cast<uint32_t>(k);
        e.any_type = r.types.empty();
        if (!e.any_type) e.type = r.types[static_cast<size_t>(k)];
      } else if (r.constants) {
        e.leaf = r.tree.leaves[leaf].ptr();
      }
      break;
    }
    case TreeNode::none: e.kind = Entry::none; break;
    case TreeNode::tuple: e.kind = Entry::tuple; break;
    case TreeNode::list: e.kind = Entry::list; break;
    case TreeNode::dict: e.kind = Entry::dict; break;
    default:
      e.kind = Entry::other;
      plain_ = false;
  }
  std::vector<size_t> children;
  for (size_t i = 0, c = at + 1; i < node.n_children; ++i, c = r.end[c]) children.push_back(c);
  for (size_t i = 0; i < children.size(); ++i) {
    size_t k = e.kind == Entry::dict && node.inserted ? (*node.inserted)[i] : i;
    if (e.kind == Entry::dict) e.keys.push_back(PyTuple_GET_ITEM(node.data.ptr(), static_cast<Py_ssize_t>(k)));
    bool is_array = r.tree.tree.nodes()[children[k]].kind == TreeNode::leaf && r.array_at[r.first_leaf[children[k]]] >= 0;
    if (e.kind == Entry::tuple && is_array) updatable_ = false;
    if (e.kind == Entry::other) {
      updatable_ = updatable_ && node.kind == TreeNode::custom && is_array && PyObject_HasAttrString(node.type.ptr(), "__setitem__");
    }
    read(r, children[k]);
  }
  e.end = static_cast<uint32_t>(entries_.size());
  entries_[self] = std::move(e);
}

bool Pattern::fits(const Entry*& at, PyObject* o, mx::array* arrays) const {
  const Entry& e = *at++;
  switch (e.kind) {
    case Entry::array: {
      if (!is_array(o)) return false;
      const mx::array& a = get_array(o);
      if (!e.any_type && (a.dtype() != e.type.dtype || !(a.shape() == e.type.shape))) return false;
      if (arrays) arrays[e.index] = a;
      return true;
    }
    case Entry::constant: return e.leaf ? surely_same(o, e.leaf) : surely_leaf(o);
    case Entry::none: return o == Py_None;
    case Entry::tuple:
    case Entry::list:
      if (e.kind == Entry::tuple ? !PyTuple_CheckExact(o) : !PyList_CheckExact(o)) return false;
      if (static_cast<uint32_t>(PySequence_Fast_GET_SIZE(o)) != e.n) return false;
      for (uint32_t i = 0; i < e.n; ++i) {
        if (e.kind == Entry::list && i >= static_cast<uint32_t>(PyList_GET_SIZE(o))) return false;
        if (!fits(at, PySequence_Fast_GET_ITEM(o, i), arrays)) return false;
      }
      return true;
    case Entry::dict: {
      if (!PyDict_CheckExact(o) || static_cast<uint32_t>(PyDict_GET_SIZE(o)) != e.n) return false;
      Py_ssize_t next = 0;
      PyObject *key, *value;
      for (uint32_t i = 0; i < e.n; ++i) {
        if (!PyDict_Next(o, &next, &key, &value) || !same_key(key, e.keys[i]) || !fits(at, value, arrays)) return false;
      }
      return true;
    }
    case Entry::other: break;
  }
  // Another class: its children by the general way.
  auto held = py::reinterpret_borrow<py::object>(o);
  TreeNode node;
  Leaves children;
  if (is_array(o) || !open_node(o, node, children)) return false;
  const TreeNode& was = *e.node;
  bool same = node.kind == was.kind && node.type.ptr() == was.type.ptr() && node.n_children == was.n_children && !node.state && !was.state;
  if (!same || bool(node.inserted) != bool(was.inserted) || (node.inserted && *node.inserted != *was.inserted)) return false;
  if (node.data.ptr() != was.data.ptr()) {
    if (node.kind != TreeNode::dict_like) return false;
    for (uint32_t i = 0; i < node.n_children; ++i) {
      if (!same_key(PyTuple_GET_ITEM(node.data.ptr(), i), PyTuple_GET_ITEM(was.data.ptr(), i))) return false;
    }
  }
  for (const py::object& child : children) {
    if (!fits(at, child.ptr(), arrays)) return false;
  }
  return true;
}

bool Pattern::match(PyObject* o, array* arrays) const {
  const Entry* at = entries_.data();
  return fits(at, o, arrays);
}

bool Pattern::match_call(PyObject* const* args, size_t n_args, PyObject* names, array* arrays) const {
  const Entry* at = entries_.data();
  size_t n_names = names ? static_cast<size_t>(PyTuple_GET_SIZE(names)) : 0;
  if (at->n != n_args + 1) return false;
  ++at;
  for (size_t i = 0; i < n_args; ++i) {
    if (!fits(at, args[i], arrays)) return false;
  }
  const Entry& keywords = *at++;
  if (keywords.kind != Entry::dict || keywords.n != n_names) return false;
  for (size_t i = 0; i < n_names; ++i) {
    if (!same_key(PyTuple_GET_ITEM(names, static_cast<Py_ssize_t>(i)), keywords.keys[i]) || !fits(at, args[n_args + i], arrays)) return false;
  }
  return true;
}

PyObject* Pattern::make(const Entry*& at, std::span<const mx::array> arrays) const {
  const Entry& e = *at++;
  switch (e.kind) {
    case Entry::array: return checked(wrap(arrays[e.index]));
    case Entry::constant: return Py_NewRef(e.leaf);
    case Entry::tuple: {
      auto out = py::reinterpret_steal<py::object>(checked(PyTuple_New(e.n)));
      for (uint32_t i = 0; i < e.n; ++i) PyTuple_SET_ITEM(out.ptr(), i, make(at, arrays));
      return out.release().ptr();
    }
    case Entry::list: {
      auto out = py::reinterpret_steal<py::object>(checked(PyList_New(e.n)));
      for (uint32_t i = 0; i < e.n; ++i) PyList_SET_ITEM(out.ptr(), i, make(at, arrays));
      return out.release().ptr();
    }
    case Entry::dict: {
      auto out = py::reinterpret_steal<py::object>(checked(PyDict_New()));
      for (uint32_t i = 0; i < e.n; ++i) {
        auto value = py::reinterpret_steal<py::object>(make(at, arrays));
        if (PyDict_SetItem(out.ptr(), e.keys[i], value.ptr()) != 0) rethrow();
      }
      return out.release().ptr();
    }
    default: return Py_NewRef(Py_None);
  }
}

PyObject* Pattern::build(std::span<const array> arrays) const {
  const Entry* at = entries_.data();
  return make(at, arrays);
}

void Pattern::put(const Entry*& at, PyObject* o, std::span<const mx::array> arrays, Leaves& before) const {
  const Entry& e = *at++;
  Py_ssize_t next = 0;
  PyObject *key = nullptr, *value = nullptr;
  auto gone = [] { throw TransformError("[compile] outputs= changed while they were being updated."); };
  for (uint32_t i = 0; i < e.n; ++i) {
    if (e.kind == Entry::other) {
      auto fresh = py::reinterpret_steal<py::object>(checked(wrap(arrays[at++->index])));
      if (PyObject_SetItem(o, py::int_(i).ptr(), fresh.ptr()) != 0) rethrow();
      continue;
    }
    if (e.kind == Entry::dict) {
      if (!PyDict_Next(o, &next, &key, &value)) gone();
    } else {
      if (i >= static_cast<uint32_t>(PySequence_Fast_GET_SIZE(o))) gone();
      value = PySequence_Fast_GET_ITEM(o, i);
    }
    auto held = py::reinterpret_borrow<py::object>(value);
    if (at->kind != Entry::array) {
      put(at, value, arrays, before);
      continue;
    }
    PyObject* fresh = checked(wrap(arrays[at++->index]));
    if (e.kind == Entry::dict) {
      auto owned = py::reinterpret_steal<py::object>(fresh);
      if (PyDict_SetItem(o, key, fresh) != 0) rethrow();
    } else {
      PyList_SET_ITEM(o, i, fresh);
      Py_DECREF(value);
    }
    before.push_back(std::move(held));
  }
}

void Pattern::update(PyObject* o, std::span<const array> arrays, Leaves& before) const {
  const Entry* at = entries_.data();
  put(at, o, arrays, before);
}

}  // namespace mx::python

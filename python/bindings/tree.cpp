// tree.cpp — see tree.h. Flattener::visit() takes the exact built-in types first, since nearly all trees have
// no others; open_container() knows the rest. Builder is its inverse.

#include "bindings/tree.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "bindings/bind.h"
#include "bindings/constant.h"

namespace mx::python {

namespace {

// ---- classes that users registered

struct Registration {
  py::object flatten, unflatten;
};
std::unordered_map<PyTypeObject*, Registration>& registry() {
  // Never destroyed: it holds Python objects, and the interpreter may be gone by then.
  static auto* map = new std::unordered_map<PyTypeObject*, Registration>();
  return *map;
}

// Guards against containers nested too deeply (or within themselves) for the C stack.
class DepthGuard {
 public:
  DepthGuard() {
    if (Py_EnterRecursiveCall(" while walking a tree of arrays")) rethrow();
  }
  ~DepthGuard() { Py_LeaveRecursiveCall(); }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
};

// ---- dicts

// Keys of several types have no order of their own: group them by type name. What has no order even then
// stays as inserted. Returns indices into `keys`.
std::vector<uint32_t> general_order(PyObject* keys) {
  auto n = static_cast<size_t>(PyTuple_GET_SIZE(keys));
  auto rank = [&](bool by_type) {
    py::list ranked;
    for (size_t i = 0; i < n; ++i) {
      py::handle key = PyTuple_GET_ITEM(keys, static_cast<Py_ssize_t>(i));
      ranked.append(py::make_tuple(by_type ? Py_TYPE(key.ptr())->tp_name : "", key, i));
    }
    return ranked;
  };
  py::list ranked = rank(false);
  if (PyList_Sort(ranked.ptr()) != 0) {
    PyErr_Clear();
    ranked = rank(true);
    if (PyList_Sort(ranked.ptr()) != 0) {
      PyErr_Clear();
      ranked = rank(true);
    }
  }
  std::vector<uint32_t> order;
  for (py::handle r : ranked) order.push_back(py::cast<uint32_t>(r[py::int_(2)]));
  return order;
}

// Describes a dict (or an instance of a subclass) and appends its values by sorted key.
void open_dict(PyObject* dict, TreeNode& node, Leaves& values) {
  Py_ssize_t n = PyDict_GET_SIZE(dict), at = 0, i = 0;
  node.n_children = static_cast<uint32_t>(n);
  node.data = py::reinterpret_steal<py::object>(checked(PyTuple_New(n)));
  PyObject *keys = node.data.ptr(), *key, *value, *before = nullptr;
  bool ordered = true, strings = true;
  values.reserve(static_cast<size_t>(n));
  while (i < n && PyDict_Next(dict, &at, &key, &value)) {
    strings = strings && PyUnicode_CheckExact(key);
    ordered = ordered && strings && (!before || PyUnicode_Compare(before, key) < 0);
    before = key;
    PyTuple_SET_ITEM(keys, i++, Py_NewRef(key));
    values.push_back(py::reinterpret_borrow<py::object>(value));
  }
  if (ordered) return;
  std::vector<uint32_t> order;
  if (strings) {
    order.resize(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return PyUnicode_Compare(PyTuple_GET_ITEM(keys, a), PyTuple_GET_ITEM(keys, b)) < 0;
    });
  } else {
    order = general_order(keys);
    if (std::is_sorted(order.begin(), order.end())) return;
  }
  auto sorted = py::reinterpret_steal<py::object>(checked(PyTuple_New(n)));
  auto inserted = std::make_shared<std::vector<uint32_t>>(order.size());
  Leaves by_key(order.size());
  for (uint32_t k = 0; k < order.size(); ++k) {
    PyTuple_SET_ITEM(sorted.ptr(), k, Py_NewRef(PyTuple_GET_ITEM(keys, order[k])));
    (*inserted)[order[k]] = k;
    by_key[k] = std::move(values[order[k]]);
  }
  node.data = std::move(sorted);
  node.inserted = std::move(inserted);
  values = std::move(by_key);
}

// ---- the rarer containers

py::object instance_state(PyObject* o) {
  py::object factory, attributes;
  if (PyDict_Check(o) && PyObject_HasAttrString(o, "default_factory")) factory = py::getattr(o, "default_factory");
  if (PyObject* d = PyObject_GenericGetDict(o, nullptr)) {
    if (PyDict_GET_SIZE(d) > 0) attributes = py::reinterpret_steal<py::object>(PyDict_Copy(d));
    Py_DECREF(d);
  } else {
    PyErr_Clear();
  }
  if (!factory && !attributes) return {};
  return py::make_tuple(factory ? factory : py::none(), attributes ? attributes : py::none());
}

// The names of a dataclass's fields, remembered as long as the class lives.
py::tuple field_names(PyTypeObject* type) {
  static py::object* cache = new py::object(py::module_::import("weakref").attr("WeakKeyDictionary")());
  py::handle cls(reinterpret_cast<PyObject*>(type));
  py::object known = cache->attr("get")(cls);
  if (!known.is_none()) return known;
  py::list names;
  for (py::handle f : py::module_::import("dataclasses").attr("fields")(cls)) names.append(f.attr("name"));
  py::tuple out(names);
  (*cache)[cls] = out;
  return out;
}

bool is_dataclass(PyTypeObject* type) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), "__dataclass_fields__");
}

bool surely_leaf(PyTypeObject* t) {
  return t == array_type || t == &PyFloat_Type || t == &PyLong_Type || t == &PyUnicode_Type || t == &PyBool_Type;
}

// open_node() for containers other than an exact list, tuple, dict or None.
bool open_container(PyObject* o, TreeNode& node, Leaves& children) {
  PyTypeObject* type = Py_TYPE(o);
  if (surely_leaf(type)) return false;
  if (auto it = registry().find(type); it != registry().end()) {
    node.kind = TreeNode::custom;
    py::object parts = it->second.flatten(py::handle(o));
    if (!PyTuple_Check(parts.ptr()) || PyTuple_GET_SIZE(parts.ptr()) != 2) {
      throw TransformError(cat("[tree] the flatten function registered for ", type->tp_name, " returned ", describe(parts.ptr()),
                               "; need a tuple (children, static data)."));
    }
    for (py::handle child : parts[py::int_(0)]) children.push_back(py::reinterpret_borrow<py::object>(child));
    node.data = parts[py::int_(1)];
  } else if (PyTuple_Check(o) || PyList_Check(o)) {
    node.kind = PyTuple_Check(o) ? TreeNode::tuple_like : TreeNode::list_like;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      children.push_back(py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i)));
    }
    node.state = instance_state(o);
  } else if (PyDict_Check(o)) {
    node.kind = TreeNode::dict_like;
    open_dict(o, node, children);
    node.state = instance_state(o);
  } else if (is_dataclass(type)) {
    node.kind = TreeNode::dataclass;
    node.data = field_names(type);
    for (py::handle name : node.data) children.push_back(py::getattr(o, name));
  } else {
    return false;
  }
  node.type = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(type));
  node.n_children = static_cast<uint32_t>(children.size());
  return true;
}

}  // namespace

bool open_node(PyObject* o, TreeNode& node, Leaves& children) {
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    node.kind = PyList_CheckExact(o) ? TreeNode::list : TreeNode::tuple;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      children.push_back(py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i)));
    }
    node.n_children = static_cast<uint32_t>(children.size());
  } else if (PyDict_CheckExact(o)) {
    node.kind = TreeNode::dict;
    open_dict(o, node, children);
  } else if (o == Py_None) {
    node.kind = TreeNode::none;
  } else {
    return open_container(o, node, children);
  }
  return true;
}

// ---- taking apart

class Flattener {
 public:
  Flattener(Tree& tree, Leaves& leaves, PyObject* is_leaf) : tree_(tree), leaves_(leaves), is_leaf_(is_leaf) {}

  void visit(PyObject* o) {
    if (is_array(o)) return add_leaf(o);
    if (is_leaf_ && py::cast<bool>(py::reinterpret_borrow<py::object>(is_leaf_)(py::handle(o)))) return add_leaf(o);
    if (o == Py_None) {
      open(TreeNode::none);
    } else if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
      DepthGuard guard;
      bool is_list = PyList_CheckExact(o);
      TreeNode& node = open(is_list ? TreeNode::list : TreeNode::tuple);
      Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
      node.n_children = static_cast<uint32_t>(n);
      for (Py_ssize_t i = 0; i < n; ++i) {
        if (is_list && i >= PyList_GET_SIZE(o)) throw ValueError("[tree] a list changed while it was being read.");
        visit_held(PySequence_Fast_GET_ITEM(o, i));
      }
    } else if (PyDict_CheckExact(o)) {
      DepthGuard guard;
      Leaves values;
      open_dict(o, open(TreeNode::dict), values);
      for (const py::object& value : values) visit(value.ptr());
    } else {
      visit_other(o);
    }
  }

  TreeNode& open(TreeNode::Kind kind) {
    tree_.nodes_.push_back({});
    tree_.nodes_.back().kind = kind;
    return tree_.nodes_.back();
  }

 private:
  void add_leaf(PyObject* o) {
    open(TreeNode::leaf);
    ++tree_.n_leaves_;
    leaves_.push_back(py::reinterpret_borrow<py::object>(o));
  }
  // User code may run below and drop the container's own reference.
  void visit_held(PyObject* o) {
    if (is_array(o)) return add_leaf(o);
    py::object held = py::reinterpret_borrow<py::object>(o);
    visit(o);
  }
  void visit_other(PyObject* o) {
    TreeNode node;
    Leaves children;
    if (!open_container(o, node, children)) return add_leaf(o);
    DepthGuard guard;
    tree_.nodes_.push_back(std::move(node));
    for (const py::object& child : children) visit(child.ptr());
  }

  Tree& tree_;
  Leaves& leaves_;
  PyObject* is_leaf_;
};

Tree flatten(PyObject* o, Leaves& leaves, PyObject* is_leaf) {
  Tree tree;
  Flattener(tree, leaves, is_leaf).visit(o);
  return tree;
}

Tree flatten_all(std::span<PyObject* const> os, Leaves& leaves) {
  Tree tree;
  Flattener flattener(tree, leaves, nullptr);
  flattener.open(TreeNode::tuple).n_children = static_cast<uint32_t>(os.size());
  for (PyObject* o : os) flattener.visit(o);
  return tree;
}

void collect_arrays(PyObject* o, Arrays& arrays) {
  if (is_array(o)) {
    arrays.push_back(get_array(o));
    return;
  }
  PyTypeObject* type = Py_TYPE(o);
  if (o == Py_None || surely_leaf(type)) return;
  DepthGuard guard;
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      auto child = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i));
      collect_arrays(child.ptr(), arrays);
    }
  } else if (PyDict_CheckExact(o)) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(o, &at, &key, &value)) {
      auto child = py::reinterpret_borrow<py::object>(value);
      collect_arrays(child.ptr(), arrays);
    }
  } else {
    TreeNode node;
    Leaves children;
    open_container(o, node, children);
    for (const py::object& child : children) collect_arrays(child.ptr(), arrays);
  }
}

// ---- putting together

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

}  // namespace

namespace {

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

// ---- arrays among other leaves

MixedTree MixedTree::split(PyObject* o, bool numbers) {
  MixedTree mixed;
  mixed.tree = flatten(o, mixed.leaves);
  mixed.separate(numbers);
  return mixed;
}

MixedTree MixedTree::split_all(std::span<PyObject* const> os, bool numbers) {
  MixedTree mixed;
  mixed.tree = flatten_all(os, mixed.leaves);
  mixed.separate(numbers);
  return mixed;
}

void MixedTree::separate(bool numbers) {
  arrays.reserve(leaves.size());
  position.reserve(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i) {
    PyObject* o = leaves[i].ptr();
    if (!is_array(o) && !(numbers && is_python_number(o))) continue;
    arrays.push_back(is_array(o) ? get_array(o) : to_array(o));
    position.push_back(i);
    leaves[i] = py::object();
  }
}

Leaves MixedTree::filled(std::span<const array> replaced) const {
  check_count(replaced.size(), position.size());
  Leaves all(leaves);
  for (size_t k = 0; k < replaced.size(); ++k) all[position[k]] = py::reinterpret_steal<py::object>(checked(wrap(replaced[k])));
  return all;
}

// ---- comparing and naming

namespace {

bool same(const py::object& a, const py::object& b, bool exact) {
  if (a.ptr() == b.ptr()) return true;
  if (!a || !b) return false;
  if (exact) return same_constant(a.ptr(), b.ptr());
  int r = PyObject_RichCompareBool(a.ptr(), b.ptr(), Py_EQ);
  if (r < 0) rethrow();
  return r == 1;
}

bool same_order(const TreeNode& a, const TreeNode& b) {
  return a.inserted == b.inserted || (a.inserted && b.inserted && *a.inserted == *b.inserted);
}

bool same_node(const TreeNode& a, const TreeNode& b, bool exact) {
  return a.kind == b.kind && a.n_children == b.n_children && a.type.ptr() == b.type.ptr() && same(a.data, b.data, exact) &&
         same(a.state, b.state, exact) && (!exact || same_order(a, b));
}

std::string text(py::handle o, PyObject* (*convert)(PyObject*) = PyObject_Repr) {
  auto s = py::reinterpret_steal<py::object>(convert(o.ptr()));
  if (!s) {
    PyErr_Clear();
    return "?";
  }
  return s.cast<std::string>();
}

std::string class_name(const TreeNode& node) { return text(node.type.attr("__name__"), PyObject_Str); }

// How child i of a container is written after the container: "[2]", "['w']", ".weight".
std::string step(const TreeNode& node, size_t i) {
  switch (node.kind) {
    case TreeNode::dict:
    case TreeNode::dict_like: return "[" + text(node.data[py::int_(i)]) + "]";
    case TreeNode::dataclass: return "." + text(node.data[py::int_(i)], PyObject_Str);
    case TreeNode::tuple_like:
      if (py::hasattr(node.type, "_fields")) return "." + text(node.type.attr("_fields")[py::int_(i)], PyObject_Str);
      break;
    default: break;
  }
  return cat("[", i, "]");
}

std::string what_is(const TreeNode& node) {
  switch (node.kind) {
    case TreeNode::leaf: return "a leaf";
    case TreeNode::none: return "None";
    case TreeNode::tuple: return cat("a tuple of ", node.n_children);
    case TreeNode::list: return cat("a list of ", node.n_children);
    case TreeNode::dict: return "a dict with keys " + text(py::list(node.data));
    case TreeNode::dict_like: return cat("a ", class_name(node), " with keys ", text(py::list(node.data)));
    default: return cat("a ", class_name(node), " of ", node.n_children);
  }
}

void print(const SmallVector<TreeNode, 4>& nodes, size_t& at, std::ostream& out) {
  const TreeNode& node = nodes[at++];
  auto children = [&](const char* open, const char* close, bool keyed) {
    out << open;
    for (uint32_t i = 0; i < node.n_children; ++i) {
      if (i) out << ", ";
      if (keyed) out << text(node.data[py::int_(i)], node.kind == TreeNode::dataclass ? PyObject_Str : PyObject_Repr)
                     << (node.kind == TreeNode::dataclass ? "=" : ": ");
      print(nodes, at, out);
    }
    out << close;
  };
  switch (node.kind) {
    case TreeNode::leaf: out << '*'; break;
    case TreeNode::none: out << "None"; break;
    case TreeNode::tuple: children("(", node.n_children == 1 ? ",)" : ")", false); break;
    case TreeNode::list: children("[", "]", false); break;
    case TreeNode::dict: children("{", "}", true); break;
    case TreeNode::dict_like: out << class_name(node); children("({", "})", true); break;
    case TreeNode::dataclass: out << class_name(node); children("(", ")", true); break;
    case TreeNode::custom:
      out << class_name(node) << '[' << text(node.data) << ']';
      children("(", ")", false);
      break;
    default: out << class_name(node); children("(", ")", false);
  }
}

// Calls f(node index, path) for every node until it returns false.
template <class F>
bool walk_paths(const SmallVector<TreeNode, 4>& nodes, size_t& at, std::vector<std::string>& path, F&& f) {
  size_t self = at++;
  if (!f(self, path)) return false;
  for (uint32_t i = 0; i < nodes[self].n_children; ++i) {
    path.push_back(step(nodes[self], i));
    if (!walk_paths(nodes, at, path, f)) return false;
    path.pop_back();
  }
  return true;
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& p : parts) out += p;
  return out;
}

}  // namespace

bool Tree::equal(const Tree& o, bool exact) const {
  if (nodes_.size() != o.nodes_.size()) return false;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!same_node(nodes_[i], o.nodes_[i], exact)) return false;
  }
  return true;
}

size_t Tree::hash() const {
  size_t h = nodes_.size();
  for (const TreeNode& node : nodes_) {
    h = detail::mix(h, static_cast<size_t>(node.kind) + 16 * static_cast<size_t>(node.n_children));
    if (node.type) h = detail::mix(h, reinterpret_cast<size_t>(node.type.ptr()));
    if (!node.data) continue;
    Py_hash_t of_data = PyObject_Hash(node.data.ptr());
    if (of_data == -1) PyErr_Clear();  // static data that cannot be hashed can still be compared
    h = detail::mix(h, static_cast<size_t>(of_data));
  }
  return h;
}

std::string Tree::str() const {
  std::ostringstream out;
  size_t at = 0;
  print(nodes_, at, out);
  return out.str();
}

std::vector<std::string> Tree::path(size_t leaf) const {
  std::vector<std::string> path;
  size_t at = 0;
  walk_paths(nodes_, at, path, [&](size_t i, auto&) { return nodes_[i].kind != TreeNode::leaf || leaf-- > 0; });
  return path;
}

std::string first_difference(const Tree& a, const Tree& b) {
  std::vector<std::string> path;
  size_t at = 0;
  std::string found;
  walk_paths(a.nodes(), at, path, [&](size_t i, auto& p) {
    const TreeNode &x = a.nodes()[i], &y = b.nodes()[i];
    if (same_node(x, y, false)) return true;
    std::string where = join(p);
    std::string left = what_is(x), right = what_is(y);
    if (left == right) left += " (static parts differ)";
    found = cat(where.empty() ? "" : "at " + where + " ", "one has ", left, ", the other ", right);
    return false;
  });
  return found;
}

std::string describe(PyObject* leaf) {
  if (is_array(leaf)) {
    const array& a = get_array(leaf);
    return cat("array of shape ", a.shape(), " and dtype ", a.dtype());
  }
  if (leaf == Py_None) return "None";
  std::string value = text(leaf);
  if (value.size() > 60) value = value.substr(0, 57) + "...";
  std::string type = text(py::handle(reinterpret_cast<PyObject*>(Py_TYPE(leaf))).attr("__name__"), PyObject_Str);
  return value.find('<') == 0 ? value : cat(type, " ", value);
}

// ---- trees whose leaves are trees

namespace {

// The children of `o` if it is a container like `node`; throws otherwise.
Leaves children_like(const TreeNode& node, PyObject* o, const std::vector<std::string>& path, const std::string& what) {
  Leaves out;
  TreeNode found;
  open_node(o, found, out);
  if (!same_node(node, found, false)) {
    std::string where = join(path);
    throw TransformError(cat(what, " trees differ", where.empty() ? "" : " at " + where, ": the first has ", what_is(node), ", the other ",
                             what_is(found), "; need the same containers."));
  }
  return out;
}

class UpTo {
 public:
  UpTo(const Tree& tree, Leaves& leaves, const std::string& what, bool none_covers)
      : nodes_(tree.nodes()), leaves_(leaves), what_(what), none_covers_(none_covers) {}

  void visit(PyObject* o) {
    const TreeNode& node = nodes_[at_++];
    if (node.kind == TreeNode::leaf) {
      leaves_.push_back(py::reinterpret_borrow<py::object>(o));
      return;
    }
    DepthGuard guard;
    Leaves children = none_covers_ && o == Py_None ? Leaves(node.n_children, py::none()) : children_like(node, o, path_, what_);
    for (size_t i = 0; i < children.size(); ++i) {
      path_.push_back(step(node, i));
      visit(children[i].ptr());
      path_.pop_back();
    }
  }

 private:
  const SmallVector<TreeNode, 4>& nodes_;
  Leaves& leaves_;
  const std::string& what_;
  bool none_covers_;
  size_t at_ = 0;
  std::vector<std::string> path_;
};

}  // namespace

void flatten_up_to(const Tree& tree, PyObject* o, Leaves& leaves, const std::string& what, bool none_covers) {
  UpTo(tree, leaves, what, none_covers).visit(o);
}

// ---- Python

namespace {

PyObject* or_null(const py::object& o) { return o.is_none() ? nullptr : o.ptr(); }

py::list to_list(const Leaves& leaves) {
  py::list out(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i) out[i] = leaves[i];
  return out;
}

py::object map(const py::object& fun, const py::object& tree, const py::args& rest, const py::object& is_leaf) {
  Leaves leaves;
  Tree structure = flatten(tree.ptr(), leaves, or_null(is_leaf));
  std::vector<Leaves> others(rest.size());
  for (size_t k = 0; k < rest.size(); ++k) flatten_up_to(structure, rest[k].ptr(), others[k], "[tree_map]");
  std::vector<PyObject*> arguments(1 + rest.size());
  for (size_t i = 0; i < leaves.size(); ++i) {
    arguments[0] = leaves[i].ptr();
    for (size_t k = 0; k < rest.size(); ++k) arguments[k + 1] = others[k][i].ptr();
    leaves[i] = py::reinterpret_steal<py::object>(checked(PyObject_Vectorcall(fun.ptr(), arguments.data(), arguments.size(), nullptr)));
  }
  return structure.build(std::span<const py::object>(leaves));
}

}  // namespace

void bind_tree(py::module_& m) {
  py::class_<Tree>(m, "TreeDef", "The structure of a tree: its containers, without the leaves. Compares and hashes by structure.")
      .def_property_readonly("n_leaves", &Tree::n_leaves, "The number of leaves.")
      .def("unflatten", [](const Tree& t, const py::object& leaves) {
        Leaves ls;
        for (py::handle leaf : leaves) ls.push_back(py::reinterpret_borrow<py::object>(leaf));
        return t.build(std::span<const py::object>(ls));
      }, py::arg("leaves"), "Put ``leaves`` into containers of this structure.")
      .def("paths", [](const Tree& t) {
        py::list out;
        for (size_t i = 0; i < t.n_leaves(); ++i) out.append(join(t.path(i)));
        return out;
      }, "How each leaf is reached, as Python text: ``['layers'][0].weight``.")
      .def("__eq__", [](const Tree& t, const py::object& o) -> py::object {
        if (!py::isinstance<Tree>(o)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
        return py::bool_(t == o.cast<const Tree&>());
      })
      .def("__hash__", [](const Tree& t) { return static_cast<Py_ssize_t>(t.hash() >> 1); })
      .def("__len__", &Tree::n_leaves)
      .def("__repr__", [](const Tree& t) { return "TreeDef(" + t.str() + ")"; });
  m.def("_tree_flatten", [](const py::object& tree, const py::object& is_leaf) {
    Leaves leaves;
    Tree structure = flatten(tree.ptr(), leaves, or_null(is_leaf));
    return py::make_tuple(to_list(leaves), std::move(structure));
  });
  m.def("_tree_map", [](const py::object& fun, const py::object& tree, const py::object& is_leaf, const py::args& rest) {
    return map(fun, tree, rest, is_leaf);
  });
  m.def("_register_tree_node", [](const py::type& cls, py::object flatten, py::object unflatten) {
    auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
    bool built_in = type == array_type || type == &PyTuple_Type || type == &PyList_Type || type == &PyDict_Type || type == Py_TYPE(Py_None);
    if (built_in || registry().contains(type)) {
      throw TransformError(cat("[register_tree_node] ", type->tp_name, " is already ", built_in ? "known" : "registered",
                               "; a class can be registered once."));
    }
    Py_INCREF(type);
    registry()[type] = {std::move(flatten), std::move(unflatten)};
  });
}

}  // namespace mx::python

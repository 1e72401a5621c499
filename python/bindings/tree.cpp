// tree.cpp — taking trees apart. Flattener::visit() takes the exact built-in types first, since nearly all
// trees have no others; open_container() knows the rest. Putting together is in tree_build.cpp, comparing and
// naming in tree_compare.cpp, the Python functions in tree_bind.cpp.

#include "bindings/tree.h"

#include <algorithm>
#include <numeric>

#include "bindings/convert.h"
#include "bindings/tree_detail.h"

namespace mx::python {

std::unordered_map<PyTypeObject*, Registration>& registry() {
  // Never destroyed: it holds Python objects, and the interpreter may be gone by then.
  static auto* map = new std::unordered_map<PyTypeObject*, Registration>();
  return *map;
}

namespace {

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
  // Asked of the type: an instance may answer for any name.
  if (PyDict_Check(o) && py::hasattr(py::type::handle_of(o), "default_factory")) factory = py::getattr(o, "default_factory");
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
  static PyObject* cache = nullptr;  // guarded by the GIL; lives as long as the process
  if (!cache) cache = py::module_::import("weakref").attr("WeakKeyDictionary")().release().ptr();
  py::handle cls(reinterpret_cast<PyObject*>(type));
  py::object known = py::handle(cache).attr("get")(cls);
  if (!known.is_none()) return known;
  py::list names;
  for (py::handle f : py::module_::import("dataclasses").attr("fields")(cls)) names.append(f.attr("name"));
  py::tuple out(names);
  if (PyObject_SetItem(cache, cls.ptr(), out.ptr()) != 0) rethrow();
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
    if (is_leaf_ && says_leaf(o)) return add_leaf(o);
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
  bool says_leaf(PyObject* o) {
    auto answer = py::reinterpret_steal<py::object>(checked(PyObject_CallOneArg(is_leaf_, o)));
    int truth = PyObject_IsTrue(answer.ptr());
    if (truth < 0) rethrow();
    return truth != 0;
  }
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

}  // namespace mx::python

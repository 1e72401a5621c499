#include "bindings/compile_state.h"

#include "bindings/errors.h"
#include "bindings/transforms.h"

namespace mx::python {

Snapshot::~Snapshot() {
  // Runs while an error from the traced function is on its way, too.
  py::error_scope pending;
  try {
    restore();
  } catch (...) {
    PyErr_Clear();
  }
}

void Snapshot::take(PyObject* o) {
  TreeNode node;
  Leaves children;
  if (is_array(o) || !open_node(o, node, children)) return;
  for (const py::object& child : children) take(child.ptr());
  saved_.push_back({py::reinterpret_borrow<py::object>(o), std::move(node), std::move(children)});
}
void Snapshot::restore() {
  for (Saved& s : saved_) fill(s.container.ptr(), s.node, s.children);
  saved_.clear();
}


bool Snapshot::fill(PyObject* o, const TreeNode& node, const Leaves& children) {
  auto set = [&](PyObject* key, const py::object& child) {
    if (PyObject_SetItem(o, key, child.ptr()) != 0) rethrow();
  };
  switch (node.kind) {
    case TreeNode::list:
    case TreeNode::list_like: {
      py::tuple items = to_tuple_object(children);
      if (PyList_SetSlice(o, 0, PyList_GET_SIZE(o), items.ptr()) != 0) rethrow();
      return true;
    }
    case TreeNode::dict:
    case TreeNode::dict_like: {
      auto present = py::reinterpret_steal<py::object>(checked(PySequence_Tuple(o)));
      for (py::handle key : present) {
        int keep = PySequence_Contains(node.data.ptr(), key.ptr());
        if (keep < 0 || (keep == 0 && PyObject_DelItem(o, key.ptr()) != 0)) rethrow();
      }
      for (size_t i = 0; i < children.size(); ++i) {
        size_t k = node.inserted ? (*node.inserted)[i] : i;
        set(PyTuple_GET_ITEM(node.data.ptr(), static_cast<Py_ssize_t>(k)), children[k]);
      }
      return true;
    }
    case TreeNode::dataclass:
      for (size_t i = 0; i < children.size(); ++i) {
        if (PyObject_GenericSetAttr(o, PyTuple_GET_ITEM(node.data.ptr(), static_cast<Py_ssize_t>(i)), children[i].ptr()) != 0) rethrow();
      }
      return true;
    case TreeNode::custom:
      // A class that is indexed like a list (mx.random.state) is changed in place.
      if (!PyObject_HasAttrString(node.type.ptr(), "__setitem__")) return false;
      for (size_t i = 0; i < children.size(); ++i) set(py::int_(i).ptr(), children[i]);
      return true;
    default: return false;
  }
}

namespace {
bool same_kind(const TreeNode& a, const TreeNode& b) {
  return a.kind == b.kind && a.type.ptr() == b.type.ptr() && a.kind != TreeNode::none;
}

}  // namespace

py::object adopt(PyObject* current, const py::object& fresh, bool constants) {
  TreeNode now, wanted;
  Leaves now_children, children;
  if (is_array(fresh.ptr()) || !current) return fresh;
  bool container = open_node(fresh.ptr(), wanted, children);
  bool was_container = !is_array(current) && open_node(current, now, now_children);
  if (!container) {
    bool keep = !constants && !was_container && !is_array(current);
    return keep ? py::reinterpret_borrow<py::object>(current) : fresh;
  }
  if (!was_container || !same_kind(now, wanted)) return fresh;
  bool by_key = wanted.kind == TreeNode::dict || wanted.kind == TreeNode::dict_like;
  bool changed = children.size() != now_children.size();
  for (size_t i = 0; i < children.size(); ++i) {
    PyObject* old = nullptr;
    if (by_key) {
      old = PyDict_GetItem(current, PyTuple_GET_ITEM(wanted.data.ptr(), static_cast<Py_ssize_t>(i)));
    } else if (i < now_children.size()) {
      old = now_children[i].ptr();
    }
    children[i] = adopt(old, children[i], constants);
    changed |= children[i].ptr() != old;
  }
  if (!changed || Snapshot::fill(current, wanted, children)) return py::reinterpret_borrow<py::object>(current);
  // A tuple: a new one, with the containers of the old.
  if (wanted.kind == TreeNode::tuple) return to_tuple_object(children);
  if (wanted.kind == TreeNode::tuple_like) {
    return py::handle(reinterpret_cast<PyObject*>(&PyTuple_Type)).attr("__new__")(wanted.type, to_tuple_object(children));
  }
  return fresh;
}

}  // namespace mx::python

// tree_compare.cpp — comparing trees, naming places in them, and walking one tree along another.

#include <sstream>

#include "bindings/constant.h"
#include "bindings/tree.h"
#include "bindings/tree_detail.h"

namespace mx::python {

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
    std::string where = joined(p);
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
    std::string where = joined(path);
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

}  // namespace mx::python

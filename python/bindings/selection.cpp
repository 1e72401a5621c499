#include "bindings/selection.h"

#include <algorithm>

#include "bindings/convert.h"
#include "bindings/tree_detail.h"

namespace mx::python {

// ---- the picked arguments

Selection::Selection(const Choice& choice, PyObject* fun, PyObject* args, PyObject* kwargs)
    : choice_(choice), fun_(fun), args_(args), kwargs_(nullptr) {
  check_call(args, kwargs);
  if (kwargs && kwargs != Py_None && PyDict_GET_SIZE(kwargs) > 0) kwargs_ = kwargs;
  select();
  Leaves leaves;
  tree_ = flatten_all(selected_, leaves);
  primals.reserve(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i) primals.push_back(differentiable(leaves[i].ptr(), i));
}

void Selection::select() {
  Py_ssize_t n = PyTuple_GET_SIZE(args_);
  for (Py_ssize_t asked : choice_.argnums) {
    Py_ssize_t i = asked < 0 ? asked + n : asked;
    if (i < 0 || i >= n) {
      fail(cat("argnums has ", asked, " but ", name(), " was called with ", n, " positional argument", n == 1 ? "" : "s",
               "; need an index of one of them. Use argnames for keyword arguments."));
    }
    if (std::find(positions_.begin(), positions_.end(), i) != positions_.end()) {
      fail(cat("argnums names argument ", i, " of ", name(), " twice; need each one once."));
    }
    positions_.push_back(i);
    selected_.push_back(PyTuple_GET_ITEM(args_, i));
  }
  for (const py::object& key : choice_.argnames) {
    PyObject* value = kwargs_ ? PyDict_GetItemWithError(kwargs_, key.ptr()) : nullptr;
    if (!value) {
      if (PyErr_Occurred()) rethrow();
      std::string given = "[]";
      if (kwargs_) given = py::str(py::list(py::reinterpret_borrow<py::object>(kwargs_)));
      fail(cat("argnames has ", py::repr(key).cast<std::string>(), " but ", name(), " was called with keyword arguments ", given,
               "; need one of them. Use argnums for positional arguments."));
    }
    selected_.push_back(value);
  }
}

array Selection::differentiable(PyObject* leaf, size_t i) const {
  array x;
  if (is_array(leaf)) {
    x = get_array(leaf);
  } else if (is_python_number(leaf)) {
    x = to_array(leaf);
  } else {
    fail(cat("cannot differentiate ", name(), " with respect to ", path(i), ": ", describe(leaf),
             " came; need an array. Leave it out with argnums, or pass it as another argument."));
  }
  if (choice_.complex ? is_complex(x.dtype()) : is_floating(x.dtype())) return x;
  std::string advice = choice_.complex          ? "holomorphic=True is for complex arguments only."
                       : is_complex(x.dtype()) ? choice_.for_complex
                       : is_array(leaf)        ? "Convert it with astype(mx.float32), or leave it out with argnums."
                                               : "Write it as a float.";
  fail(cat("cannot differentiate ", name(), " with respect to ", path(i), ": ", describe(leaf), " came; need a ",
           choice_.complex ? "complex" : "floating", " dtype. ", advice));
}

std::string Selection::path(size_t leaf) const {
  std::vector<std::string> steps = tree_.path(leaf);
  size_t child = std::stoul(steps[0].substr(1));
  std::string out = child < positions_.size() ? parameter_name(fun_, static_cast<size_t>(positions_[child]))
                                              : py::str(choice_.argnames[child - positions_.size()]).cast<std::string>();
  for (size_t i = 1; i < steps.size(); ++i) out += steps[i];
  return out;
}

py::object Selection::call_with(const Arrays& xs) const {
  Leaves replaced = tree_.build_children(std::span<const array>(xs));
  Py_ssize_t n = PyTuple_GET_SIZE(args_);
  auto args = py::reinterpret_steal<py::object>(checked(PyTuple_New(n)));
  for (Py_ssize_t i = 0; i < n; ++i) {
    auto at = std::find(positions_.begin(), positions_.end(), i);
    PyObject* o = at == positions_.end() ? PyTuple_GET_ITEM(args_, i) : replaced[static_cast<size_t>(at - positions_.begin())].ptr();
    PyTuple_SET_ITEM(args.ptr(), i, Py_NewRef(o));
  }
  if (choice_.argnames.empty()) return call(fun_, args.ptr(), kwargs_);
  auto kwargs = py::reinterpret_steal<py::object>(checked(PyDict_Copy(kwargs_)));
  for (size_t k = 0; k < choice_.argnames.size(); ++k) {
    if (PyDict_SetItem(kwargs.ptr(), choice_.argnames[k].ptr(), replaced[positions_.size() + k].ptr()) != 0) rethrow();
  }
  return call(fun_, args.ptr(), kwargs.ptr());
}

// ---- what a function returned

std::pair<py::object, py::object> split_aux(const std::string& op, const std::string& name, const py::object& result) {
  PyObject* o = result.ptr();
  if (is_array(o) || (!PyTuple_Check(o) && !PyList_Check(o)) || PySequence_Fast_GET_SIZE(o) != 2) {
    throw TransformError(cat("[", op, "] with has_aux=True ", name, " must return a pair (output, aux): ", describe(o), " came."));
  }
  return {py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, 0)),
          py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, 1))};
}

const array& scalar_output(const std::string& op, const std::string& name, PyObject* o, const char* where) {
  auto fail = [&](const std::string& problem) { throw TransformError(cat("[", op, "] ", name, " must return a ", problem)); };
  if (!is_array(o)) {
    std::string advice = is_python_number(o) ? " A Python number has no gradient: do not convert the loss with item() or float()." : "";
    fail(cat("scalar array", where, ": ", describe(o), " came.", advice));
  }
  const array& value = get_array(o);
  if (value.ndim() != 0) {
    fail(cat("scalar: ", describe(o), " came; need shape (). Reduce it, for instance with mx.sum or mx.mean."));
  }
  if (!is_floating(value.dtype())) {
    fail(cat("real floating scalar: ", describe(o), " came.", is_complex(value.dtype()) ? " Take mx.real or mx.abs of it, or use vjp." : ""));
  }
  return value;
}

// ---- lists and trees of arrays

SmallVector<PyObject*, 4> items(const std::string& op, const char* what, PyObject* o) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) {
    throw py::type_error(cat("[", op, "] ", what, " must be a list or tuple, one entry for each argument or output: ", describe(o), " came."));
  }
  SmallVector<PyObject*, 4> out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) out.push_back(PySequence_Fast_GET_ITEM(o, i));
  return out;
}

Arrays numeric(const std::string& op, const std::string& what, const Tree& tree, const Leaves& leaves) {
  Arrays out;
  for (size_t i = 0; i < leaves.size(); ++i) {
    PyObject* leaf = leaves[i].ptr();
    if (is_array(leaf)) {
      out.push_back(get_array(leaf));
    } else if (is_python_number(leaf)) {
      out.push_back(to_array(leaf));
    } else {
      throw TransformError(cat("[", op, "] ", what, joined(tree.path(i)), " is ", describe(leaf), "; need an array."));
    }
  }
  return out;
}

Arrays moves_at(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, const Leaves& leaves) {
  Arrays out;
  for (size_t i = 0; i < leaves.size(); ++i) {
    PyObject* t = leaves[i].ptr();
    if (t == Py_None) {
      out.push_back(array());
      continue;
    }
    if (!is_array(t) && !is_python_number(t)) {
      throw TransformError(cat("[", op, "] ", what, joined(tree.path(i)), " is ", describe(t), "; need an array."));
    }
    out.push_back(is_array(t) ? get_array(t) : to_array(t));
    if (out[i].shape() == types[i].shape) continue;
    std::string path = joined(tree.path(i));
    throw TransformError(cat("[", op, "] ", what, path, " has shape ", out[i].shape(), " but ", like, path, " has shape ", types[i].shape,
                             "; need equal shapes."));
  }
  return out;
}

Arrays read_moves(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, PyObject* moves) {
  Leaves leaves;
  flatten_up_to(tree, moves, leaves, cat("[", op, "] ", like, " and ", what, ":"), true);
  return moves_at(op, what, like, tree, types, leaves);
}

Arrays read_moves_list(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, PyObject* moves) {
  SmallVector<PyObject*, 4> entries = items(op, what, moves);
  if (entries.size() != tree.nodes()[0].n_children) {
    throw TransformError(cat("[", op, "] ", tree.nodes()[0].n_children, " primals but ", entries.size(), " tangents; need one tangent for each primal."));
  }
  return read_moves(op, what, like, tree, types, to_tuple_object(entries).ptr());
}

Types types_of(const Arrays& arrays) {
  Types types;
  for (const array& a : arrays) types.push_back(a.type());
  return types;
}

py::tuple to_tuple_object(const SmallVector<PyObject*, 4>& objects) {
  py::tuple out(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) out[i] = py::handle(objects[i]);
  return out;
}

py::list to_list(const Leaves& objects) {
  py::list out(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) out[i] = objects[i];
  return out;
}

}  // namespace mx::python

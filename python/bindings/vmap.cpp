// vmap.cpp — vmap of Python functions: which axis belongs to which array, and the errors that name arguments.
// Start at run_vmap().

#include "transforms/vmap.h"

#include <algorithm>

#include "bindings/bind.h"
#include "bindings/transforms.h"
#include "bindings/tree_detail.h"

namespace mx::python {

namespace {

class AxisSpreader {
 public:
  AxisSpreader(const Tree& tree, const std::string& what, size_t from) : nodes_(tree.nodes()), what_(what), at_(from) {}

  void visit(PyObject* axes) {
    const TreeNode& node = nodes_[at_];
    auto is = [&](std::initializer_list<TreeNode::Kind> kinds) { return std::find(kinds.begin(), kinds.end(), node.kind) != kinds.end(); };
    if (axes == Py_None) {
      fill(std::nullopt);
    } else if (PyLong_Check(axes) && !PyBool_Check(axes)) {
      int64_t axis = to_integer(axes, "[vmap] " + what_);
      if (axis != static_cast<int>(axis)) throw AxisError(cat("[vmap] ", what_, ": there is no axis ", axis, "."));
      fill(static_cast<int>(axis));
    } else if (PyTuple_Check(axes) || PyList_Check(axes)) {
      bool fits = is({TreeNode::tuple, TreeNode::list, TreeNode::tuple_like, TreeNode::list_like});
      if (!fits || PySequence_Fast_GET_SIZE(axes) != node.n_children) mismatch(axes);
      ++at_;
      for (uint32_t i = 0; i < node.n_children; ++i) visit(PySequence_Fast_GET_ITEM(axes, i));
    } else if (PyDict_Check(axes)) {
      if (!is({TreeNode::dict, TreeNode::dict_like}) || PyDict_GET_SIZE(axes) != node.n_children) mismatch(axes);
      ++at_;
      for (py::handle key : node.data) {
        PyObject* axis = PyDict_GetItemWithError(axes, key.ptr());
        if (!axis && PyErr_Occurred()) rethrow();
        if (!axis) mismatch(axes);
        visit(axis);
      }
    } else {
      mismatch(axes);
    }
  }
  size_t at() const { return at_; }
  BatchAxes found;

 private:
  void fill(std::optional<int> axis) {
    const TreeNode& node = nodes_[at_++];
    if (node.kind == TreeNode::leaf) found.push_back(axis);
    for (uint32_t i = 0; i < node.n_children; ++i) fill(axis);
  }
  [[noreturn]] void mismatch(PyObject* axes) const {
    throw TransformError(cat("[vmap] ", what_, " do not fit: ", py::repr(py::handle(axes)).cast<std::string>(),
                             " came for something else; need an int, None, or a container like the one it is for."));
  }

  const SmallVector<TreeNode, 4>& nodes_;
  const std::string& what_;
  size_t at_;
};

}  // namespace

BatchAxes spread_axes(const Tree& tree, PyObject* axes, const std::string& what, size_t* from) {
  AxisSpreader spreader(tree, what, from ? *from : 0);
  spreader.visit(axes);
  if (from) *from = spreader.at();
  return std::move(spreader.found);
}

namespace {

// One axis per leaf of `arguments`: in_axes for the positional ones, 0 for keywords.
BatchAxes input_axes(PyObject* fun, PyObject* in_axes, const Tree& arguments) {
  std::string what = "in_axes of " + function_name(fun);
  BatchAxes all;
  size_t node = 1;
  auto spread = [&](PyObject* axes) {
    BatchAxes found = spread_axes(arguments, axes, what, &node);
    all.insert(all.end(), found.begin(), found.end());
  };
  uint32_t n = arguments.nodes()[0].n_children - 1;
  bool sequence = PyTuple_Check(in_axes) || PyList_Check(in_axes);
  if (sequence && PySequence_Fast_GET_SIZE(in_axes) == n) {
    for (uint32_t i = 0; i < n; ++i) spread(PySequence_Fast_GET_ITEM(in_axes, i));
  } else if (n != 1 && (sequence || PyDict_Check(in_axes))) {
    throw TransformError(cat("[vmap] ", what, " is ", py::repr(py::handle(in_axes)).cast<std::string>(), " but ", n,
                             " positional arguments came; need an int, or a tuple with one entry for each."));
  } else {
    for (uint32_t i = 0; i < n; ++i) spread(in_axes);
  }
  py::int_ front(0);
  spread(front.ptr());
  return all;
}

BatchAxes output_axes(PyObject* fun, PyObject* out_axes, const Tree& outputs) {
  bool one = (PyTuple_Check(out_axes) || PyList_Check(out_axes)) && PySequence_Fast_GET_SIZE(out_axes) == 1;
  bool bare = one && outputs.nodes()[0].kind == TreeNode::leaf;
  return spread_axes(outputs, bare ? PySequence_Fast_GET_ITEM(out_axes, 0) : out_axes, "out_axes of " + function_name(fun));
}

// Checks the axes against the arrays, naming arguments.
void check_batch(PyObject* fun, const MixedTree& in, const BatchAxes& axes, const VmapOptions& options) {
  auto path = [&](size_t k) { return argument_path(fun, in.tree, in.position[k]); };
  int64_t size = -1;
  size_t first = 0;
  for (size_t k = 0; k < in.arrays.size(); ++k) {
    if (!axes[k]) continue;
    const array& x = in.arrays[k];
    int axis = *axes[k] < 0 ? *axes[k] + x.ndim() : *axes[k];
    if (axis < 0 || axis >= x.ndim()) {
      throw AxisError(cat("[vmap] ", function_name(fun), " cannot be mapped over axis ", *axes[k], " of ", path(k), ": it has shape ", x.shape(),
                          "; need an axis that it has, or None in in_axes to pass it whole."));
    }
    int64_t n = x.shape(axis);
    if (size >= 0 && n != size) {
      throw TransformError(cat("[vmap] batch sizes of ", function_name(fun), " differ: ", path(first), " of shape ", in.arrays[first].shape(),
                               " has ", size, " along axis ", *axes[first], ", ", path(k), " of shape ", x.shape(), " has ", n, " along axis ",
                               *axes[k], "; need equal sizes."));
    }
    if (size < 0) first = k;
    size = n;
  }
  if (size < 0 && !options.axis_size) {
    throw TransformError(cat("[vmap] no argument of ", function_name(fun), " is mapped: ", in.arrays.empty() ? "no array came" : "every axis is None",
                             "; need at least one array with an axis in in_axes, or axis_size."));
  }
  if (size >= 0 && options.axis_size && size != *options.axis_size) {
    throw TransformError(cat("[vmap] axis_size of ", function_name(fun), " is ", *options.axis_size, " but ", path(first), " of shape ",
                             in.arrays[first].shape(), " has ", size, " along axis ", *axes[first], "; need equal sizes."));
  }
}

bool is_keyword(const Tree& arguments, size_t leaf) {
  return std::stoul(arguments.path(leaf)[0].substr(1)) + 1 == arguments.nodes()[0].n_children;
}

// Things that would be taken for arrays elsewhere must not slip through as constants.
void check_static(PyObject* fun, const MixedTree& in, const BatchAxes& axes) {
  for (size_t i = 0; i < in.leaves.size(); ++i) {
    PyObject* leaf = in.leaves[i].ptr();
    if (!leaf || !axes[i]) continue;
    bool number = is_python_number(leaf) && !is_keyword(in.tree, i);
    if (number || PyObject_HasAttrString(leaf, "__array__")) {
      throw TransformError(cat("[vmap] cannot map ", function_name(fun), " over ", argument_path(fun, in.tree, i), ": ", describe(leaf),
                               " came; need an array. Use None in in_axes to pass it whole."));
    }
  }
}

// vmap(fun, in_axes, out_axes, axis_size, chunk_size)(*args, **kwargs)
py::object run_vmap(const Args& a) {
  PyObject *fun = a.raw(0), *out_axes = a.raw(2);
  VmapOptions options{a.opt_integer(5), a.opt_integer(6)};
  MixedTree in = split_arguments(a.raw(3), a.raw(4));
  BatchAxes leaf_axes = input_axes(fun, a.raw(1), in.tree), axes;
  if (in.arrays.size() != in.leaves.size()) check_static(fun, in, leaf_axes);
  for (size_t leaf : in.position) axes.push_back(leaf_axes[leaf]);
  check_batch(fun, in, axes, options);
  MixedTree out;
  FunctionName name(function_name(fun));
  Arrays batched = vmap(
      [&](const Arrays& xs) {
        out = MixedTree::split(call_with(fun, in, xs).ptr(), true);
        return out.arrays;
      },
      in.arrays, axes,
      [&](size_t) {
        BatchAxes all = output_axes(fun, out_axes, out.tree), of_arrays;
        for (size_t k = 0; k < out.position.size(); ++k) {
          const auto& axis = all[out.position[k]];
          int n = out.arrays[k].ndim() + 1;
          if (axis && (*axis < -n || *axis >= n)) {
            throw AxisError(cat("[vmap] out_axes of ", function_name(fun), " has ", *axis, " for output", joined(out.tree.path(out.position[k])),
                                ", which has shape ", out.arrays[k].shape(), " for one example; need an axis from ", -n, " to ", n - 1, "."));
          }
          of_arrays.push_back(axis);
        }
        return of_arrays;
      },
      options);
  return out.build(batched);
}

}  // namespace

void bind_vmap(py::module_& m) { def(m, "_run_vmap(fun, in_axes, out_axes, args, kwargs, axis_size=None, chunk_size=None, /)", "", run_vmap); }

}  // namespace mx::python

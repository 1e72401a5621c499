// custom.cpp — functions with rules of their own (custom_function), recomputation (checkpoint) and ordering
// (depends), for Python functions of trees.

#include "transforms/custom.h"

#include "bindings/bind.h"
#include "bindings/transforms.h"
#include "ops/cast.h"
#include "transforms/checkpoint.h"

namespace mx::python {

namespace {

// ---- custom_function

// One call of a custom function: what its rules need to speak Python. Outlives the call, since the rules run
// when the graph is transformed.
struct CustomCall {
  std::string name;
  py::object vjp, jvp, vmap;  // null where the user gave none
  py::object kwargs;
  MixedTree in, out;
  Types in_types, out_types;

  // Rules see a lone argument bare and several as a tuple.
  py::object arguments(const Arrays& arrays) const {
    Leaves each = in.build_children(arrays);
    return each.size() == 1 ? each[0] : py::object(to_tuple_object(each));
  }

  // The axes of arguments, shaped like them.
  py::object axes(const BatchAxes& axes) const {
    Leaves all(in.leaves.size(), py::none());
    for (size_t k = 0; k < axes.size(); ++k) {
      if (axes[k]) all[in.position[k]] = py::int_(*axes[k]);
    }
    Leaves each = in.tree.build_children(std::span<const py::object>(all));
    return each.size() == 1 ? each[0] : py::object(to_tuple_object(each));
  }

  // What a vjp rule returned, as a tuple with one entry for each argument: a lone argument's may come bare, a
  // list serves for a tuple, and arguments without arrays may be left out at the end.
  py::object by_argument(py::object result) const {
    size_t n = in.tree.nodes()[0].n_children;
    bool sequence = PyTuple_CheckExact(result.ptr()) || PyList_CheckExact(result.ptr());
    if (n == 1) {
      bool wrapped = sequence && PySequence_Fast_GET_SIZE(result.ptr()) == 1 && in.tree.nodes()[1].kind == TreeNode::leaf;
      return py::make_tuple(wrapped ? py::object(result[py::int_(0)]) : result);
    }
    py::list entries;
    if (sequence) {
      for (py::handle entry : result) entries.append(entry);
    } else {
      entries.append(result);
    }
    if (entries.size() < n) {
      // The last argument that holds an array must be there.
      size_t last = in.position.empty() ? 0 : std::stoul(in.tree.path(in.position.back())[0].substr(1));
      while (entries.size() > last && entries.size() < n) entries.append(py::none());
    }
    return py::tuple(entries);
  }

  // Entries for the arrays among the arguments or outputs in what a rule returned; None: undefined.
  Arrays read(const char* rule, const char* what, bool arguments, const py::object& result) const {
    const MixedTree& like = arguments ? in : out;
    const Types& types = arguments ? in_types : out_types;
    Leaves found;
    py::object tree = arguments ? by_argument(result) : result;
    const TreeNode& root = like.tree.nodes()[0];
    if (root.kind == TreeNode::list && PyTuple_CheckExact(tree.ptr())) tree = py::list(tree);
    if (root.kind == TreeNode::tuple && PyList_CheckExact(tree.ptr())) tree = py::tuple(tree);
    flatten_up_to(like.tree, tree.ptr(), found, cat("[", name, "] the ", rule, " rule must return one ", what, " for each ",
                                                    arguments ? "argument" : "output", ":"), true);
    Arrays out;
    for (size_t k = 0; k < like.position.size(); ++k) {
      const py::object& o = found[like.position[k]];
      if (o.is_none()) {
        out.push_back(array());
      } else if (is_array(o.ptr()) || is_python_number(o.ptr())) {
        out.push_back(is_array(o.ptr()) ? get_array(o.ptr()) : to_array(o.ptr(), types[k].dtype));
      } else {
        throw TransformError(cat("[", name, "] the ", rule, " rule returned ", describe(o.ptr()), " as a ", what, "; need an array."));
      }
    }
    for (size_t k = 0; k < out.size(); ++k) {
      if (!out[k].defined() || out[k].shape() == types[k].shape || !is_inexact(types[k].dtype)) continue;
      std::string path;
      for (const std::string& step : like.tree.path(like.position[k])) path += step;
      throw TransformError(cat("[", name, "] the ", rule, " rule returned a ", what, " of shape ", out[k].shape(), " for ",
                               arguments ? "primals" : "the output", path, ", which has shape ", types[k].shape,
                               "; need equal shapes."));
    }
    return out;
  }
};

py::object call_rule(const py::object& rule, std::initializer_list<py::object> args, const py::object& kwargs) {
  return call(rule.ptr(), to_tuple_object({args.begin(), args.size()}).ptr(), kwargs.ptr());
}

std::shared_ptr<const CustomRules> make_rules(std::shared_ptr<CustomCall> c) {
  auto rules = std::make_shared<CustomRules>();
  rules->name = c->name;
  if (c->vjp) {
    rules->vjp = [c](const Arrays& primals, const Arrays& cts, const Arrays& outs) {
      py::gil_scoped_acquire gil;
      py::object result = call_rule(c->vjp, {c->arguments(primals), c->out.build(cts), c->out.build(outs)}, c->kwargs);
      return c->read("vjp", "cotangent", true, result);
    };
  }
  if (c->jvp) {
    rules->jvp = [c](const Arrays& primals, const Arrays& tangents) {
      py::gil_scoped_acquire gil;
      py::object result = call_rule(c->jvp, {c->arguments(primals), c->arguments(tangents)}, c->kwargs);
      return c->read("jvp", "tangent", false, result);
    };
  }
  if (c->vmap) {
    rules->vmap = [c](const Arrays& inputs, const BatchAxes& axes) {
      py::gil_scoped_acquire gil;
      py::object result = call_rule(c->vmap, {c->arguments(inputs), c->axes(axes)}, c->kwargs);
      if (!PyTuple_Check(result.ptr()) || PyTuple_GET_SIZE(result.ptr()) != 2) {
        throw TransformError(cat("[", c->name, "] the vmap rule must return (outputs, axes): ", describe(result.ptr()), " came."));
      }
      MixedTree outs = MixedTree::split(py::object(result[py::int_(0)]).ptr(), true);
      BatchAxes all = spread_axes(outs.tree, py::object(result[py::int_(1)]).ptr(), cat("the axes from the vmap rule of ", c->name));
      BatchAxes of_arrays;
      for (size_t leaf : outs.position) of_arrays.push_back(all[leaf]);
      return std::pair{std::move(outs.arrays), std::move(of_arrays)};
    };
  }
  return rules;
}

py::object or_null(py::object o) { return o.is_none() ? py::object() : o; }

// custom_function(fun)(*args, **kwargs)
py::object run_custom(const Args& a) {
  PyObject *fun = a.raw(0), *args = a.raw(4);
  check_call(args, a.raw(5));
  SmallVector<PyObject*, 8> given;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) given.push_back(PyTuple_GET_ITEM(args, i));
  auto c = share(CustomCall{function_name(fun), or_null(a.obj(1)), or_null(a.obj(2)), or_null(a.obj(3)), a.obj(5), MixedTree::split_all(given), {}, {}, {}});
  Function f = [&](const Arrays& xs) {
    c->out = MixedTree::split(call(fun, to_tuple_object(c->in.build_children(xs)).ptr(), c->kwargs.ptr()).ptr());
    for (const array& x : c->out.arrays) c->out_types.push_back(x.type());
    return std::exchange(c->out.arrays, {});
  };
  // The graph holds the arrays; a second reference here would keep their memory from being reused.
  Arrays inputs = std::exchange(c->in.arrays, {});
  for (const array& x : inputs) c->in_types.push_back(x.type());
  Arrays outs = custom_function(f, make_rules(c), inputs);
  return c->out.build(outs);
}

// ---- checkpoint and depends

py::object run_checkpoint(const Args& a) {
  PyObject* fun = a.raw(0);
  MixedTree in = split_arguments(a.raw(1), a.raw(2)), out;
  Arrays outs = checkpoint([&](const Arrays& xs) {
    out = MixedTree::split(call_with(fun, in, xs).ptr());
    return out.arrays;
  }, in.arrays);
  return out.build(outs);
}

py::object run_depends(const Args& a) {
  Arrays dependencies;
  collect_arrays(a.raw(1), dependencies);
  MixedTree in = MixedTree::split(a.raw(0), true);
  if (in.arrays.empty()) throw TransformError(cat("[depends] inputs holds no array: ", describe(a.raw(0)), " came."));
  py::object out = in.build(depends(in.arrays, dependencies));
  return PyTuple_CheckExact(out.ptr()) ? py::object(py::list(out)) : out;
}

}  // namespace

void bind_custom(py::module_& m) {
  def(m, "_run_custom(fun, vjp, jvp, vmap, args, kwargs, /)", "", run_custom);
  def(m, "_run_checkpoint(fun, args, kwargs, /)", "", run_checkpoint);
  def(m, "depends(inputs, dependencies)", R"(Make arrays wait for others.

The results are equal to ``inputs``, but are computed only after ``dependencies``.

Args:
    inputs (array or list(array)): The arrays that wait. Other trees keep their structure.
    dependencies (array or list(array)): What they wait for; any tree.

Returns:
    array or list(array): ``inputs``, a list for a tuple.

Raises:
    TransformError: If ``inputs`` holds no array.

Example:
    >>> a, b = mx.array([1, 2]), mx.array(3.0)
    >>> mx.depends(a, mx.exp(b))
    array([1, 2], dtype=int32)
)", run_depends);
}

}  // namespace mx::python

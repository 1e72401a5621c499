// transforms.cpp — value_and_grad, vjp and jvp of Python functions: arguments are taken apart into arrays, the
// C++ transformation runs a function of arrays, results are put together again. The public functions with
// their docstrings are in mxform/transforms.py; these entry points do one call each. See also vmap.cpp,
// custom.cpp and compile.cpp.

#include "bindings/transforms.h"

#include <algorithm>
#include <numeric>

#include "bindings/bind.h"
#include "bindings/tree_detail.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"

namespace mx::python {

// ---- calls and names

std::string function_name(PyObject* fun) {
  py::handle f(fun);
  if (py::hasattr(f, "__name__")) return py::str(f.attr("__name__"));
  return py::str(py::type::handle_of(f).attr("__name__"));
}

std::string parameter_name(PyObject* fun, size_t i) {
  std::string fallback = cat("argument ", i);
  try {
    py::module_ inspect = py::module_::import("inspect");
    py::object kinds = inspect.attr("Parameter");
    size_t at = 0;
    for (py::handle p : inspect.attr("signature")(py::handle(fun)).attr("parameters").attr("values")()) {
      py::object kind = p.attr("kind");
      if (kind.is(kinds.attr("VAR_POSITIONAL"))) return cat(py::str(p.attr("name")).cast<std::string>(), "[", i - at, "]");
      if (kind.is(kinds.attr("KEYWORD_ONLY")) || kind.is(kinds.attr("VAR_KEYWORD"))) break;
      if (at++ == i) return py::str(p.attr("name"));
    }
  } catch (py::error_already_set&) {
    // No signature to be had.
  }
  return fallback;
}

std::string argument_path(PyObject* fun, const Tree& arguments, size_t leaf) {
  std::vector<std::string> path = arguments.path(leaf);
  size_t child = std::stoul(path[0].substr(1));
  size_t from = 1;
  std::string name;
  if (child + 1 == arguments.nodes()[0].n_children && path.size() > 1 && path[1].starts_with("['")) {
    name = path[1].substr(2, path[1].size() - 4);
    from = 2;
  } else {
    name = parameter_name(fun, child);
  }
  for (size_t i = from; i < path.size(); ++i) name += path[i];
  return name;
}

py::tuple to_tuple_object(std::span<const py::object> items) {
  py::tuple out(items.size());
  for (size_t i = 0; i < items.size(); ++i) PyTuple_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), Py_NewRef(items[i].ptr()));
  return out;
}

void check_call(PyObject* args, PyObject* kwargs) {
  if (!PyTuple_Check(args)) throw py::type_error("args must be a tuple.");
  if (kwargs && kwargs != Py_None && !PyDict_Check(kwargs)) throw py::type_error("kwargs must be a dict or None.");
}

py::object call(PyObject* fun, PyObject* args, PyObject* kwargs) {
  check_call(args, kwargs);
  bool any = kwargs && kwargs != Py_None && PyDict_GET_SIZE(kwargs) > 0;
  return py::reinterpret_steal<py::object>(checked(PyObject_Call(fun, args, any ? kwargs : nullptr)));
}

MixedTree split_arguments(PyObject* args, PyObject* kwargs) {
  check_call(args, kwargs);
  SmallVector<PyObject*, 8> all;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) all.push_back(PyTuple_GET_ITEM(args, i));
  all.push_back(kwargs ? kwargs : Py_None);
  return MixedTree::split_all(all);
}

py::object call_with(PyObject* fun, const MixedTree& arguments, std::span<const array> arrays) {
  Leaves children = arguments.build_children(arrays);
  py::object kwargs = children.back();
  children.pop_back();
  return call(fun, to_tuple_object(children).ptr(), kwargs.ptr());
}

namespace {

using Objects = SmallVector<PyObject*, 4>;

// ---- value_and_grad

// How grad or value_and_grad was asked to differentiate.
struct GradSpec {
  std::string op;
  bool with_value;                  // value_and_grad, not grad
  std::vector<Py_ssize_t> argnums;  // in the order asked
  std::vector<py::object> argnames;
};
constexpr const char* kGradSpec = "mxform.GradSpec";

// One call of a function to be differentiated.
class GradCall {
 public:
  GradCall(const GradSpec& spec, PyObject* fun, PyObject* args, PyObject* kwargs)
      : spec_(spec), fun_(fun), args_(args), kwargs_(kwargs) {}

  py::object run() {
    select();
    Leaves leaves;
    tree_ = flatten_all(selected_, leaves);
    Arrays primals;
    primals.reserve(leaves.size());
    for (size_t i = 0; i < leaves.size(); ++i) primals.push_back(differentiable(leaves[i].ptr(), i));
    std::vector<int> all(primals.size());
    std::iota(all.begin(), all.end(), 0);
    py::object result;
    Arrays grads = value_and_grad([&](const Arrays& xs) -> Arrays {
                     result = call_with_marks(xs);
                     return {loss(result.ptr())};
                   }, primals, all).second;
    py::object packed = pack(tree_.build_children(std::span<const array>(grads)));
    return spec_.with_value ? py::make_tuple(std::move(result), std::move(packed)) : packed;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const { throw TransformError(cat("[", spec_.op, "] ", problem)); }
  std::string name() const { return function_name(fun_); }

  // The arguments to differentiate, those by position first.
  void select() {
    Py_ssize_t n = PyTuple_GET_SIZE(args_);
    for (Py_ssize_t asked : spec_.argnums) {
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
    for (const py::object& key : spec_.argnames) {
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

  array differentiable(PyObject* leaf, size_t i) const {
    array x;
    if (is_array(leaf)) {
      x = get_array(leaf);
    } else if (is_python_number(leaf)) {
      x = to_array(leaf);
    } else {
      fail(cat("cannot differentiate ", name(), " with respect to ", path(i), ": ", describe(leaf),
               " came; need an array. Leave it out with argnums, or pass it as another argument."));
    }
    if (is_floating(x.dtype())) return x;
    std::string advice = is_complex(x.dtype()) ? "For complex arrays use vjp."
                         : is_array(leaf)      ? "Convert it with astype(mx.float32), or leave it out with argnums."
                                               : "Write it as a float.";
    fail(cat("cannot differentiate ", name(), " with respect to ", path(i), ": ", describe(leaf), " came; need a floating dtype. ",
             advice));
  }

  std::string path(size_t leaf) const {
    std::vector<std::string> steps = tree_.path(leaf);
    size_t child = std::stoul(steps[0].substr(1));
    std::string out = child < positions_.size() ? parameter_name(fun_, static_cast<size_t>(positions_[child]))
                                                : py::str(spec_.argnames[child - positions_.size()]).cast<std::string>();
    for (size_t i = 1; i < steps.size(); ++i) out += steps[i];
    return out;
  }

  py::object call_with_marks(const Arrays& xs) const {
    Leaves replaced = tree_.build_children(std::span<const array>(xs));
    Py_ssize_t n = PyTuple_GET_SIZE(args_);
    auto args = py::reinterpret_steal<py::object>(checked(PyTuple_New(n)));
    for (Py_ssize_t i = 0; i < n; ++i) {
      auto at = std::find(positions_.begin(), positions_.end(), i);
      PyObject* o = at == positions_.end() ? PyTuple_GET_ITEM(args_, i) : replaced[static_cast<size_t>(at - positions_.begin())].ptr();
      PyTuple_SET_ITEM(args.ptr(), i, Py_NewRef(o));
    }
    if (spec_.argnames.empty()) return call(fun_, args.ptr(), kwargs_);
    auto kwargs = py::reinterpret_steal<py::object>(checked(PyDict_Copy(kwargs_)));
    for (size_t k = 0; k < spec_.argnames.size(); ++k) {
      if (PyDict_SetItem(kwargs.ptr(), spec_.argnames[k].ptr(), replaced[positions_.size() + k].ptr()) != 0) rethrow();
    }
    return call(fun_, args.ptr(), kwargs.ptr());
  }

  // The scalar in what the function returned.
  const array& loss(PyObject* result) const {
    PyObject* first = result;
    if (!is_array(result) && (PyTuple_Check(result) || PyList_Check(result))) {
      if (!spec_.with_value) {
        fail(cat(name(), " must return a scalar array: a ", Py_TYPE(result)->tp_name, " of ", PySequence_Fast_GET_SIZE(result),
                 " came. Use value_and_grad for a function with further outputs."));
      }
      if (PySequence_Fast_GET_SIZE(result) > 0) first = PySequence_Fast_GET_ITEM(result, 0);
    }
    if (!is_array(first)) {
      std::string advice = is_python_number(first) ? " A Python number has no gradient: do not convert the loss with item() or float()." : "";
      fail(cat(name(), " must return a scalar array", spec_.with_value ? ", alone or first in a tuple" : "", ": ", describe(first),
               " came.", advice));
    }
    const array& value = get_array(first);
    if (value.ndim() != 0) {
      fail(cat(name(), " must return a scalar: ", describe(first), " came; need shape (). Reduce it, for instance with mx.sum or mx.mean."));
    }
    if (!is_floating(value.dtype())) {
      fail(cat(name(), " must return a real floating scalar: ", describe(first), " came.",
               is_complex(value.dtype()) ? " Take mx.real or mx.abs of it, or use vjp." : ""));
    }
    return value;
  }

  // The gradients in the structure that was asked for.
  py::object pack(Leaves grads) const {
    size_t n = positions_.size();
    py::object by_position = n == 1 ? grads[0] : n == 0 ? py::object(py::none()) : py::object(to_tuple_object({grads.begin(), n}));
    if (spec_.argnames.empty()) return by_position;
    py::dict by_name;
    for (size_t k = 0; k < spec_.argnames.size(); ++k) by_name[spec_.argnames[k]] = grads[n + k];
    return py::make_tuple(std::move(by_position), std::move(by_name));
  }

  const GradSpec& spec_;
  PyObject* fun_;
  PyObject* args_;
  PyObject* kwargs_;
  SmallVector<Py_ssize_t, 4> positions_;
  Objects selected_;
  Tree tree_;
};

py::object make_grad_spec(const Args& a) {
  auto* spec = new GradSpec{a.str(0), a.str(0) == "value_and_grad", {}, {}};
  py::capsule out(spec, kGradSpec, [](void* p) { delete static_cast<GradSpec*>(p); });
  for (py::handle i : a.obj(1)) spec->argnums.push_back(to_integer(i.ptr(), What(spec->op, "argnums")));
  for (py::handle s : a.obj(2)) spec->argnames.push_back(py::reinterpret_borrow<py::object>(s));
  return out;
}

py::object run_grad(const Args& a) {
  auto* spec = static_cast<GradSpec*>(PyCapsule_GetPointer(a.raw(0), kGradSpec));
  if (!spec) rethrow();
  PyObject* kwargs = a.raw(3);
  check_call(a.raw(2), kwargs);
  bool any = kwargs != Py_None && PyDict_GET_SIZE(kwargs) > 0;
  return GradCall(*spec, a.raw(1), a.raw(2), any ? kwargs : nullptr).run();
}

// ---- vjp and jvp

Objects items(const char* op, const char* what, PyObject* o) {
  if (!PyTuple_Check(o) && !PyList_Check(o)) {
    throw py::type_error(cat("[", op, "] ", what, " must be a list or tuple, one entry for each argument or output: ", describe(o), " came."));
  }
  Objects out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) out.push_back(PySequence_Fast_GET_ITEM(o, i));
  return out;
}

// Leaves as arrays; `what` names the tree they are from.
Arrays numeric(const char* op, const std::string& what, const Tree& tree, const Leaves& leaves) {
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

// What a function returned, as a list of trees: its outputs.
struct Outputs {
  Tree tree;
  Arrays arrays;

  Outputs(const char* op, PyObject* fun, PyObject* result) {
    Objects each;
    if (!is_array(result) && (PyTuple_Check(result) || PyList_Check(result))) {
      each = items(op, "outputs", result);
    } else {
      each.push_back(result);
    }
    Leaves leaves;
    tree = flatten_all(each, leaves);
    arrays = numeric(op, cat("output of ", function_name(fun), " at "), tree, leaves);
  }
};

py::list to_list(const Leaves& objects) {
  py::list out(objects.size());
  for (size_t i = 0; i < objects.size(); ++i) out[i] = objects[i];
  return out;
}

py::list children_list(const Tree& tree, const Arrays& arrays) { return to_list(tree.build_children(std::span<const array>(arrays))); }

py::object call_children(PyObject* fun, const Tree& tree, const Arrays& xs) {
  return call(fun, to_tuple_object(tree.build_children(std::span<const array>(xs))).ptr());
}

void check_shapes(const char* op, const char* what, const char* like, const Tree& tree, const Arrays& got, const Arrays& need) {
  for (size_t i = 0; i < got.size(); ++i) {
    if (!got[i].defined() || got[i].shape() == need[i].shape()) continue;
    std::string path = joined(tree.path(i));
    throw TransformError(cat("[", op, "] ", what, path, " has shape ", got[i].shape(), " but ", like, path, " has shape ", need[i].shape(),
                             "; need equal shapes."));
  }
}

py::object run_vjp(const Args& a) {
  PyObject* fun = a.raw(0);
  Leaves leaves, ct_leaves;
  Tree tree = flatten_all(items("vjp", "primals", a.raw(1)), leaves);
  Arrays primals = numeric("vjp", "primals", tree, leaves);
  Tree ct_tree = flatten_all(items("vjp", "cotangents", a.raw(2)), ct_leaves);
  Arrays cts = numeric("vjp", "cotangents", ct_tree, ct_leaves);
  Tree out_tree;
  auto [outs, found] = vjp([&](const Arrays& xs) {
    Outputs result("vjp", fun, call_children(fun, tree, xs).ptr());
    out_tree = std::move(result.tree);
    if (!(ct_tree == out_tree)) {
      throw TransformError(cat("[vjp] cotangents do not match the outputs of ", function_name(fun), ": ",
                               first_difference(ct_tree, out_tree), "; need one cotangent for each output."));
    }
    check_shapes("vjp", "cotangents", "the output at ", ct_tree, cts, result.arrays);
    return std::move(result.arrays);
  }, primals, cts);
  return py::make_tuple(children_list(out_tree, outs), children_list(tree, found));
}

py::object run_jvp(const Args& a) {
  PyObject* fun = a.raw(0);
  Leaves leaves, t_leaves;
  Tree tree = flatten_all(items("jvp", "primals", a.raw(1)), leaves);
  Arrays primals = numeric("jvp", "primals", tree, leaves);
  Objects tangent_list = items("jvp", "tangents", a.raw(2));
  if (tangent_list.size() != tree.nodes()[0].n_children) {
    throw TransformError(cat("[jvp] ", tree.nodes()[0].n_children, " primals but ", tangent_list.size(),
                             " tangents; need one tangent for each primal."));
  }
  py::tuple tangent_tuple(tangent_list.size());
  for (size_t i = 0; i < tangent_list.size(); ++i) tangent_tuple[i] = py::handle(tangent_list[i]);
  flatten_up_to(tree, tangent_tuple.ptr(), t_leaves, "[jvp] primals and tangents:", true);
  // None in place of an array or a tree: this input does not move.
  Arrays tangents;
  for (size_t i = 0; i < t_leaves.size(); ++i) {
    PyObject* t = t_leaves[i].ptr();
    if (t != Py_None && !is_array(t) && !is_python_number(t)) {
      throw TransformError(cat("[jvp] tangents", joined(tree.path(i)), " is ", describe(t), "; need an array."));
    }
    tangents.push_back(t == Py_None ? array() : is_array(t) ? get_array(t) : to_array(t));
  }
  check_shapes("jvp", "tangents", "primals", tree, tangents, primals);
  Tree out_tree;
  auto [outs, moved] = jvp([&](const Arrays& xs) {
    Outputs result("jvp", fun, call_children(fun, tree, xs).ptr());
    out_tree = std::move(result.tree);
    return std::move(result.arrays);
  }, primals, tangents);
  return py::make_tuple(children_list(out_tree, outs), children_list(out_tree, moved));
}

}  // namespace

void bind_transforms(py::module_& m) {
  def(m, "_grad_spec(op, argnums, argnames, /)", "", make_grad_spec);
  def(m, "_run_grad(spec, fun, args, kwargs, /)", "", run_grad);
  def(m, "_run_vjp(fun, primals, cotangents, /)", "", run_vjp);
  def(m, "_run_jvp(fun, primals, tangents, /)", "", run_jvp);
  bind_vmap(m);
  bind_custom(m);
  bind_compile(m);
}

}  // namespace mx::python

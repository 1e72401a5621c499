// transforms.cpp — value_and_grad, vjp and jvp of Python functions: arguments are taken apart into arrays, the
// C++ transformation runs a function of arrays, results are put together again. The public functions with
// their docstrings are in mxform/transforms.py; these entry points do one call each. See also derivatives.cpp,
// vmap.cpp, custom.cpp and compile.cpp.

#include "bindings/transforms.h"

#include <numeric>

#include "bindings/bind.h"
#include "bindings/selection.h"
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

// ---- value_and_grad

// How grad or value_and_grad was asked to differentiate.
struct GradSpec {
  Choice choice;
  bool with_value;  // value_and_grad, not grad
  bool has_aux;
};
constexpr const char* kGradSpec = "mxform.GradSpec";

// The scalar in what the function returned.
const array& loss(const GradSpec& spec, const Selection& selection, PyObject* result) {
  PyObject* first = result;
  if (!is_array(result) && (PyTuple_Check(result) || PyList_Check(result))) {
    if (!spec.with_value && !spec.has_aux) {
      selection.fail(cat(selection.name(), " must return a scalar array: a ", Py_TYPE(result)->tp_name, " of ", PySequence_Fast_GET_SIZE(result),
                         " came. Use value_and_grad for a function with further outputs, or has_aux=True."));
    }
    if (PySequence_Fast_GET_SIZE(result) > 0) first = PySequence_Fast_GET_ITEM(result, 0);
  }
  return scalar_output(selection.op(), selection.name(), first, spec.with_value ? ", alone or first in a tuple" : "");
}

// The gradients in the structure that was asked for.
py::object pack(const GradSpec& spec, const Selection& selection, const Leaves& grads) {
  size_t n = selection.n_positions();
  py::object by_position = n == 1 ? grads[0] : n == 0 ? py::object(py::none()) : py::object(to_tuple_object({grads.begin(), n}));
  if (spec.choice.argnames.empty()) return by_position;
  py::dict by_name;
  for (size_t k = 0; k < spec.choice.argnames.size(); ++k) by_name[spec.choice.argnames[k]] = grads[n + k];
  return py::make_tuple(std::move(by_position), std::move(by_name));
}

py::object make_grad_spec(const Args& a) {
  auto* spec = new GradSpec{{a.str(0), {}, {}, false, "For complex arrays use vjp."}, a.str(0) == "value_and_grad", a.flag(3)};
  py::capsule out(spec, kGradSpec, [](void* p) { delete static_cast<GradSpec*>(p); });
  for (py::handle i : a.obj(1)) spec->choice.argnums.push_back(to_integer(i.ptr(), What(spec->choice.op, "argnums")));
  for (py::handle s : a.obj(2)) spec->choice.argnames.push_back(py::reinterpret_borrow<py::object>(s));
  return out;
}

// grad(fun, ...)(*args, **kwargs)
py::object run_grad(const Args& a) {
  auto* spec = static_cast<GradSpec*>(PyCapsule_GetPointer(a.raw(0), kGradSpec));
  if (!spec) rethrow();
  Selection selection(spec->choice, a.raw(1), a.raw(2), a.raw(3));
  std::vector<int> all(selection.primals.size());
  std::iota(all.begin(), all.end(), 0);
  py::object result, aux;
  Function f = [&](const Arrays& xs) -> Arrays {
    result = selection.call_with(xs);
    if (spec->has_aux) aux = split_aux(spec->choice.op, selection.name(), result).second;
    return {loss(*spec, selection, result.ptr())};
  };
  Arrays grads = value_and_grad(f, selection.primals, all).second;
  py::object packed = pack(*spec, selection, selection.build(grads));
  if (spec->with_value) return py::make_tuple(std::move(result), std::move(packed));
  return spec->has_aux ? py::object(py::make_tuple(std::move(packed), std::move(aux))) : packed;
}

// ---- vjp and jvp

// What a function returned, as a list of trees: its outputs.
struct Outputs {
  Tree tree;
  Arrays arrays;

  Outputs(const char* op, PyObject* fun, PyObject* result) {
    SmallVector<PyObject*, 4> each;
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

py::list children_list(const Tree& tree, const Arrays& arrays) { return to_list(tree.build_children(std::span<const array>(arrays))); }

py::object call_children(PyObject* fun, const Tree& tree, const Arrays& xs) {
  return call(fun, to_tuple_object(tree.build_children(std::span<const array>(xs))).ptr());
}

py::object run_vjp(const Args& a) {
  PyObject* fun = a.raw(0);
  Leaves leaves;
  Tree tree = flatten_all(items("vjp", "primals", a.raw(1)), leaves);
  Arrays primals = numeric("vjp", "primals", tree, leaves);
  py::tuple given = to_tuple_object(items("vjp", "cotangents", a.raw(2)));
  Tree out_tree;
  Arrays cts;  // read once the outputs are known; vjp() looks at them after that
  auto [outs, found] = vjp([&](const Arrays& xs) {
    Outputs result("vjp", fun, call_children(fun, tree, xs).ptr());
    out_tree = std::move(result.tree);
    Leaves ct_leaves;
    flatten_up_to(out_tree, given.ptr(), ct_leaves, cat("[vjp] cotangents do not match the outputs of ", function_name(fun), ":"), true);
    cts = moves_at("vjp", "cotangents", "the output at ", out_tree, types_of(result.arrays), ct_leaves);
    return std::move(result.arrays);
  }, primals, cts);
  return py::make_tuple(children_list(out_tree, outs), children_list(tree, found));
}

py::object run_jvp(const Args& a) {
  PyObject* fun = a.raw(0);
  Leaves leaves;
  Tree tree = flatten_all(items("jvp", "primals", a.raw(1)), leaves);
  Arrays primals = numeric("jvp", "primals", tree, leaves);
  Arrays tangents = read_moves_list("jvp", "tangents", "primals", tree, types_of(primals), a.raw(2));
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
  def(m, "_grad_spec(op, argnums, argnames, has_aux=False, /)", "", make_grad_spec);
  def(m, "_run_grad(spec, fun, args, kwargs, /)", "", run_grad);
  def(m, "_run_vjp(fun, primals, cotangents, /)", "", run_vjp);
  def(m, "_run_jvp(fun, primals, tangents, /)", "", run_jvp);
  bind_derivatives(m);
  bind_vmap(m);
  bind_custom(m);
  bind_compile(m);
  bind_control(m);
}

}  // namespace mx::python

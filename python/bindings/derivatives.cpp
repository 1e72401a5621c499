// derivatives.cpp — Jacobians, linearize, vjp_fn and hvp of Python functions of trees. The public functions with their
// docstrings are in mxform/derivatives.py.

#include <numeric>

#include "bindings/bind.h"
#include "bindings/selection.h"
#include "bindings/tree_detail.h"
#include "transforms/jacobian.h"
#include "transforms/linearize.h"

namespace mx::python {

namespace {

// What a function of trees returned: its output, taken apart, and perhaps something that is not differentiated.
struct Result {
  Tree tree;
  Arrays arrays;
  py::object aux;

  Result() = default;
  Result(const std::string& op, const std::string& name, py::object result, bool has_aux) {
    if (has_aux) std::tie(result, aux) = split_aux(op, name, result);
    Leaves leaves;
    tree = flatten(result.ptr(), leaves);
    arrays = numeric(op, cat("the output of ", name, tree.nodes()[0].kind == TreeNode::leaf ? "" : " at "), tree, leaves);
  }
};

// ---- Jacobians

struct JacobianSpec {
  Choice choice;
  bool forward;   // jacfwd, not jacrev
  bool sequence;  // argnums was a sequence: a tuple for each output, even of one
  bool has_aux;
  std::optional<int64_t> chunk_size;
};
constexpr const char* kJacobianSpec = "mxform.JacobianSpec";

py::object make_jacobian_spec(const Args& a) {
  auto* spec = new JacobianSpec{
      {a.str(0), {}, {}, a.flag(5), "Set holomorphic=True if the function is holomorphic; else use jvp and vjp."},
      a.flag(1), a.flag(3), a.flag(4), a.opt_integer(6)};
  py::capsule out(spec, kJacobianSpec, [](void* p) { delete static_cast<JacobianSpec*>(p); });
  for (py::handle i : a.obj(2)) spec->choice.argnums.push_back(to_integer(i.ptr(), What(spec->choice.op, "argnums")));
  if (spec->choice.argnums.empty()) throw TransformError(cat("[", spec->choice.op, "] argnums is empty; need at least one index."));
  return out;
}

void check_outputs(const JacobianSpec& spec, const std::string& name, const Result& result) {
  for (size_t k = 0; k < result.arrays.size(); ++k) {
    const array& y = result.arrays[k];
    bool fits = spec.choice.complex ? is_complex(y.dtype()) : spec.forward ? is_inexact(y.dtype()) : is_floating(y.dtype());
    if (fits) continue;
    std::string advice = spec.choice.complex          ? "need a complex dtype, since holomorphic=True."
                         : !is_complex(y.dtype())     ? "need a floating dtype. Return it as the second of a pair with has_aux=True."
                                                      : "need a floating dtype. Use jacfwd for complex outputs of real arguments.";
    throw TransformError(cat("[", spec.choice.op, "] cannot differentiate output", joined(result.tree.path(k)), " of ", name, ": array of shape ",
                             y.shape(), " and dtype ", y.dtype(), " came; ", advice));
  }
}

// jacfwd(fun, ...)(*args, **kwargs): an output tree of input trees.
py::object run_jacobian(const Args& a) {
  auto* spec = static_cast<JacobianSpec*>(PyCapsule_GetPointer(a.raw(0), kJacobianSpec));
  if (!spec) rethrow();
  Selection selection(spec->choice, a.raw(1), a.raw(2), a.raw(3));
  Result result;
  Function f = [&](const Arrays& xs) {
    result = Result(spec->choice.op, selection.name(), selection.call_with(xs), spec->has_aux);
    check_outputs(*spec, selection.name(), result);
    return result.arrays;
  };
  Jacobian j = (spec->forward ? jacfwd : jacrev)(f, selection.primals, spec->chunk_size);
  Leaves of_outputs;
  for (const Arrays& blocks : j.blocks) {
    Leaves each = selection.build(blocks);
    of_outputs.push_back(spec->sequence ? py::object(to_tuple_object(each)) : each[0]);
  }
  py::object jacobian = result.tree.build(std::span<const py::object>(of_outputs));
  return spec->has_aux ? py::object(py::make_tuple(std::move(jacobian), std::move(result.aux))) : jacobian;
}

// ---- linearize and vjp_fn

// A linear map between the trees of a function's arguments and of its output.
struct LinearFunction {
  LinearMap map;
  Tree in, out;
};
constexpr const char* kLinear = "mxform.LinearFunction";

py::object run_linear_trace(const char* op, const Args& a, std::pair<Arrays, LinearMap> (*transform)(const Function&, const Arrays&)) {
  PyObject* fun = a.raw(0);
  Leaves leaves;
  Tree in = flatten_all(items(op, "primals", a.raw(1)), leaves);
  Arrays primals = numeric(op, "primals", in, leaves);
  Result result;
  Function f = [&](const Arrays& xs) {
    py::object args = to_tuple_object(in.build_children(std::span<const array>(xs)));
    result = Result(op, function_name(fun), call(fun, args.ptr()), a.flag(2));
    return std::exchange(result.arrays, {});
  };
  FunctionName name(function_name(fun));
  auto [outs, map] = transform(f, primals);
  py::object output = result.tree.build(std::span<const array>(outs));
  auto* linear = new LinearFunction{std::move(map), std::move(in), std::move(result.tree)};
  py::capsule capsule(linear, kLinear, [](void* p) { delete static_cast<LinearFunction*>(p); });
  py::object aux = result.aux ? result.aux : py::none();
  return py::make_tuple(std::move(output), std::move(capsule), std::move(aux));
}

const LinearFunction& linear_function(PyObject* capsule) {
  auto* linear = static_cast<LinearFunction*>(PyCapsule_GetPointer(capsule, kLinear));
  if (!linear) rethrow();
  return *linear;
}

py::object run_pushforward(const Args& a) {
  const LinearFunction& linear = linear_function(a.raw(0));
  Arrays ts = read_moves_list("linearize", "tangents", "primals", linear.in, linear.map.input_types(), a.raw(1));
  return linear.out.build(std::span<const array>(linear.map(ts)));
}

py::object run_pullback(const Args& a) {
  const LinearFunction& linear = linear_function(a.raw(0));
  Arrays cts = read_moves("vjp_fn", "cotangents", "outputs", linear.out, linear.map.input_types(), a.raw(1));
  Arrays found = linear.map(cts);
  return to_tuple_object(linear.in.build_children(std::span<const array>(found)));
}

// ---- hvp

py::object run_hvp(const Args& a) {
  PyObject* fun = a.raw(0);
  bool has_aux = a.flag(3);
  Leaves leaves;
  Tree tree = flatten_all(items("hvp", "primals", a.raw(1)), leaves);
  Arrays primals = numeric("hvp", "primals", tree, leaves);
  for (size_t i = 0; i < primals.size(); ++i) {
    if (is_floating(primals[i].dtype())) continue;
    throw TransformError(cat("[hvp] cannot differentiate ", function_name(fun), " with respect to primals", joined(tree.path(i)), ": ",
                             describe(leaves[i].ptr()), " came; need a floating dtype. Let the function capture it instead."));
  }
  Arrays tangents = read_moves_list("hvp", "tangents", "primals", tree, types_of(primals), a.raw(2));
  py::object aux;
  Function f = [&](const Arrays& xs) -> Arrays {
    py::object result = call(fun, to_tuple_object(tree.build_children(std::span<const array>(xs))).ptr());
    if (has_aux) std::tie(result, aux) = split_aux("hvp", function_name(fun), result);
    return {scalar_output("hvp", function_name(fun), result.ptr())};
  };
  auto [value, products] = hvp(f, primals, tangents);
  py::list each = to_list(tree.build_children(std::span<const array>(products)));
  py::object out = py::cast(value[0]);
  if (has_aux) return py::make_tuple(std::move(out), std::move(each), std::move(aux));
  return py::make_tuple(std::move(out), std::move(each));
}

}  // namespace

void bind_derivatives(py::module_& m) {
  def(m, "_jacobian_spec(op, forward, argnums, sequence, has_aux, holomorphic, chunk_size, /)", "", make_jacobian_spec);
  def(m, "_run_jacobian(spec, fun, args, kwargs, /)", "", run_jacobian);
  def(m, "_run_linearize(fun, primals, has_aux, /)", "", [](const Args& a) { return run_linear_trace("linearize", a, linearize); });
  def(m, "_run_vjp_fn(fun, primals, has_aux, /)", "", [](const Args& a) { return run_linear_trace("vjp_fn", a, vjp_fn); });
  def(m, "_run_pushforward(linear, tangents, /)", "", run_pushforward);
  def(m, "_run_pullback(linear, cotangents, /)", "", run_pullback);
  def(m, "_run_hvp(fun, primals, tangents, has_aux, /)", "", run_hvp);
}

}  // namespace mx::python

// control.cpp — scan, while_loop and switch of Python functions: trees are taken apart into arrays, errors name
// leaves. The public functions with their docstrings are in mxform/control.py.

#include "bindings/bind.h"
#include "bindings/transforms.h"
#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"

namespace mx::python {

namespace {

std::string joined(const std::vector<std::string>& path) {
  std::string out;
  for (const std::string& step : path) out += step;
  return out;
}

// A tree of arrays and numbers; anything else is an error that names `what` and the leaf.
MixedTree arrays_only(PyObject* o, const std::string& what) {
  MixedTree tree = MixedTree::split(o, true);
  for (size_t i = 0; i < tree.leaves.size(); ++i) {
    if (!tree.leaves[i].ptr()) continue;
    throw ValueError(cat(what, joined(tree.tree.path(i)), " is ", describe(tree.leaves[i].ptr()), "; need an array or a number."));
  }
  return tree;
}

// What a body returned as its new carry, in the order of the old one's arrays.
Arrays new_carry(PyObject* o, const MixedTree& carry, const Types& types, const std::string& op) {
  MixedTree now = arrays_only(o, cat("[", op, "] the new carry"));
  if (!(now.tree == carry.tree)) {
    throw ValueError(cat("[", op, "] the function changed the structure of the carry: ", first_difference(carry.tree, now.tree), "."));
  }
  for (size_t k = 0; k < types.size(); ++k) {
    if (now.arrays[k].type() == types[k]) continue;
    throw ValueError(cat("[", op, "] the carry", joined(carry.tree.path(k)), " changes its type: it enters as ", types[k].dtype, types[k].shape,
                         " and leaves as ", now.arrays[k].dtype(), now.arrays[k].shape(),
                         "; need equal shapes and dtypes. Convert the initial carry, or what the function returns."));
  }
  return std::move(now.arrays);
}

Types types_of(const Arrays& arrays) {
  Types types;
  for (const array& x : arrays) types.push_back(x.type());
  return types;
}

py::object call_one(PyObject* fun, std::initializer_list<py::object> args) {
  return call(fun, to_tuple_object({args.begin(), args.size()}).ptr());
}

// The number of steps: that of the xs, or `length`.
int64_t steps(const MixedTree& xs, std::optional<int64_t> length) {
  if (xs.arrays.empty() && !length) throw ValueError("[scan] neither xs nor length says how many steps to take; need one of them.");
  for (size_t k = 0; k < xs.arrays.size(); ++k) {
    const array& x = xs.arrays[k];
    std::string name = "xs" + joined(xs.tree.path(k));
    if (x.ndim() == 0) throw ValueError(cat("[scan] ", name, " is a scalar; need an array with the steps along axis 0."));
    if (!length) length = x.shape(0);
    if (x.shape(0) != *length) {
      throw ValueError(cat("[scan] ", name, " has shape ", x.shape(), " but ", *length, " steps were expected from ",
                           k == 0 ? "length" : "the other xs", "; need equal sizes along axis 0."));
    }
  }
  return *length;
}

// scan(f, init, xs, length, reverse)
py::object run_scan(const Args& a) {
  PyObject* fun = a.raw(0);
  MixedTree carry = arrays_only(a.raw(1), "[scan] init"), xs = arrays_only(a.raw(2), "[scan] xs"), ys;
  int64_t length = steps(xs, a.opt_integer(3));
  if (length < 0) throw ValueError(cat("[scan] length is ", length, "; need a number of steps."));
  Types types = types_of(carry.arrays);
  FunctionName name(function_name(fun));
  Arrays found = scan(
      [&](const Arrays& in) {
        std::span<const array> all(in);
        py::object result = call_one(fun, {carry.build(all.first(types.size())), xs.build(all.subspan(types.size()))});
        if (!PyTuple_Check(result.ptr()) || PyTuple_GET_SIZE(result.ptr()) != 2) {
          throw ValueError(cat("[scan] ", function_name(fun), " must return (carry, y): ", describe(result.ptr()), " came."));
        }
        Arrays outs = new_carry(PyTuple_GET_ITEM(result.ptr(), 0), carry, types, "scan");
        ys = arrays_only(PyTuple_GET_ITEM(result.ptr(), 1), "[scan] y");
        outs.insert(outs.end(), ys.arrays.begin(), ys.arrays.end());
        ys.arrays.clear();
        return outs;
      },
      carry.arrays, xs.arrays, length, a.flag(4));
  std::span<const array> all(found);
  return py::make_tuple(carry.build(all.first(types.size())), ys.build(all.subspan(types.size())));
}

// while_loop(cond, body, init, max_steps)
py::object run_while(const Args& a) {
  PyObject *test = a.raw(0), *body = a.raw(1);
  MixedTree carry = arrays_only(a.raw(2), "[while_loop] init");
  Types types = types_of(carry.arrays);
  Arrays found = while_loop(
      [&](const Arrays& in) {
        FunctionName name(function_name(test));
        py::object result = call_one(test, {carry.build(std::span<const array>(in))});
        if (is_array(result.ptr())) return Arrays{get_array(result.ptr())};
        if (PyBool_Check(result.ptr())) return Arrays{array(result.ptr() == Py_True)};
        throw ValueError(cat("[while_loop] cond returned ", describe(result.ptr()), "; need one boolean of shape ()."));
      },
      [&](const Arrays& in) {
        FunctionName name(function_name(body));
        py::object result = call_one(body, {carry.build(std::span<const array>(in))});
        return new_carry(result.ptr(), carry, types, "while_loop");
      },
      carry.arrays, a.opt_integer(3));
  return carry.build(found);
}

// switch(index, branches, operands); `op` is what errors say.
py::object run_switch(const Args& a) {
  std::string op = a.str(3);
  array index = a.arr(0);
  MixedTree operands = arrays_only(a.raw(2), cat("[", op, "] operands")), result;
  std::vector<Function> branches;
  py::tuple functions = a.obj(1);
  for (size_t b = 0; b < functions.size(); ++b) {
    PyObject* fun = PyTuple_GET_ITEM(functions.ptr(), static_cast<Py_ssize_t>(b));
    branches.push_back([&, fun, b](const Arrays& in) {
      FunctionName name(function_name(fun));
      py::tuple args = operands.build(std::span<const array>(in));
      MixedTree out = arrays_only(call(fun, args.ptr()).ptr(), cat("[", op, "] the result of ", function_name(fun)));
      if (b > 0 && !(out.tree == result.tree)) {
        throw ValueError(cat("[", op, "] ", function_name(fun), " returns another structure than the first branch: ",
                             first_difference(result.tree, out.tree), "."));
      }
      Arrays arrays = std::exchange(out.arrays, {});
      if (b == 0) result = std::move(out);
      return arrays;
    });
  }
  // The result's structure is known after the branches were traced.
  Arrays found = op == "cond" ? cond(index, branches[1], branches[0], operands.arrays) : switch_case(index, branches, operands.arrays);
  return result.build(found);
}

}  // namespace

void bind_control(py::module_& m) {
  def(m, "_run_scan(f, init, xs, length, reverse, /)", "", run_scan);
  def(m, "_run_while(cond, body, init, max_steps, /)", "", run_while);
  def(m, "_run_switch(index, branches, operands, op, /)", "", run_switch);
}

}  // namespace mx::python

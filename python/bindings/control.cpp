// control.cpp — scan, while_loop and switch of Python functions: trees are taken apart into arrays, errors name
// leaves. The public functions with their docstrings are in mxform/control.py.

#include <numeric>

#include "bindings/bind.h"
#include "bindings/transforms.h"
#include "control/scan.h"
#include "control/switch.h"
#include "control/while_loop.h"
#include "ops/cast.h"

namespace mx::python {

namespace {

std::string joined(const std::vector<std::string>& path) {
  std::string out;
  for (const std::string& step : path) out += step;
  return out;
}

// A tree of arrays and Python numbers, all of them arrays now. Numbers have no dtype of their own: `weak` says which
// leaves they were, and they take on the dtype of the array beside them if that can hold their kind. Anything else is
// an error that names `what` and the leaf.
struct Operands : MixedTree {
  std::vector<bool> weak;
};

Operands arrays_only(PyObject* o, const std::string& what, const Arrays& beside = {}) {
  Operands all{MixedTree::split(o), {}};
  Arrays found;
  for (size_t i = 0, next = 0; i < all.leaves.size(); ++i) {
    PyObject* leaf = all.leaves[i].ptr();
    if (leaf && !is_python_number(leaf)) {
      throw ValueError(cat(what, joined(all.tree.path(i)), " is ", describe(leaf), "; need an array or a number."));
    }
    all.weak.push_back(leaf != nullptr);
    found.push_back(!leaf ? all.arrays[next++] : i < beside.size() && beside[i].defined() ? to_array_beside(leaf, beside[i]) : to_array(leaf));
  }
  all.arrays = std::move(found);
  all.leaves = Leaves(all.leaves.size());
  all.position.resize(all.leaves.size());
  std::iota(all.position.begin(), all.position.end(), size_t(0));
  return all;
}

// Thrown to trace again after a leaf that was a number has got another dtype.
struct Retyped {};

// True if leaf k was a number that can be of the type met instead; then it counts as an array from here on.
bool retyped(Operands& all, size_t k, const Type& was, const Type& is) {
  auto kind = [](Dtype d) { return is_complex(d) ? 3 : is_floating(d) ? 2 : is_integer(d) ? 1 : 0; };
  bool can = all.weak[k] && was.dtype != is.dtype && was.shape == is.shape && kind(was.dtype) > 0 && kind(was.dtype) <= kind(is.dtype);
  if (can) all.weak[k] = false;
  return can;
}

// What a body returned as its new carry, in the order of the old one's arrays. An initial number takes on the dtype
// that the body gives it.
Arrays new_carry(PyObject* o, Operands& carry, const std::string& op) {
  Operands now = arrays_only(o, cat("[", op, "] the new carry"), carry.arrays);
  if (!(now.tree == carry.tree)) {
    throw ValueError(cat("[", op, "] the function changed the structure of the carry: ", first_difference(carry.tree, now.tree), "."));
  }
  for (size_t k = 0; k < now.arrays.size(); ++k) {
    const Type was = carry.arrays[k].type(), is = now.arrays[k].type();
    if (was == is) continue;
    if (retyped(carry, k, was, is)) {
      carry.arrays[k] = astype(carry.arrays[k], is.dtype);
      throw Retyped();
    }
    throw ValueError(cat("[", op, "] the carry", joined(carry.tree.path(k)), " changes its type: it enters as ", was.dtype, was.shape,
                         " and leaves as ", is.dtype, is.shape,
                         "; need equal shapes and dtypes. Convert the initial carry, or what the function returns."));
  }
  return std::move(now.arrays);
}

// f(), until it throws no Retyped: at most once more for each leaf.
template <class F>
Arrays settled(F f) {
  while (true) {
    try {
      return f();
    } catch (const Retyped&) {
    }
  }
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
  Operands carry = arrays_only(a.raw(1), "[scan] init"), xs = arrays_only(a.raw(2), "[scan] xs"), ys;
  int64_t length = steps(xs, a.opt_integer(3));
  if (length < 0) throw ValueError(cat("[scan] length is ", length, "; need a number of steps."));
  size_t n_carry = carry.arrays.size();
  FunctionName name(function_name(fun));
  auto step = [&](const Arrays& in) {
    std::span<const array> all(in);
    py::object result = call_one(fun, {carry.build(all.first(n_carry)), xs.build(all.subspan(n_carry))});
    if (!PyTuple_Check(result.ptr()) || PyTuple_GET_SIZE(result.ptr()) != 2) {
      throw ValueError(cat("[scan] ", function_name(fun), " must return (carry, y): ", describe(result.ptr()), " came."));
    }
    Arrays outs = new_carry(PyTuple_GET_ITEM(result.ptr(), 0), carry, "scan");
    ys = arrays_only(PyTuple_GET_ITEM(result.ptr(), 1), "[scan] y");
    outs.insert(outs.end(), ys.arrays.begin(), ys.arrays.end());
    ys.arrays.clear();
    return outs;
  };
  Arrays found = settled([&] { return scan(step, carry.arrays, xs.arrays, length, a.flag(4)); });
  std::span<const array> all(found);
  return py::make_tuple(carry.build(all.first(n_carry)), ys.build(all.subspan(n_carry)));
}

// while_loop(cond, body, init, max_steps)
py::object run_while(const Args& a) {
  PyObject *test = a.raw(0), *body = a.raw(1);
  Operands carry = arrays_only(a.raw(2), "[while_loop] init");
  auto going = [&](const Arrays& in) {
    FunctionName name(function_name(test));
    py::object result = call_one(test, {carry.build(std::span<const array>(in))});
    if (is_array(result.ptr())) return Arrays{get_array(result.ptr())};
    if (PyBool_Check(result.ptr())) return Arrays{array(result.ptr() == Py_True)};
    throw ValueError(cat("[while_loop] cond returned ", describe(result.ptr()), "; need one boolean of shape ()."));
  };
  auto step = [&](const Arrays& in) {
    FunctionName name(function_name(body));
    py::object result = call_one(body, {carry.build(std::span<const array>(in))});
    return new_carry(result.ptr(), carry, "while_loop");
  };
  Arrays found = settled([&] { return while_loop(going, step, carry.arrays, a.opt_integer(3)); });
  return carry.build(found);
}

// switch(index, branches, operands); `op` is what errors say.
py::object run_switch(const Args& a) {
  std::string op = a.str(3);
  array index = a.arr(0);
  Operands operands = arrays_only(a.raw(2), cat("[", op, "] operands"));
  py::tuple functions = a.obj(1);
  // The first branch's result; its numbers take on the dtypes that later branches give them.
  Operands result;
  Arrays beside;
  std::vector<Function> branches;
  for (size_t b = 0; b < functions.size(); ++b) {
    PyObject* fun = PyTuple_GET_ITEM(functions.ptr(), static_cast<Py_ssize_t>(b));
    branches.push_back([&, fun, b](const Arrays& in) {
      FunctionName name(function_name(fun));
      py::tuple args = operands.build(std::span<const array>(in));
      Operands out = arrays_only(call(fun, args.ptr()).ptr(), cat("[", op, "] the result of ", function_name(fun)), beside);
      if (b == 0 && beside.empty()) {
        result = out;
        beside = out.arrays;
      } else if (!(out.tree == result.tree)) {
        throw ValueError(cat("[", op, "] ", function_name(fun), " returns another structure than the first branch: ",
                             first_difference(result.tree, out.tree), "."));
      }
      for (size_t k = 0; b > 0 && k < out.arrays.size(); ++k) {
        if (out.weak[k] || !retyped(result, k, beside[k].type(), out.arrays[k].type())) continue;
        beside[k] = array(0, out.arrays[k].dtype());
        throw Retyped();
      }
      return std::exchange(out.arrays, {});
    });
  }
  // The result's structure is known after the branches were traced.
  Arrays found = settled([&] { return op == "cond" ? cond(index, branches[1], branches[0], operands.arrays) : switch_case(index, branches, operands.arrays); });
  return result.build(found);
}

}  // namespace

void bind_control(py::module_& m) {
  def(m, "_run_scan(f, init, xs, length, reverse, /)", "", run_scan);
  def(m, "_run_while(cond, body, init, max_steps, /)", "", run_while);
  def(m, "_run_switch(index, branches, operands, op, /)", "", run_switch);
}

}  // namespace mx::python

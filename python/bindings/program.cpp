// program.cpp — what a function does, without computing it: make_program and eval_shape (csrc/inspect/program.h). The
// public functions are in mxform/debug.py.

#include "inspect/program.h"

#include "bindings/bind.h"
#include "bindings/origin.h"
#include "bindings/transforms.h"

namespace mx::python {

namespace {

// The arguments of a call, and the types of those that are arrays or stand for one.
struct TypedArguments {
  MixedTree tree;
  Types types;
};

// Anything with a shape and a dtype stands for an array.
bool is_array_like(PyObject* o) { return !PyType_Check(o) && PyObject_HasAttrString(o, "shape") && PyObject_HasAttrString(o, "dtype"); }

TypedArguments typed_arguments(const char* op, PyObject* args, PyObject* kwargs) {
  TypedArguments a{split_arguments(args, kwargs), {}};
  Arrays arrays = std::exchange(a.tree.arrays, {});
  a.tree.position.clear();
  size_t next = 0;
  for (size_t i = 0; i < a.tree.leaves.size(); ++i) {
    py::object& leaf = a.tree.leaves[i];
    if (!leaf) {
      a.types.push_back(arrays[next++].type());
    } else if (is_array_like(leaf.ptr())) {
      a.types.push_back({to_dtype(py::object(leaf.attr("dtype")).ptr(), What(op, "dtype of an argument")),
                         to_shape(py::object(leaf.attr("shape")).ptr(), What(op, "shape of an argument"))});
      leaf = py::object();
    } else {
      continue;
    }
    a.tree.position.push_back(i);
  }
  return a;
}

// A tree with a `cls(shape, dtype)` in place of each array.
Leaves with_types(const MixedTree& tree, const Types& types, const py::object& cls) {
  Leaves leaves(tree.leaves);
  for (size_t k = 0; k < types.size(); ++k) {
    leaves[tree.position[k]] = cls(py::reinterpret_steal<py::object>(to_python(types[k].shape)), py::reinterpret_steal<py::object>(to_python(types[k].dtype)));
  }
  return leaves;
}

// The function on arrays; what else it returned stays in `result`.
Function as_function(PyObject* fun, const MixedTree& arguments, MixedTree& result) {
  return [fun, &arguments, &result](const Arrays& xs) {
    result = MixedTree::split(call_with(fun, arguments, xs).ptr());
    return std::exchange(result.arrays, {});
  };
}

struct PyProgram {
  std::shared_ptr<const ReadableProgram> program;
  py::object input_types, output_types;
};

// print() ends the last line.
std::string text(const PyProgram& p, bool lines) {
  std::string out = p.program->text(lines);
  out.pop_back();
  return out;
}

struct PyStep {
  std::shared_ptr<const ReadableProgram> program;
  size_t number;
  const ProgramStep& step() const { return program->steps[number]; }
};

py::list names(const std::vector<int>& values) {
  py::list out;
  for (int v : values) out.append(cat("%", v));
  return out;
}

py::list typed_list(const Types& types, const py::object& cls) {
  py::list out;
  for (const Type& t : types) {
    out.append(cls(py::reinterpret_steal<py::object>(to_python(t.shape)), py::reinterpret_steal<py::object>(to_python(t.dtype))));
  }
  return out;
}

// mxform.ShapeDtypeStruct, which is written in Python.
py::object struct_class() { return py::module_::import("mxform").attr("ShapeDtypeStruct"); }

PyProgram make(const Args& a) {
  PyObject* fun = a.raw(0);
  TypedArguments in = typed_arguments("make_program", a.raw(1), a.raw(2));
  py::object cls = struct_class();
  ProgramOptions options{a.flag(3), {}};
  for (size_t leaf : in.tree.position) options.input_names.push_back(argument_path(fun, in.tree.tree, leaf));
  MixedTree result;
  std::string name = function_name(fun);
  FunctionName running(name);
  TracedOrigins origins;
  auto program = std::make_shared<ReadableProgram>(make_program(name, as_function(fun, in.tree, result), in.types, options));
  py::list arguments;
  for (py::object& each : in.tree.tree.build_children(std::span<const py::object>(with_types(in.tree, in.types, cls)))) arguments.append(std::move(each));
  py::object keywords = arguments.attr("pop")();
  py::object outputs = result.tree.build(std::span<const py::object>(with_types(result, program->output_types, cls)));
  bool any = py::isinstance<py::dict>(keywords) && py::len(keywords) > 0;
  py::object inputs = py::tuple(arguments);
  return {std::move(program), any ? py::object(py::make_tuple(inputs, keywords)) : inputs, outputs};
}

py::object shapes(const Args& a) {
  PyObject* fun = a.raw(0);
  TypedArguments in = typed_arguments("eval_shape", a.raw(1), a.raw(2));
  MixedTree result;
  FunctionName running(function_name(fun));
  Types types = eval_shape(as_function(fun, in.tree, result), in.types);
  return result.tree.build(std::span<const py::object>(with_types(result, types, struct_class())));
}

}  // namespace

void bind_program(py::module_& m) {
  py::class_<PyProgram>(m, "Program", R"(What a function does, operation by operation; made by ``make_program``.

Printed, it has a line for each operation: the names and types of its results, its operands and parameters, and the
line of the program that called it. Graphs within an operation (of ``checkpoint``, of loops, of fused programs) are
indented below it.
)")
      .def("__str__", [](const PyProgram& p) { return text(p, true); })
      .def("__repr__", [](const PyProgram& p) { return text(p, true); })
      .def("text", text, py::arg("lines") = true,
           R"(Return the program as text.

Args:
    lines (bool): Whether to show where each operation was called. Default: ``True``.

Returns:
    str: One line for each operation.
)")
      .def("to_dot", [](const PyProgram& p) { return p.program->to_dot(); }, R"(Draw the program in the language of Graphviz.

Returns:
    str: Boxes for operations, ellipses for arrays. What is within an operation is not drawn.
)")
      .def("counts", [](const PyProgram& p) {
        py::dict d;
        for (const auto& [op, n] : p.program->counts()) d[py::str(op)] = n;
        return d;
      }, R"(Count the operations.

Returns:
    dict: How often each operation occurs, by name, also within others.
)")
      .def_property_readonly("name", [](const PyProgram& p) { return p.program->name; }, "The name of the function.")
      .def_property_readonly("flops", [](const PyProgram& p) { return p.program->cost.flops; },
                             "Floating-point operations of a call, from formulas; see docs/reading-a-program.md.")
      .def_property_readonly("bytes", [](const PyProgram& p) { return p.program->cost.bytes; },
                             "Bytes that operations read and write in a call, each operand once.")
      .def_property_readonly("input_types", [](const PyProgram& p) { return p.input_types; },
                             "The arguments, with a ShapeDtypeStruct for each array: a tuple, or with keywords a pair of it and a dict.")
      .def_property_readonly("output_types", [](const PyProgram& p) { return p.output_types; },
                             "What the function returns, with a ShapeDtypeStruct for each array.")
      .def_property_readonly("steps", [](const PyProgram& p) {
        py::list out;
        for (size_t i = 0; i < p.program->steps.size(); ++i) out.append(PyStep{p.program, i});
        return out;
      }, "The operations in order: a list of ProgramStep.");
  py::class_<PyStep>(m, "ProgramStep", "One operation of a Program.")
      .def_property_readonly("op", [](const PyStep& s) { return s.step().op; }, "The operation's name.")
      .def_property_readonly("params", [](const PyStep& s) {
        py::dict d;
        for (size_t i = 0; i < s.step().params.size(); ++i) {
          const auto& [name, value] = s.step().params[i];
          d[py::str(name.empty() ? cat(i) : name)] = value;
        }
        return d;
      }, "Its parameters as texts, by name.")
      .def_property_readonly("inputs", [](const PyStep& s) { return names(s.step().in); }, "Names of its operands, such as '%0'.")
      .def_property_readonly("outputs", [](const PyStep& s) { return names(s.step().out); }, "Names of its results.")
      .def_property_readonly("types", [](const PyStep& s) { return typed_list(s.step().types, struct_class()); },
                             "A ShapeDtypeStruct for each result.")
      .def_property_readonly("line", [](const PyStep& s) { return s.step().origin.empty() ? py::object(py::none()) : py::str(s.step().origin); },
                             "Where it was called, 'file.py:12', or None. For what a derivative calls, where its operation was called.")
      .def_property_readonly("flops", [](const PyStep& s) { return s.step().cost.flops; }, "Floating-point operations.")
      .def_property_readonly("bytes", [](const PyStep& s) { return s.step().cost.bytes; }, "Bytes read and written.")
      .def_property_readonly("bodies", [](const PyStep& s) {
        py::dict d;
        for (const ProgramBody& b : s.step().bodies) {
          d[py::str(b.name)] = PyProgram{std::shared_ptr<const ReadableProgram>(s.program, &b.program), py::none(), py::none()};
        }
        return d;
      }, "The graphs within, by name: a dict of Program.")
      .def("__repr__", [](const PyStep& s) { return cat("<step ", s.step().op, ">"); });
  def(m, "_make_program(fun, args, kwargs, fused, /)", "", [](const Args& a) { return py::object(py::cast(make(a))); });
  def(m, "_eval_shape(fun, args, kwargs, /)", "", shapes);
}

}  // namespace mx::python

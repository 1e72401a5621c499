// tree_bind.cpp — the Python class TreeDef and the functions behind mxform/tree.py.

#include "bindings/bind.h"
#include "bindings/tree.h"
#include "bindings/tree_detail.h"

namespace mx::python {

namespace {

PyObject* or_null(const py::object& o) { return o.is_none() ? nullptr : o.ptr(); }

py::list to_list(const Leaves& leaves) {
  py::list out(leaves.size());
  for (size_t i = 0; i < leaves.size(); ++i) out[i] = leaves[i];
  return out;
}

py::object map(const py::object& fun, const py::object& tree, const py::args& rest, const py::object& is_leaf) {
  Leaves leaves;
  Tree structure = flatten(tree.ptr(), leaves, or_null(is_leaf));
  std::vector<Leaves> others(rest.size());
  for (size_t k = 0; k < rest.size(); ++k) flatten_up_to(structure, rest[k].ptr(), others[k], "[tree_map]");
  std::vector<PyObject*> arguments(1 + rest.size());
  for (size_t i = 0; i < leaves.size(); ++i) {
    arguments[0] = leaves[i].ptr();
    for (size_t k = 0; k < rest.size(); ++k) arguments[k + 1] = others[k][i].ptr();
    leaves[i] = py::reinterpret_steal<py::object>(checked(PyObject_Vectorcall(fun.ptr(), arguments.data(), arguments.size(), nullptr)));
  }
  return structure.build(std::span<const py::object>(leaves));
}

}  // namespace

void bind_tree(py::module_& m) {
  py::class_<Tree>(m, "TreeDef", "The structure of a tree: its containers, without the leaves. Compares and hashes by structure.")
      .def_property_readonly("n_leaves", &Tree::n_leaves, "The number of leaves.")
      .def("unflatten", [](const Tree& t, const py::object& leaves) {
        Leaves ls;
        for (py::handle leaf : leaves) ls.push_back(py::reinterpret_borrow<py::object>(leaf));
        return t.build(std::span<const py::object>(ls));
      }, py::arg("leaves"), "Put ``leaves`` into containers of this structure.")
      .def("paths", [](const Tree& t) {
        py::list out;
        for (size_t i = 0; i < t.n_leaves(); ++i) out.append(joined(t.path(i)));
        return out;
      }, "How each leaf is reached, as Python text: ``['layers'][0].weight``.")
      .def("__eq__", [](const Tree& t, const py::object& o) -> py::object {
        if (!py::isinstance<Tree>(o)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
        return py::bool_(t == o.cast<const Tree&>());
      })
      .def("__hash__", [](const Tree& t) { return static_cast<Py_ssize_t>(t.hash() >> 1); })
      .def("__len__", &Tree::n_leaves)
      .def("__repr__", [](const Tree& t) { return "TreeDef(" + t.str() + ")"; });
  m.def("_tree_flatten", [](const py::object& tree, const py::object& is_leaf) {
    Leaves leaves;
    Tree structure = flatten(tree.ptr(), leaves, or_null(is_leaf));
    return py::make_tuple(to_list(leaves), std::move(structure));
  });
  m.def("_tree_map", [](const py::object& fun, const py::object& tree, const py::object& is_leaf, const py::args& rest) {
    return map(fun, tree, rest, is_leaf);
  });
  m.def("_register_tree_node", [](const py::type& cls, py::object flatten, py::object unflatten) {
    auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
    bool built_in = type == array_type || type == &PyTuple_Type || type == &PyList_Type || type == &PyDict_Type || type == Py_TYPE(Py_None);
    if (built_in || registry().contains(type)) {
      throw TransformError(cat("[register_tree_node] ", type->tp_name, " is already ", built_in ? "known" : "registered",
                               "; a class can be registered once."));
    }
    Py_INCREF(type);
    registry()[type] = {std::move(flatten), std::move(unflatten)};
  });
}

}  // namespace mx::python

// selection.h — which arguments of a call are differentiated: what grad and the Jacobians share. The arguments that
// argnums and argnames pick are taken apart into arrays, and the call is made again with others in their place.
#pragma once

#include <string>
#include <vector>

#include "bindings/transforms.h"

namespace mx::python {

/// What a transformation was asked to differentiate.
struct Choice {
  std::string op;
  std::vector<Py_ssize_t> argnums;  ///< In the order asked.
  std::vector<py::object> argnames;
  bool complex = false;             ///< The leaves must be complex, not real.
  const char* for_complex = "";     ///< What to do with complex leaves when they must be real.
};

/// Picks and flattens when made; throws TransformError, naming the leaf, for what cannot be differentiated.
class Selection {
 public:
  Selection(const Choice& choice, PyObject* fun, PyObject* args, PyObject* kwargs);

  Arrays primals;  ///< The leaves of the picked arguments, those by position first.

  /// The call with `xs` in place of the primals.
  py::object call_with(const Arrays& xs) const;
  /// One tree for each picked argument.
  Leaves build(std::span<const array> leaves) const { return tree_.build_children(leaves); }
  size_t n_positions() const { return positions_.size(); }

  const std::string& op() const { return choice_.op; }
  std::string name() const { return function_name(fun_); }
  [[noreturn]] void fail(const std::string& problem) const { throw TransformError(cat("[", choice_.op, "] ", problem)); }

 private:
  void select();
  array differentiable(PyObject* leaf, size_t i) const;
  std::string path(size_t leaf) const;

  const Choice& choice_;
  PyObject* fun_;
  PyObject* args_;
  PyObject* kwargs_;  // null if there are none
  SmallVector<Py_ssize_t, 4> positions_;
  SmallVector<PyObject*, 4> selected_;
  Tree tree_;
};

/// The pair (output, aux) that a function given with has_aux=True must return; `op` and `name` are for the error.
std::pair<py::object, py::object> split_aux(const std::string& op, const std::string& name, const py::object& result);

/// The scalar that a function to be differentiated returned: a real floating array of shape (); `where` says where else it
/// might have been. Otherwise a TransformError.
const array& scalar_output(const std::string& op, const std::string& name, PyObject* o, const char* where = "");

/// The entries of a list or tuple; anything else is a TypeError about `what`.
SmallVector<PyObject*, 4> items(const std::string& op, const char* what, PyObject* o);
/// Leaves as arrays, numbers converted; `what` names the tree they are from.
Arrays numeric(const std::string& op, const std::string& what, const Tree& tree, const Leaves& leaves);
/// Tangents or cotangents for the leaves of `tree`, checked against `types`: None is undefined (a zero). `what` and `like`
/// name the trees in errors ("tangents", "primals").
Arrays moves_at(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, const Leaves& leaves);
/// The same for `moves`, a tree like `tree` in which None may stand for a container too.
Arrays read_moves(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, PyObject* moves);
/// The same for a list or tuple with an entry for each child of `tree`.
Arrays read_moves_list(const std::string& op, const char* what, const char* like, const Tree& tree, const Types& types, PyObject* moves);
Types types_of(const Arrays& arrays);
py::tuple to_tuple_object(const SmallVector<PyObject*, 4>& objects);
py::list to_list(const Leaves& objects);

}  // namespace mx::python

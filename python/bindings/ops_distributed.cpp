// ops_distributed.cpp — the module mx.distributed. There is one process: its group has size 1, collective operations are
// the identity (so they have every derivative), and there is nobody to send to.

#include <algorithm>
#include <array>

#include "bindings/bind.h"

namespace mx::python {

namespace {

/// The group of this process alone.
struct Group {};

constexpr std::array<std::string_view, 5> kBackends = {"any", "mpi", "nccl", "jaccl", "ring"};

Group init(const Args& a) {
  bool strict = a.flag(0);
  std::string backend = a.str(1);
  if (std::find(kBackends.begin(), kBackends.end(), backend) == kBackends.end()) {
    throw ValueError(cat("[distributed] unknown backend '", backend, "'; need 'any', 'mpi', 'nccl', 'jaccl' or 'ring'."));
  }
  if (!a.is_none(2) && backend != "jaccl") throw ValueError(cat("[distributed] all_gather_factory goes with backend 'jaccl': backend is '", backend, "'."));
  if (strict) throw BackendError(cat("[distributed] backend '", backend, "' cannot be started: this build runs in one process. Leave strict false."));
  return {};
}

void check_group(const Args& a, int i) {
  if (!a.is_none(i) && !py::isinstance<Group>(a.obj(i))) throw py::type_error(cat(a.what(i), " is ", kind_of(a.raw(i)), "; need a Group or None."));
}

// What every process contributes is what one process has.
array collective(const Args& a) {
  check_group(a, 1);
  return a.arr(0);
}

void def_collective(py::module_& m, const char* name, const char* text) {
  std::string doc = cat(text, R"(

Args:
    x (array): Any shape and dtype.
    group (Group, optional): The processes; None: all.

Returns:
    array: With one process, the values of `x`.

Raises:
    TypeError: If `group` is not a Group.

Example:
    >>> mx.distributed.)", name, "(mx.array([1.0, 2.0])).tolist()\n    [1.0, 2.0]\n");
  def(m, cat(name, "(x, *, group=None, stream=None)"), doc.c_str(), collective);
}

// `parameters` come before the group; `check` reads them.
void def_with_peer(py::module_& m, const char* name, const char* parameters, const char* text, const char* args, const char* result,
                   const char* verb, void (*check)(const Args&)) {
  std::string doc = cat(text, "\n\nArgs:\n    ", args, "\n    group (Group, optional): The processes; None: all.\n\nReturns:\n    array: ", result,
                        "\n\nRaises:\n    ValueError: With one process, always.\n");
  def(m, cat(name, "(", parameters, ", *, group=None, stream=None)"), doc.c_str(), [check, verb](const Args& a) -> array {
    check(a);
    throw ValueError(cat("[", a.signature().name, "] cannot ", verb, " in a group of one process; need a group of two or more."));
  });
}

}  // namespace

void bind_distributed(py::module_& parent) {
  py::module_ m = parent.def_submodule("distributed", "Communication between processes. This build runs in one process.");

  py::class_<Group> group(m, "Group", "Processes that communicate; made by init(). Here always this process alone.");
  group.def("rank", [](const Group&) { return 0; }, "Return the number of this process, from 0.")
      .def("size", [](const Group&) { return 1; }, "Return the number of processes.")
      .def("split",
           [](const Group&, int, int) -> Group { throw BackendError("[split] a group of one process cannot be split further."); },
           "Split the group by colour, ordered by key. A group of one process cannot be split: BackendError.", py::arg("color"), py::arg("key") = -1);
  reinterpret_cast<PyTypeObject*>(group.ptr())->tp_new = [](PyTypeObject*, PyObject*, PyObject*) -> PyObject* {
    return PyErr_Format(PyExc_TypeError, "Group: no constructor defined; use init()");
  };

  def(m, "is_available(backend='any')", R"(Tell whether a communication backend can be used: none can, this build runs in one process.

Args:
    backend (str): 'any', 'mpi', 'ring', 'nccl' or 'jaccl'.

Returns:
    bool: False.

Example:
    >>> mx.distributed.is_available()
    False
)",
      [](const Args& a) {
        (void)a.str(0);
        return false;
      });

  def(m, "init(strict=False, backend='any', *, all_gather_factory=None)", R"(Return the group of all processes, which is this one alone.

There is no communication backend in this build, so programs written for several processes run with one.

Args:
    strict (bool): Raise an error instead of falling back to one process.
    backend (str): 'any', 'mpi', 'ring', 'nccl' or 'jaccl'.
    all_gather_factory (callable, optional): For 'jaccl' only; not used.

Returns:
    Group: Of size 1.

Raises:
    ValueError: If the backend is unknown, or a factory is given for another than 'jaccl'.
    BackendError: If `strict`.

Example:
    >>> group = mx.distributed.init()
    >>> group.rank(), group.size()
    (0, 1)
)",
      [](const Args& a) { return py::cast(init(a)); });

  def_collective(m, "all_sum", "Sum the arrays of all processes.");
  def_collective(m, "all_max", "Take the largest elements of the arrays of all processes.");
  def_collective(m, "all_min", "Take the smallest elements of the arrays of all processes.");
  def_collective(m, "all_gather", "Join the arrays of all processes along the first axis.");
  def_collective(m, "sum_scatter", "Sum the arrays of all processes, and give each its part along the first axis.");

  auto array_and_rank = [](const Args& a) {
    check_group(a, 2);
    (void)a.arr(0);
    (void)a.integer(1);
  };
  def_with_peer(m, "send", "x, dst", "Send an array to another process. With one process there is none: raises ValueError.",
                "x (array): What to send.\n    dst (int): Rank of the receiver.", "`x`; evaluating it sends.", "send", array_and_rank);
  def_with_peer(m, "recv", "shape, dtype, src", "Receive an array from another process. With one process there is none: raises ValueError.",
                "shape (tuple(int)): Its shape.\n    dtype (Dtype): Its dtype.\n    src (int): Rank of the sender.", "What was sent.", "receive",
                [](const Args& a) {
                  check_group(a, 3);
                  (void)a.shape(0);
                  (void)a.dtype(1);
                  (void)a.integer(2);
                });
  def_with_peer(m, "recv_like", "x, src", "Receive an array of the shape and dtype of another. With one process: raises ValueError.",
                "x (array): Has the shape and dtype.\n    src (int): Rank of the sender.", "What was sent.", "receive", array_and_rank);
}

}  // namespace mx::python

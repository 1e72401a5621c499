// array.cpp — the type object of `array`: creation and destruction, operators, attributes, iteration.
// Conversions to Python values and pickling are in array_values.cpp, named methods in array_methods.cpp,
// index expressions in indexing.cpp, the buffer slots in interop.cpp. Start at the slots in bind_array().

#include "bindings/array.h"

#include <structmember.h>

#include "bindings/interop.h"
#include "bindings/signature.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/reduce.h"

namespace mx::python {

PyTypeObject* array_type;

namespace {

// ---- memory

// Freed objects wait here for reuse. Guarded by the GIL.
constexpr size_t kFreeMax = 512;
ArrayObject* free_objects[kFreeMax];
size_t n_free = 0;

void dealloc(PyObject* self) {
  auto* o = reinterpret_cast<ArrayObject*>(self);
  PyTypeObject* type = Py_TYPE(self);
  if (o->weakrefs) PyObject_ClearWeakRefs(self);
  o->value.~array();
  if (n_free < kFreeMax) {
    free_objects[n_free++] = o;
  } else {
    PyObject_Free(self);
  }
  Py_DECREF(type);
}

// ---- construction: the function `array(val, dtype=None)`, called by the type

PyObject* constructor;

PyObject* construct(PyObject*, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return PyObject_Vectorcall(constructor, args, nargsf, kwnames);
}
PyObject* type_new(PyTypeObject*, PyObject* args, PyObject* kwargs) { return PyObject_Call(constructor, args, kwargs); }

array new_array(const Args& a) {
  std::optional<Dtype> t = a.opt_dtype(1);
  try {
    return to_array(a.raw(0), t);
  } catch (const DtypeError& e) {
    throw DtypeError(cat("[array] ", e.what()));
  }
}

// ---- operators

using Binary = array (*)(const array&, const array&);

bool is_sequence(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o) || PyUnicode_Check(o) || PyBytes_Check(o); }

[[noreturn]] void do_not_combine(PyObject* o, const char* op) {
  throw DtypeError(cat("[", op, "] an array and ", kind_of(o), " do not combine; need an array or a number. "
                       "Convert with mx.array first."));
}

// What stands beside `self` in an operator; undefined: leave it to the other object's type.
array operand(PyObject* o, const array& self, const char* op) {
  if (is_array(o)) return get_array(o);
  if (is_python_number(o)) return to_array_beside(o, self, {op, "operand"});
  // Left to their types, `[1, 2] * x` and "ab" * x would repeat the sequence.
  if (is_sequence(o)) do_not_combine(o, op);
  if (o == Py_None || PyDict_Check(o) || !is_array_like(o)) return {};
  return to_array_beside(o, self, {op, "operand"});
}

template <Binary f>
PyObject* apply(PyObject* x, PyObject* y, const char* op) {
  return guarded([&]() -> PyObject* {
    if (is_array(x)) {
      if (is_array(y)) return wrap(f(get_array(x), get_array(y)));
      array b = operand(y, get_array(x), op);
      return b.defined() ? wrap(f(get_array(x), b)) : Py_NewRef(Py_NotImplemented);
    }
    array a = operand(x, get_array(y), op);
    return a.defined() ? wrap(f(a, get_array(y))) : Py_NewRef(Py_NotImplemented);
  });
}

// `x += y` gives the Python object a new value; other names for the object see it, arrays computed from it do not.
template <Binary f>
PyObject* apply_in_place(PyObject* x, PyObject* y, const char* op) {
  return guarded([&]() -> PyObject* {
    array b = operand(y, get_array(x), op);
    if (!b.defined()) return Py_NewRef(Py_NotImplemented);
    get_array(x) = f(get_array(x), b);
    return Py_NewRef(x);
  });
}

#define MX_OPERATOR(SLOT, FUNCTION, NAME)                                                                 \
  PyObject* SLOT(PyObject* x, PyObject* y) { return apply<FUNCTION>(x, y, NAME); }                        \
  PyObject* in_place_##SLOT(PyObject* x, PyObject* y) { return apply_in_place<FUNCTION>(x, y, NAME); }
MX_OPERATOR(op_add, mx::add, "add")
MX_OPERATOR(op_subtract, mx::subtract, "subtract")
MX_OPERATOR(op_multiply, mx::multiply, "multiply")
MX_OPERATOR(op_divide, mx::divide, "divide")
MX_OPERATOR(op_floor_divide, mx::floor_divide, "floor_divide")
MX_OPERATOR(op_remainder, mx::remainder, "remainder")
MX_OPERATOR(op_matmul, mx::matmul, "matmul")
MX_OPERATOR(op_and, mx::bitwise_and, "bitwise_and")
MX_OPERATOR(op_or, mx::bitwise_or, "bitwise_or")
MX_OPERATOR(op_xor, mx::bitwise_xor, "bitwise_xor")
MX_OPERATOR(op_left_shift, mx::left_shift, "left_shift")
MX_OPERATOR(op_right_shift, mx::right_shift, "right_shift")
#undef MX_OPERATOR

// The quotient of integers is no integer: the object would change its dtype.
PyObject* divide_in_place(PyObject* x, PyObject* y) {
  return guarded([&] {
    Dtype t = get_array(x).dtype();
    if (!is_inexact(t)) {
      throw DtypeError(cat("[divide] in-place division of ", t, ": the quotient is not of that dtype. Use x = x / y, or //=."));
    }
    return in_place_op_divide(x, y);
  });
}

PyObject* op_power(PyObject* x, PyObject* y, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return apply<mx::power>(x, y, "power");
}
PyObject* in_place_op_power(PyObject* x, PyObject* y, PyObject*) { return apply_in_place<mx::power>(x, y, "power"); }

PyObject* op_divmod(PyObject* x, PyObject* y) {
  return guarded([&]() -> PyObject* {
    array a = is_array(x) ? get_array(x) : operand(x, get_array(y), "divmod");
    if (!a.defined()) return Py_NewRef(Py_NotImplemented);
    array b = operand(y, a, "divmod");
    return b.defined() ? to_python(mx::divmod(a, b)) : Py_NewRef(Py_NotImplemented);
  });
}

template <array (*f)(const array&)>
PyObject* unary(PyObject* x) {
  return guarded([&] { return wrap(f(get_array(x))); });
}

PyObject* compare(PyObject* x, PyObject* y, int op) {
  return guarded([&]() -> PyObject* {
    if (y == Py_None || is_sequence(y)) {
      if (op == Py_EQ || op == Py_NE) return Py_NewRef(Py_NotImplemented);
      do_not_combine(y, "compare");
    }
    switch (op) {
      case Py_EQ: return apply<mx::equal>(x, y, "equal");
      case Py_NE: return apply<mx::not_equal>(x, y, "not_equal");
      case Py_LT: return apply<mx::less>(x, y, "less");
      case Py_LE: return apply<mx::less_equal>(x, y, "less_equal");
      case Py_GT: return apply<mx::greater>(x, y, "greater");
      default: return apply<mx::greater_equal>(x, y, "greater_equal");
    }
  });
}

Py_hash_t hash_pointer(PyObject* self) { return static_cast<Py_hash_t>(reinterpret_cast<size_t>(self) >> 4); }

// ---- numbers

int truth(PyObject* self) {
  return guarded([&] {
    array a = get_array(self);  // a copy: computing releases the lock
    return a.item<bool>() ? 1 : 0;
  }, -1);
}

PyObject* to_int(PyObject* self) {
  return guarded([&] {
    auto x = py::reinterpret_steal<py::object>(checked(to_scalar(get_array(self))));
    return checked(PyNumber_Long(x.ptr()));
  });
}

PyObject* to_float(PyObject* self) {
  return guarded([&] {
    auto x = py::reinterpret_steal<py::object>(checked(to_scalar(get_array(self))));
    return checked(PyNumber_Float(x.ptr()));
  });
}

PyObject* to_index(PyObject* self) {
  return guarded([&] {
    const array& a = get_array(self);
    if (a.ndim() != 0 || !is_integer(a.dtype())) {
      throw py::type_error(cat("[index] only an integer array of shape () is an index: shape is ", a.shape(), " and dtype ",
                               a.dtype(), "."));
    }
    return to_scalar(a);
  });
}

// ---- containers

Py_ssize_t length(PyObject* self) {
  return guarded([&]() -> Py_ssize_t {
    const array& a = get_array(self);
    if (a.ndim() == 0) throw py::type_error("[len] an array of shape () has no length.");
    return a.shape()[0];
  }, Py_ssize_t{-1});
}

PyObject* subscript(PyObject* self, PyObject* key) {
  return guarded([&] {
    array a = get_array(self);  // a copy: a mask is computed without the lock
    return wrap(get_item(a, key));
  });
}

int assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
  return guarded([&] {
    if (!value) throw py::type_error("[array] elements cannot be deleted.");
    array a = get_array(self);
    get_array(self) = set_item(a, key, value);
    return 0;
  }, -1);
}

int contains(PyObject* self, PyObject* value) {
  return guarded([&] {
    array a = get_array(self);
    array v = operand(value, a, "in");
    return v.defined() && any(equal(a, v)).item<bool>() ? 1 : 0;
  }, -1);
}

struct ArrayIterator {
  array a;
  int64_t next = 0;
};

PyObject* iterate(PyObject* self) {
  return guarded([&] {
    const array& a = get_array(self);
    if (a.ndim() == 0) throw py::type_error("[iter] an array of shape () cannot be iterated over.");
    return py::cast(ArrayIterator{a}).release().ptr();
  });
}

// ---- attributes

// Memory belongs to all devices. What an array says is where it is being computed.
Device device_of(const array& a) { return a.call() ? a.call()->stream.device : current_stream().device; }

template <class F>
PyObject* attribute(PyObject* self, F f) {
  return guarded([&] { return to_python(f(get_array(self))); });
}
#define MX_ATTRIBUTE(NAME, EXPRESSION) \
  PyObject* get_##NAME(PyObject* self, void*) { return attribute(self, [](const array& a) { return EXPRESSION; }); }
MX_ATTRIBUTE(shape, a.shape())
MX_ATTRIBUTE(dtype, a.dtype())
MX_ATTRIBUTE(ndim, a.ndim())
MX_ATTRIBUTE(size, a.size())
MX_ATTRIBUTE(itemsize, a.itemsize())
MX_ATTRIBUTE(nbytes, a.n_bytes())
MX_ATTRIBUTE(T, transpose(a))
MX_ATTRIBUTE(mT, matrix_transpose(a))
MX_ATTRIBUTE(real, real(a))
MX_ATTRIBUTE(imag, imag(a))
MX_ATTRIBUTE(at, array_at(a))
MX_ATTRIBUTE(device, py::object(py::cast(device_of(a))))
#undef MX_ATTRIBUTE

PyGetSetDef attributes[] = {
    {"shape", get_shape, nullptr, "The sizes of the axes, a tuple of ints.", nullptr},
    {"dtype", get_dtype, nullptr, "The Dtype of the elements.", nullptr},
    {"ndim", get_ndim, nullptr, "The number of axes.", nullptr},
    {"size", get_size, nullptr, "The number of elements.", nullptr},
    {"itemsize", get_itemsize, nullptr, "Bytes per element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of all elements.", nullptr},
    {"T", get_T, nullptr, "The array with its axes reversed.", nullptr},
    {"mT", get_mT, nullptr, "The array with its last two axes exchanged.", nullptr},
    {"real", get_real, nullptr, "The real part.", nullptr},
    {"imag", get_imag, nullptr, "The imaginary part.", nullptr},
    {"at", get_at, nullptr, "Indexed updates: ``x.at[idx].add(y)`` adds at every occurrence of an index.", nullptr},
    {"device", get_device, nullptr, "The Device on which it is computed. All devices share memory.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

char array_doc[] = R"(array(val, dtype=None)
--

An N-dimensional array of numbers of one dtype.

Operations on arrays are recorded and computed when a value is needed: by eval, printing, conversion
to Python or NumPy. Arrays are values: an assignment to a slice or ``x += y`` gives this Python object
a new value and leaves arrays computed from it before as they were.

Args:
    val: A number, nested lists or tuples of numbers and arrays, a NumPy array, or an object with
        ``__dlpack__``, ``__array__`` or the buffer protocol. Its elements are copied.
    dtype (Dtype, optional): Default: bool for bools, int32 for ints (int64 if one does not fit),
        float32 for floats (float64 of NumPy too), complex64 for complex numbers, else that of ``val``.

Raises:
    ValueError: If nested lists are ragged or hold something that is not a number.

Example:
    >>> mx.array([[1, 2], [3, 4]])
    array([[1, 2],
           [3, 4]], dtype=int32)
)";

template <class F>
void* slot(F* f) {
  return reinterpret_cast<void*>(f);
}

void make_type(py::module_& m) {
  static PyMemberDef members[] = {
      {"__weaklistoffset__", T_PYSSIZET, offsetof(ArrayObject, weakrefs), READONLY, nullptr}, {nullptr, 0, 0, 0, nullptr}};
  PyType_Slot slots[] = {
      {Py_tp_dealloc, slot(dealloc)}, {Py_tp_new, slot(type_new)}, {Py_tp_doc, array_doc},
      {Py_tp_repr, slot(repr_array)}, {Py_tp_str, slot(repr_array)}, {Py_tp_hash, slot(hash_pointer)},
      {Py_tp_richcompare, slot(compare)}, {Py_tp_iter, slot(iterate)}, {Py_tp_members, members},
      {Py_tp_getset, attributes}, {Py_tp_methods, value_methods},
      {Py_mp_length, slot(length)}, {Py_mp_subscript, slot(subscript)}, {Py_mp_ass_subscript, slot(assign_subscript)},
      {Py_sq_contains, slot(contains)}, {Py_bf_getbuffer, slot(get_buffer)}, {Py_bf_releasebuffer, slot(release_buffer)},
      {Py_nb_bool, slot(truth)}, {Py_nb_int, slot(to_int)}, {Py_nb_float, slot(to_float)}, {Py_nb_index, slot(to_index)},
      {Py_nb_negative, slot(unary<mx::negative>)}, {Py_nb_positive, slot(unary<mx::positive>)},
      {Py_nb_absolute, slot(unary<mx::abs>)}, {Py_nb_invert, slot(unary<mx::bitwise_invert>)},
      {Py_nb_add, slot(op_add)}, {Py_nb_inplace_add, slot(in_place_op_add)},
      {Py_nb_subtract, slot(op_subtract)}, {Py_nb_inplace_subtract, slot(in_place_op_subtract)},
      {Py_nb_multiply, slot(op_multiply)}, {Py_nb_inplace_multiply, slot(in_place_op_multiply)},
      {Py_nb_true_divide, slot(op_divide)}, {Py_nb_inplace_true_divide, slot(divide_in_place)},
      {Py_nb_floor_divide, slot(op_floor_divide)}, {Py_nb_inplace_floor_divide, slot(in_place_op_floor_divide)},
      {Py_nb_remainder, slot(op_remainder)}, {Py_nb_inplace_remainder, slot(in_place_op_remainder)},
      {Py_nb_matrix_multiply, slot(op_matmul)}, {Py_nb_inplace_matrix_multiply, slot(in_place_op_matmul)},
      {Py_nb_and, slot(op_and)}, {Py_nb_inplace_and, slot(in_place_op_and)},
      {Py_nb_or, slot(op_or)}, {Py_nb_inplace_or, slot(in_place_op_or)},
      {Py_nb_xor, slot(op_xor)}, {Py_nb_inplace_xor, slot(in_place_op_xor)},
      {Py_nb_lshift, slot(op_left_shift)}, {Py_nb_inplace_lshift, slot(in_place_op_left_shift)},
      {Py_nb_rshift, slot(op_right_shift)}, {Py_nb_inplace_rshift, slot(in_place_op_right_shift)},
      {Py_nb_power, slot(op_power)}, {Py_nb_inplace_power, slot(in_place_op_power)},
      {Py_nb_divmod, slot(op_divmod)},
      {0, nullptr}};
  PyType_Spec spec{"mxform.array", sizeof(ArrayObject), 0, Py_TPFLAGS_DEFAULT, slots};
  array_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  array_type->tp_vectorcall = construct;
  // Binary operators of NumPy arrays leave mixed cases to us; NumPy's functions still take our arrays.
  py::float_ priority(1000.0);
  if (PyDict_SetItemString(array_type->tp_dict, "__array_priority__", priority.ptr()) < 0) rethrow();
  m.add_object("array", reinterpret_cast<PyObject*>(array_type));
}

}  // namespace

PyObject* wrap(array a) noexcept {
  ArrayObject* o;
  if (n_free) {
    o = free_objects[--n_free];
    (void)PyObject_Init(reinterpret_cast<PyObject*>(o), array_type);
  } else {
    o = PyObject_New(ArrayObject, array_type);
    if (!o) return nullptr;
  }
  std::construct_at(&o->value, std::move(a));
  o->weakrefs = nullptr;
  return reinterpret_cast<PyObject*>(o);
}

void bind_array(py::module_& m) {
  make_type(m);
  bind_values(m);
  // Called through the type only: the type takes its name.
  py::module_ hidden = py::reinterpret_steal<py::module_>(PyModule_New("mxform"));
  def(hidden, "array(val, dtype=None)", array_doc, new_array);
  constructor = py::object(hidden.attr("array")).release().ptr();

  py::class_<ArrayIterator>(m, "ArrayIterator", "Iterates over the first axis of an array.")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", [](ArrayIterator& it) {
        if (it.next >= it.a.shape()[0]) throw py::stop_iteration();
        return take(it.a, it.next++, 0);
      })
      .attr("__module__") = "mxform";
}

}  // namespace mx::python

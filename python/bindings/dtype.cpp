// dtype.cpp — Dtype and its fourteen singletons, the categories, and what can be asked of types.
//
// A Dtype is a raw object that holds the enumeration's value; equality is identity. Categories are a Python
// enum. The order of DtypeCategory's names is that of `Category` below.

#include "bindings/dtype.h"

#include <cmath>
#include <limits>

#include "bindings/lazy_attributes.h"
#include "bindings/signature.h"

namespace mx::python {

namespace {

struct DtypeObject {
  PyObject_HEAD
  Dtype value;
};

PyTypeObject* dtype_type;
PyObject* singletons[kDtypeCount];
PyObject* category_type;  // null until asked for: Python's enum takes longer to import than all the rest

enum Category { complexfloating, floating, inexact, signedinteger, unsignedinteger, integer, number, generic };
constexpr const char* kCategoryNames[] = {"complexfloating", "floating", "inexact", "signedinteger",
                                          "unsignedinteger", "integer",  "number",  "generic"};

bool belongs(Dtype t, Category c) {
  switch (c) {
    case complexfloating: return is_complex(t);
    case floating: return is_floating(t);
    case inexact: return is_inexact(t);
    case signedinteger: return is_signed_integer(t);
    case unsignedinteger: return is_unsigned(t);
    case integer: return is_integer(t);
    case number: return !is_bool(t);
    case generic: return true;
  }
  return false;
}

bool contains(Category outer, Category inner) {
  if (outer == inner || outer == generic) return true;
  switch (inner) {
    case complexfloating:
    case floating: return outer == inexact || outer == number;
    case signedinteger:
    case unsignedinteger: return outer == integer || outer == number;
    case inexact:
    case integer: return outer == number;
    default: return false;
  }
}

std::optional<Category> to_category(PyObject* o) {
  if (Py_TYPE(o) != reinterpret_cast<PyTypeObject*>(category_type)) return std::nullopt;
  return static_cast<Category>(py::cast<int>(py::handle(o).attr("value")));
}

std::string python_name(Dtype t) { return t == Dtype::bool_ ? "bool_" : std::string(name(t)); }

// ---- the class

PyObject* repr(PyObject* self) { return PyUnicode_FromFormat("mxform.%s", std::string(name(get_dtype(self))).c_str()); }

// Pickled by the name of the singleton.
PyObject* reduce(PyObject* self, PyObject*) {
  return guarded([&] { return py::str(python_name(get_dtype(self))).release().ptr(); });
}

PyObject* get_size(PyObject* self, void*) { return PyLong_FromSize_t(size_of(get_dtype(self))); }

void make_dtypes(py::module_& m) {
  static PyGetSetDef getset[] = {{"size", get_size, nullptr, "Bytes per element.", nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
  static char doc[] = "The type of an array's elements, such as mxform.float32.";
  PyType_Slot slots[] = {{Py_tp_repr, reinterpret_cast<void*>(repr)},
                         {Py_tp_getset, getset},
                         {Py_tp_methods, methods},
                         {Py_tp_doc, doc},
                         {0, nullptr}};
  PyType_Spec spec{"mxform.Dtype", sizeof(DtypeObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  dtype_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  m.add_object("Dtype", reinterpret_cast<PyObject*>(dtype_type));
  for (int t = 0; t < kDtypeCount; ++t) {
    auto* o = PyObject_New(DtypeObject, dtype_type);
    if (!o) rethrow();
    o->value = static_cast<Dtype>(t);
    singletons[t] = reinterpret_cast<PyObject*>(o);
    m.attr(python_name(o->value).c_str()) = py::handle(singletons[t]);
  }
  m.attr("bool") = py::handle(dtype_object(Dtype::bool_));  // the array API standard's name
}

py::object category_class() {
  if (!category_type) {
    py::dict members;
    for (int c = 0; c < 8; ++c) members[kCategoryNames[c]] = c;
    category_type = make_enum("DtypeCategory", members, "A family of dtypes, for issubdtype.").release().ptr();
  }
  return py::reinterpret_borrow<py::object>(category_type);
}

void make_categories(py::module_& m) {
  lazy_attribute(m, "DtypeCategory", category_class);
  for (const char* c : kCategoryNames) lazy_attribute(m, c, [c] { return py::object(category_class().attr(c)); });
}

// ---- questions about types

Dtype dtype_or_array(PyObject* o, const char* op) {
  if (is_array(o)) return get_array(o).dtype();
  if (is_dtype(o)) return get_dtype(o);
  throw ValueError(cat("[", op, "] not an array or dtype: ", Py_TYPE(o)->tp_name, "."));
}

bool issubdtype(PyObject* a, PyObject* b) {
  auto outer = to_category(b);
  if (!outer && !is_dtype(b)) {
    throw ValueError(cat("[issubdtype] second argument is ", kind_of(b), "; need a Dtype or DtypeCategory."));
  }
  if (is_dtype(a)) return outer ? belongs(get_dtype(a), *outer) : a == b;
  if (auto inner = to_category(a)) return outer && contains(*outer, *inner);
  throw ValueError(cat("[issubdtype] first argument is ", kind_of(a), "; need a Dtype or DtypeCategory."));
}

bool isdtype(Dtype t, PyObject* kind) {
  if (is_dtype(kind)) return get_dtype(kind) == t;
  if (PyTuple_Check(kind)) {
    bool any = false;
    for (py::handle k : py::reinterpret_borrow<py::tuple>(kind)) any |= isdtype(t, k.ptr());
    return any;
  }
  if (!PyUnicode_Check(kind)) {
    throw ValueError("[isdtype] kind must be a dtype, a string, or a tuple of dtypes and strings.");
  }
  auto k = py::cast<std::string>(py::handle(kind));
  if (k == "bool") return is_bool(t);
  if (k == "signed integer") return is_signed_integer(t);
  if (k == "unsigned integer") return is_unsigned(t);
  if (k == "integral") return is_integer(t);
  if (k == "real floating") return is_floating(t);
  if (k == "complex floating") return is_complex(t);
  if (k == "numeric") return !is_bool(t);
  throw ValueError(cat("[isdtype] unknown kind '", k, "'; need 'bool', 'signed integer', 'unsigned integer', 'integral', "
                       "'real floating', 'complex floating' or 'numeric'."));
}

struct FloatInfo {
  Dtype dtype;
  double min, max, eps, smallest_normal;
  explicit FloatInfo(Dtype t) : dtype(real_type(t)) {
    if (!is_inexact(t)) throw ValueError(cat("[finfo] dtype ", t, " is not inexact; for integers use iinfo."));
    switch (dtype) {
      case Dtype::float16: set(65504.0, 0x1p-10, 0x1p-14); break;
      case Dtype::bfloat16: set(0x1.fep127, 0x1p-7, 0x1p-126); break;
      case Dtype::float64: set(std::numeric_limits<double>::max(), 0x1p-52, std::numeric_limits<double>::min()); break;
      default: set(std::numeric_limits<float>::max(), 0x1p-23, std::numeric_limits<float>::min());
    }
  }
  void set(double largest, double e, double normal) {
    max = largest;
    min = -largest;
    eps = e;
    smallest_normal = normal;
  }
  std::string str() const { return cat("finfo(min=", min, ", max=", max, ", dtype=", dtype, ")"); }
};

struct IntInfo {
  Dtype dtype;
  int64_t min;
  uint64_t max;
  explicit IntInfo(Dtype t) : dtype(t) {
    if (!is_integer(t)) throw ValueError(cat("[iinfo] dtype ", t, " is not an integer type; for floats use finfo."));
    int bits = 8 * static_cast<int>(size_of(t)) - (is_signed_integer(t) ? 1 : 0);
    max = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    min = is_signed_integer(t) ? -static_cast<int64_t>(max) - 1 : 0;
  }
  std::string str() const { return cat("iinfo(min=", min, ", max=", max, ", dtype=", dtype, ")"); }
};

// A dtype, or that of an array.
Dtype dtype_of(PyObject* o, const char* what) { return is_array(o) ? get_array(o).dtype() : to_dtype(o, what); }

void bind_limits(py::module_& m) {
  py::class_<FloatInfo>(m, "finfo", "Limits of a floating or complex dtype: ``finfo(mx.float32).eps``.")
      .def(py::init([](py::handle t) { return FloatInfo(dtype_of(t.ptr(), "[finfo] dtype")); }), py::arg("arg"), py::pos_only())
      .def_readonly("dtype", &FloatInfo::dtype)
      .def_readonly("min", &FloatInfo::min)
      .def_readonly("max", &FloatInfo::max)
      .def_readonly("eps", &FloatInfo::eps)
      .def_readonly("smallest_normal", &FloatInfo::smallest_normal)
      .def_property_readonly("bits", [](const FloatInfo& f) { return 8 * size_of(f.dtype); })
      .def("__repr__", &FloatInfo::str)
      .attr("__module__") = "mxform";
  py::class_<IntInfo>(m, "iinfo", "Limits of an integer dtype: ``iinfo(mx.int8).max``.")
      .def(py::init([](py::handle t) { return IntInfo(dtype_of(t.ptr(), "[iinfo] dtype")); }), py::arg("arg"), py::pos_only())
      .def_readonly("dtype", &IntInfo::dtype)
      .def_readonly("min", &IntInfo::min)
      .def_readonly("max", &IntInfo::max)
      .def_property_readonly("bits", [](const IntInfo& f) { return 8 * size_of(f.dtype); })
      .def("__repr__", &IntInfo::str)
      .attr("__module__") = "mxform";
}

void bind_questions(py::module_& m) {
  def(m, "issubdtype(arg1, arg2)", R"(
      Tell whether a dtype or category belongs to another.

      Args:
          arg1 (Dtype or DtypeCategory): What to classify.
          arg2 (Dtype or DtypeCategory): The family. A dtype contains only itself.

      Returns:
          bool

      Example:
          >>> mx.issubdtype(mx.float32, mx.inexact)
          True
      )", [](const Args& a) { return issubdtype(a.raw(0), a.raw(1)); });
  def(m, "isdtype(dtype, kind)", R"(
      Tell whether a dtype is of a kind, in the words of the Python array API standard.

      Args:
          dtype (Dtype): What to classify.
          kind (Dtype, str or tuple): A dtype, or one of 'bool', 'signed integer', 'unsigned integer', 'integral',
              'real floating', 'complex floating', 'numeric', or a tuple of these: any of them.

      Returns:
          bool

      Raises:
          ValueError: If ``kind`` is not known.

      Example:
          >>> mx.isdtype(mx.float32, 'real floating')
          True
      )", [](const Args& a) { return isdtype(a.dtype(0), a.raw(1)); });
  def(m, "can_cast(from_, to)", R"(
      Tell whether promotion may turn one dtype into another: casts that keep the kind or widen it.

      Args:
          from_ (array or Dtype): The type to cast from.
          to (Dtype): The type to cast to.

      Returns:
          bool

      Example:
          >>> mx.can_cast(mx.int32, mx.float32)
          True
      )", [](const Args& a) {
        Dtype to = a.dtype(1);
        return promote(dtype_or_array(a.raw(0), "can_cast"), to) == to;
      });
  def(m, "result_type(*arrays_and_dtypes)", R"(
      Give the dtype that an operation on all of these would have.

      Args:
          *arrays_and_dtypes (array, Dtype or number): At least one array or dtype. A number counts only if its kind is
              above that of all of them: an int beside integers does not, a float does.

      Returns:
          Dtype

      Example:
          >>> mx.result_type(mx.int32, mx.float16)
          mxform.float16
      )", [](const Args& a) {
        if (a.rest().empty()) throw ValueError("[result_type] at least one array or dtype is needed.");
        std::optional<Dtype> t;
        for (PyObject* o : a.rest()) {
          if (is_python_number(o)) continue;
          Dtype u = dtype_or_array(o, "result_type");
          t = t ? promote(*t, u) : u;
        }
        if (!t) throw ValueError("[result_type] only numbers were given; at least one array or dtype is needed.");
        for (PyObject* o : a.rest()) {
          if (is_python_number(o)) t = promote(*t, to_array_beside(o, array(0, *t)).dtype());
        }
        return *t;
      });
}

}  // namespace

PyObject* dtype_object(Dtype t) { return singletons[static_cast<int>(t)]; }
bool is_dtype(PyObject* o) { return Py_TYPE(o) == dtype_type; }
Dtype get_dtype(PyObject* o) { return reinterpret_cast<DtypeObject*>(o)->value; }

void bind_dtype(py::module_& m) {
  make_dtypes(m);
  make_categories(m);
  bind_limits(m);
  bind_questions(m);
}

}  // namespace mx::python

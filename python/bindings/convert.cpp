// convert.cpp — numbers, nested lists, shapes, axes, dtypes and streams from Python. Foreign arrays are in
// interop.cpp. Start at to_array().

#include "bindings/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "bindings/interop.h"
#include "ops/cast.h"
#include "ops/movement.h"

namespace mx::python {

namespace {


// ---- Python numbers

enum class NumberKind : uint8_t { boolean, integer, real, complex };

NumberKind number_kind(PyObject* o) {
  if (PyFloat_Check(o)) return NumberKind::real;
  if (PyBool_Check(o)) return NumberKind::boolean;
  return PyLong_Check(o) ? NumberKind::integer : NumberKind::complex;
}

// A double as T, as astype converts: towards zero, the nearest number that T has, NaN to 0.
template <class T>
T from_double(double x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (std::isnan(x)) return 0;
    // The largest T may round up to a double beyond T.
    if (x >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
    if (x <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return static_cast<T>(x);
  } else {
    return T(static_cast<float>(x));
  }
}
template <>
double from_double<double>(double x) { return x; }

// Digits, unless there are very many.
std::string show_integer(PyObject* o) {
  auto n_bits = py::cast<int64_t>(py::handle(o).attr("bit_length")());
  return n_bits > 128 ? cat("of ", n_bits, " bits") : py::cast<std::string>(py::str(py::handle(o)));
}

[[noreturn]] void too_large(PyObject* o) {
  throw OverflowError(cat("[array] integer ", show_integer(o), " does not fit 64 bits. Give a float instead, or dtype=mx.uint64 up to 2**64 - 1."));
}

int64_t long_value(PyObject* o) {
  int overflow = 0;
  long long x = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) too_large(o);
  return x;
}

// The Python number `o` as an element of type T.
template <class T>
T number_as(PyObject* o) {
  switch (number_kind(o)) {
    case NumberKind::boolean:
      return T(static_cast<float>(o == Py_True));
    case NumberKind::integer:
      if constexpr (std::is_same_v<T, uint64_t>) {
        int overflow = 0;
        long long x = PyLong_AsLongLongAndOverflow(o, &overflow);
        if (!overflow) return static_cast<uint64_t>(x);
        unsigned long long u = PyLong_AsUnsignedLongLong(o);
        if (PyErr_Occurred()) {
          PyErr_Clear();
          too_large(o);
        }
        return u;
      } else if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(long_value(o));
      } else {
        double x = PyLong_AsDouble(o);
        if (x == -1 && PyErr_Occurred()) {
          PyErr_Clear();
          too_large(o);
        }
        return from_double<T>(x);
      }
    case NumberKind::real:
      return from_double<T>(PyFloat_AS_DOUBLE(o));
    default: {
      Py_complex z = PyComplex_AsCComplex(o);
      if constexpr (std::is_same_v<T, complex64_t>) {
        return {static_cast<float>(z.real), static_cast<float>(z.imag)};
      } else {
        return from_double<T>(z.real);
      }
    }
  }
}

bool fits_int32(PyObject* o) {
  int overflow = 0;
  long long x = PyLong_AsLongLongAndOverflow(o, &overflow);
  return !overflow && x == static_cast<int32_t>(x);
}

bool fits_uint64(PyObject* o) {
  PyLong_AsUnsignedLongLong(o);
  bool fits = !PyErr_Occurred();
  PyErr_Clear();
  return fits;
}

Dtype natural_dtype(PyObject* number) {
  switch (number_kind(number)) {
    case NumberKind::boolean: return Dtype::bool_;
    case NumberKind::integer: return fits_int32(number) ? Dtype::int32 : Dtype::int64;
    case NumberKind::real: return Dtype::float32;
    default: return Dtype::complex64;
  }
}

// Scalars beside arrays repeat (`x * 2`, `x + 1e-5`): the last ones made are kept. Guarded by the GIL. Arrays that
// the user makes himself are never shared: compile knows captured ones by their identity.
struct CachedScalar {
  uint64_t bits;
  Dtype dtype;
  array value;
};
constexpr size_t kScalarCache = 128;

template <class T>
array cached_scalar(T x, Dtype t) {
  static auto* cache = new CachedScalar[kScalarCache]();
  uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof(T));
  size_t slot = ((bits ^ (bits >> 29)) * 0x9e3779b97f4a7c15ull + static_cast<size_t>(t) * 0x85ebca6bull) >> 57;
  CachedScalar& c = cache[slot];
  if (!c.value.defined() || c.bits != bits || c.dtype != t) c = {bits, t, array::copy_of(&x, t, {})};
  return c.value;
}

array fresh_number(PyObject* o, Dtype t) {
  return dispatch(t, [&](auto tag) {
    auto x = number_as<typename decltype(tag)::type>(o);
    return array::copy_of(&x, t, {});
  });
}

array weak_number(PyObject* o, Dtype t) {
  return dispatch(t, [&](auto tag) { return cached_scalar(number_as<typename decltype(tag)::type>(o), t); });
}

// ---- nested lists

class Nested {
 public:
  explicit Nested(PyObject* o) : root_(o) { walk(o, 0); }

  array build(std::optional<Dtype> t) {
    if (has_arrays_) return join(root_, t);
    if (!ragged_.empty()) throw ValueError(ragged_);
    Dtype dtype = t ? *t : leaves_.empty() ? Dtype::float32 : natural_;
    array out = uninitialized({dtype, shape_});
    dispatch(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* p = out.data<T>();
      for (PyObject* leaf : leaves_) *p++ = number_as<T>(leaf);
    });
    return out;
  }

 private:
  // Runs no Python code, so the borrowed leaves cannot go away.
  void walk(PyObject* o, size_t depth) {
    if (PyList_Check(o) || PyTuple_Check(o)) {
      auto n = static_cast<int64_t>(PySequence_Fast_GET_SIZE(o));
      if (depth > 64) throw ValueError("[array] lists are nested more than 64 deep.");
      if (depth < shape_.size()) {
        if (shape_[depth] != n) ragged(depth, cat("a length of ", shape_[depth], " and one of ", n));
      } else {
        if (leaf_found_) ragged(depth, "numbers and lists");
        shape_.push_back(n);
      }
      PyObject** items = PySequence_Fast_ITEMS(o);
      for (int64_t i = 0; i < n; ++i) walk(items[i], depth + 1);
      return;
    }
    if (depth != shape_.size()) ragged(depth, "numbers and lists");
    leaf_found_ = true;
    if (is_python_number(o)) {
      natural_ = leaves_.empty() ? natural_dtype(o) : promote(natural_, natural_dtype(o));
      leaves_.push_back(o);
    } else if (is_array(o) || !(PyUnicode_Check(o) || o == Py_None || PyDict_Check(o))) {
      has_arrays_ = true;
    } else {
      throw ValueError(cat("[array] a list contains ", kind_of(o), "; need numbers, arrays, or lists of these."));
    }
  }

  // Not an error yet: an array may stand where others have lists.
  void ragged(size_t depth, const std::string& what) {
    if (!ragged_.empty()) return;
    ragged_ = cat("[array] nested lists are ragged: at depth ", depth, " there are both ", what, "; need equal lengths everywhere.");
  }

  // Some leaves are arrays: the result is made of operations, so gradients reach them.
  static array join(PyObject* o, std::optional<Dtype> t) {
    if (!PyList_Check(o) && !PyTuple_Check(o)) return to_array(o);
    Arrays parts;
    std::optional<Dtype> common = t;
    // By index: converting a foreign object runs Python code, which may change the list.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      auto item = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i));
      parts.push_back(join(item.ptr(), t));
      if (!t) common = common ? promote(*common, parts.back().dtype()) : parts.back().dtype();
      if (parts.back().shape() != parts.front().shape()) {
        throw ValueError(cat("[array] nested lists are ragged: they contain arrays of shapes ", parts.front().shape(), " and ",
                             parts.back().shape(), "; need equal shapes."));
      }
    }
    if (parts.empty()) return uninitialized({common ? *common : Dtype::float32, {0}});
    for (array& p : parts) p = astype(p, *common);
    return stack(parts, 0);
  }

  PyObject* root_;
  Shape shape_;
  std::vector<PyObject*> leaves_;
  std::string ragged_;
  Dtype natural_ = Dtype::bool_;
  bool leaf_found_ = false;
  bool has_arrays_ = false;
};

[[noreturn]] void not_an_array(PyObject* o) {
  throw DtypeError(cat(kind_of(o), " is not an array; need an array, a number, nested lists of numbers, or an object "
                           "with __dlpack__, __array__ or the buffer protocol."));
}

}  // namespace

std::string kind_of(PyObject* o) {
  if (o == Py_None) return "None";
  std::string_view name = Py_TYPE(o)->tp_name;
  return cat(std::string_view("aeiouAEIOU").find(name[0]) == std::string_view::npos ? "a " : "an ", name);
}

array to_array(PyObject* o, std::optional<Dtype> t) {
  if (is_array(o)) return t ? astype(get_array(o), *t) : get_array(o);
  if (is_python_number(o)) return fresh_number(o, t ? *t : natural_dtype(o));
  if (PyList_Check(o) || PyTuple_Check(o)) return Nested(o).build(t);
  if (PyUnicode_Check(o) || o == Py_None) not_an_array(o);
  if (auto a = from_foreign(o, t, Copy::always)) return *a;
  if (PyIndex_Check(o)) {
    auto i = py::reinterpret_steal<py::object>(checked(PyNumber_Index(o)));
    return to_array(i.ptr(), t);
  }
  not_an_array(o);
}

array to_array_beside(PyObject* o, const array& beside, What what) {
  Dtype t = beside.dtype();
  if (is_array(o)) return get_array(o);
  if (PyFloat_Check(o)) return weak_number(o, is_inexact(t) ? t : Dtype::float32);
  if (PyComplex_Check(o)) return weak_number(o, Dtype::complex64);
  if (PyBool_Check(o)) return weak_number(o, Dtype::bool_);
  py::object index;
  if (!PyLong_Check(o) && PyIndex_Check(o)) {  // NumPy's integer scalars
    index = py::reinterpret_steal<py::object>(PyNumber_Index(o));
    if (index) o = index.ptr();
    PyErr_Clear();  // an array of several integers: handled below
  }
  if (PyLong_Check(o)) {
    if (is_bool(t)) t = natural_dtype(o);
    if (is_integer(t)) {
      int overflow = 0;
      long long x = PyLong_AsLongLongAndOverflow(o, &overflow);
      bool fits = dispatch(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (!std::is_integral_v<T>) {
          return true;
        } else if constexpr (std::is_same_v<T, uint64_t>) {
          return overflow ? overflow > 0 && fits_uint64(o) : x >= 0;
        } else {
          return !overflow && std::in_range<std::conditional_t<std::is_same_v<T, bool>, int, T>>(x);
        }
      });
      if (!fits) {
        throw ValueError(cat(what, " ", show_integer(o), " does not fit ", t,
                             ", the dtype of the array beside it. Cast the array first, or give an array."));
      }
    }
    return weak_number(o, t);
  }
  // An array from elsewhere adapts its width, but not its kind: float16 + NumPy float64 stays float16, int32 + float64
  // does not lose the fraction.
  array a = to_array(o, what);
  auto kind = [](Dtype d) { return is_complex(d) ? 3 : is_floating(d) ? 2 : is_integer(d) ? 1 : 0; };
  return kind(a.dtype()) <= kind(t) && !is_bool(t) ? astype(a, t) : a;
}

Arrays to_arrays(PyObject* o, What what) {
  if (is_array(o)) return unstack(get_array(o), 0);
  if (!PyList_Check(o) && !PyTuple_Check(o)) {
    throw py::type_error(cat(what, " is ", kind_of(o), "; need a list or tuple of arrays."));
  }
  Arrays out;
  out.reserve(static_cast<size_t>(PySequence_Fast_GET_SIZE(o)));
  // By index: converting runs Python code, which may change the list.
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
    auto item = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i));
    out.push_back(to_array(item.ptr(), what));
  }
  return out;
}

array to_array(PyObject* o, What what) {
  try {
    return to_array(o);
  } catch (const DtypeError& e) {
    throw DtypeError(cat(what, ": ", e.what()));
  }
}

// ---- other arguments

int64_t to_integer(PyObject* o, What what) {
  py::object index;
  if (!PyLong_Check(o)) {
    index = py::reinterpret_steal<py::object>(PyIndex_Check(o) ? PyNumber_Index(o) : nullptr);
    if (!index) {
      if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) rethrow();
      PyErr_Clear();
      throw py::type_error(cat(what, " is ", kind_of(o), "; need an int."));
    }
    o = index.ptr();
  }
  int overflow = 0;
  long long x = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow) throw OverflowError(cat(what, " does not fit 64 bits."));
  return x;
}

double to_real(PyObject* o, What what) {
  if (PyFloat_Check(o)) return PyFloat_AS_DOUBLE(o);
  if (!PyUnicode_Check(o)) {
    double x = PyFloat_AsDouble(o);
    if (x != -1 || !PyErr_Occurred()) return x;
    bool too_large = PyLong_Check(o) && PyErr_ExceptionMatches(PyExc_OverflowError);
    if (!too_large && !PyErr_ExceptionMatches(PyExc_TypeError)) rethrow();
    PyErr_Clear();
    if (too_large) throw OverflowError(cat(what, " is an integer that no float64 can hold."));
  }
  throw py::type_error(cat(what, " is ", kind_of(o), "; need a float."));
}

bool to_flag(PyObject* o, What what) {
  if (PyBool_Check(o)) return o == Py_True;
  if (o != Py_None && Py_TYPE(o)->tp_as_number && Py_TYPE(o)->tp_as_number->nb_bool) {
    int truth = PyObject_IsTrue(o);
    if (truth < 0) rethrow();
    return truth != 0;
  }
  throw py::type_error(cat(what, " is ", kind_of(o), "; need a bool."));
}

std::string to_string(PyObject* o, What what) {
  if (!PyUnicode_Check(o)) throw py::type_error(cat(what, " is ", kind_of(o), "; need a str."));
  Py_ssize_t n = 0;
  const char* s = PyUnicode_AsUTF8AndSize(o, &n);
  if (!s) rethrow();
  return {s, static_cast<size_t>(n)};
}

Dtype to_dtype(PyObject* o, What what) {
  if (is_dtype(o)) return get_dtype(o);
  if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return Dtype::bool_;
  if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return Dtype::int32;
  if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return Dtype::float32;
  if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) return Dtype::complex64;
  // NumPy's dtype objects have `name`, its scalar types `__name__`.
  bool is_numpy = std::string_view(Py_TYPE(o)->tp_name).starts_with("numpy.") || PyType_Check(o);
  if (py::handle h(o); is_numpy) {
    py::object name_of = py::getattr(h, PyType_Check(o) ? "__name__" : "name", py::none());
    if (py::isinstance<py::str>(name_of)) {
      auto s = py::cast<std::string>(name_of);
      for (int t = 0; t < kDtypeCount; ++t) {
        if (s == name(static_cast<Dtype>(t)) || (t == 0 && s == "bool_")) return static_cast<Dtype>(t);
      }
    }
  }
  throw py::type_error(cat(what, " is ", py::cast<std::string>(py::repr(py::handle(o))), "; need a Dtype such as mx.float32."));
}

Shape to_shape(PyObject* o, What what) {
  Shape out;
  if (PyList_Check(o) || PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
      auto item = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(o, i));  // its __index__ may change the list
      out.push_back(to_integer(item.ptr(), what));
    }
  } else if (is_array(o) && get_array(o).ndim() == 1) {
    for (const array& x : unstack(get_array(o), 0)) out.push_back(x.item<int64_t>());
  } else if (PyLong_Check(o) || (PyIndex_Check(o) && PyObject_Size(o) < 0)) {
    PyErr_Clear();  // it has no length: not a sequence such as a NumPy array
    out.push_back(to_integer(o, what));
  } else if (PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o)) {
    auto items = py::reinterpret_steal<py::object>(checked(PySequence_Tuple(o)));
    return to_shape(items.ptr(), what);
  } else {
    throw py::type_error(cat(what, " is ", kind_of(o), "; need an int, or a list or tuple of ints."));
  }
  return out;
}

Axes to_axes(PyObject* o, What what) {
  Axes out;
  for (int64_t x : to_shape(o, what)) {
    if (x != static_cast<int>(x)) throw AxisError(cat(what, " ", x, " is out of range."));
    out.push_back(static_cast<int>(x));
  }
  return out;
}

// ---- to Python

PyObject* to_python(Arrays as) {
  py::list out(as.size());
  for (size_t i = 0; i < as.size(); ++i) PyList_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), to_python(std::move(as[i])));
  return out.release().ptr();
}

PyObject* to_python(Tuple t) {
  py::tuple out(t.arrays.size());
  for (size_t i = 0; i < t.arrays.size(); ++i) {
    PyTuple_SET_ITEM(out.ptr(), static_cast<Py_ssize_t>(i), to_python(std::move(t.arrays[i])));
  }
  return out.release().ptr();
}

PyObject* to_python(const Shape& s) {
  auto* out = checked(PyTuple_New(static_cast<Py_ssize_t>(s.size())));
  for (size_t i = 0; i < s.size(); ++i) {
    PyObject* x = PyLong_FromLongLong(s[i]);
    if (!x) {
      Py_DECREF(out);
      rethrow();
    }
    PyTuple_SET_ITEM(out, static_cast<Py_ssize_t>(i), x);
  }
  return out;
}

}  // namespace mx::python

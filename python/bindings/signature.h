// signature.h — how an operation is bound: from one text that is both its documentation and its parser.
//
//   def(m, "sum(a, /, axis=None, keepdims=False, *, stream=None)", R"(Sum over the given axes. ...)",
//       [](const Args& a) { return sum(a.arr(0), a.axes(1, a.arr(0).ndim()), a.flag(2)); });
//
// The text gives names (`vals|fill_value`: a second name for callers), kinds (`/`, `*`, `*args`, `**kwargs`) and defaults,
// as inspect.signature() shows without second names. A call checks counts and keywords, fills in defaults, and opens a
// StreamScope if a parameter `stream`, or a keyword `device`, is not None. The function receives Args and reads
// parameters by their position in the text (`stream` counts, but need not be read). It returns anything that
// to_python() in convert.h takes: array, Arrays (a list), to_tuple(Arrays), std::tuple, bool, Dtype, Shape,
// py::object, or nothing. Start at def().
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/convert.h"

namespace mx::python {

struct Parameter {
  enum Kind : uint8_t { positional_only, ordinary, rest, keyword_only, keywords };
  std::string name;
  PyObject* key;      ///< The interned name.
  PyObject* initial;  ///< The default; null: required.
  Kind kind;
};

/// The parsed text.
struct Signature {
  std::string name;        ///< "sum"
  std::string parameters;  ///< "(a, /, axis=None, keepdims=False, *, stream=None)"
  std::vector<Parameter> list;
  int n_positional = 0;    ///< Parameters that a position can fill, without `*args`.
  int rest = -1;           ///< Position of `*args`, or -1.
  int keywords = -1;       ///< Position of `**kwargs`, or -1.
  int stream = -1;         ///< Position of `stream`, or -1.
};

/// The arguments of one call. Every accessor takes the parameter's position in the text; a failure to
/// convert throws an error that names the operation and the parameter.
class Args {
 public:
  Args(const Signature& s, PyObject* const* values, std::span<PyObject* const> rest)
      : signature_(s), values_(values), rest_(rest) {}

  /// The object itself, borrowed. Null for `*args`.
  PyObject* raw(int i) const { return values_[i]; }
  py::object obj(int i) const { return py::reinterpret_borrow<py::object>(values_[i]); }
  bool is_none(int i) const { return values_[i] == Py_None; }
  /// False when the caller left parameter i to its default.
  bool given(int i) const { return values_[i] != signature_.list[static_cast<size_t>(i)].initial; }

  array arr(int i) const { return is_array(values_[i]) ? get_array(values_[i]) : convert(i); }
  /// None: nullopt.
  std::optional<array> opt_arr(int i) const;
  /// Two operands: a Python number takes on the dtype of the array beside it, as in `x + 2.0`.
  std::pair<array, array> arr_pair(int i, int j) const;
  /// Parameter i, a Python number taking on the dtype of `beside`.
  array arr_beside(int i, const array& beside) const;
  std::optional<array> opt_arr_beside(int i, const array& beside) const;
  /// A list or tuple of arrays; or all of `*args`.
  Arrays arrays(int i) const;

  int64_t integer(int i) const { return to_integer(values_[i], what(i)); }
  int small(int i) const;  ///< An integer that must fit an int.
  double real(int i) const { return to_real(values_[i], what(i)); }
  bool flag(int i) const {
    return values_[i] == Py_True || (values_[i] != Py_False && to_flag(values_[i], what(i)));
  }
  std::string str(int i) const { return to_string(values_[i], what(i)); }
  Dtype dtype(int i) const { return to_dtype(values_[i], what(i)); }
  /// An int, list or tuple of ints; or all of `*shape` (several ints, or one list or tuple).
  Shape shape(int i) const;
  /// int, list or tuple as it came (negative axes too); or all of `*axes`.
  Axes axes(int i) const;
  /// The same for an array of `ndim` axes: None means all; normalised, ascending, without repeats.
  Axes axes(int i, int ndim) const;

  std::optional<int64_t> opt_integer(int i) const { return opt(i, [&] { return integer(i); }); }
  std::optional<int> opt_small(int i) const { return opt(i, [&] { return small(i); }); }
  std::optional<double> opt_real(int i) const { return opt(i, [&] { return real(i); }); }
  std::optional<std::string> opt_str(int i) const { return opt(i, [&] { return str(i); }); }
  std::optional<Dtype> opt_dtype(int i) const { return opt(i, [&] { return dtype(i); }); }
  std::optional<Shape> opt_shape(int i) const { return opt(i, [&] { return shape(i); }); }
  std::optional<Axes> opt_axes(int i) const { return opt(i, [&] { return axes(i); }); }

  /// What `*args` took; borrowed.
  std::span<PyObject* const> rest() const { return rest_; }
  /// What `**kwargs` took.
  py::dict keywords() const { return py::reinterpret_borrow<py::dict>(values_[signature_.keywords]); }

  const Signature& signature() const { return signature_; }
  /// "[sum] axis": how error messages begin.
  What what(int i) const { return {signature_.name, signature_.list[static_cast<size_t>(i)].name}; }

 private:
  template <class F>
  auto opt(int i, F&& f) const -> std::optional<std::invoke_result_t<F>> {
    if (values_[i] == Py_None) return std::nullopt;
    return f();
  }
  array convert(int i) const;

  const Signature& signature_;
  PyObject* const* values_;
  std::span<PyObject* const> rest_;
};

/// A bound function with its type erased.
struct Body {
  PyObject* (*run)(const void* function, const Args&);
  const void* function;
};

template <class F>
Body body(F f) {
  // Bound functions live as long as the process.
  return {[](const void* fn, const Args& a) -> PyObject* {
            const F& f = *static_cast<const F*>(fn);
            if constexpr (std::is_void_v<std::invoke_result_t<F, const Args&>>) {
              f(a);
              return Py_NewRef(Py_None);
            } else {
              return to_python(f(a));
            }
          },
          new F(std::move(f))};
}

void def_body(py::module_& m, std::string_view text, const char* doc, Body b);
void def_method_body(std::string_view text, const char* doc, Body b);

/// Adds a function to module `m`.
template <class F>
void def(py::module_& m, std::string_view text, const char* doc, F f) {
  def_body(m, text, doc, body(std::move(f)));
}

/// Adds a method to the array type: def_method("array.sum(self, axis=None, ...)", doc, f). `self` has position 0.
template <class F>
void def_method(std::string_view text, const char* doc, F f) {
  def_method_body(text, doc, body(std::move(f)));
}

/// A second name for a function of `m`: alias(m, "acos", "arccos").
void alias(py::module_& m, const char* name, const char* of);

/// Makes the types of functions and methods; first of all binds.
void bind_signature(py::module_& m);

}  // namespace mx::python

// export.cpp — functions as files and graphs as pictures (csrc/export): export_function and export_to_dot. exporter() and
// import_function are in mxform/export.py, on top of _Exporter and _import_function.

#include "export/export.h"

#include <cstdio>
#include <optional>

#include "bindings/bind.h"
#include "bindings/gil.h"
#include "bindings/transforms.h"
#include "export/dot.h"
#include "export/record.h"
#include "export/steps.h"

namespace mx::python {

namespace {

// An exception such as KeyboardInterrupt: the search for other sizes, which expects functions to fail, must not take it
// for one.
struct Interrupted {
  py::error_already_set error;
};

template <class F>
auto interruptible(F&& f) {
  try {
    return f();
  } catch (Interrupted& i) {
    throw std::move(i.error);
  }
}

std::string to_path(PyObject* o, What what) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(o, &bytes)) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) rethrow();
    PyErr_Clear();
    throw py::type_error(cat(what, " is ", kind_of(o), "; need a str or a path."));
  }
  return py::reinterpret_steal<py::bytes>(bytes);
}

// ---- inputs

struct Inputs {
  Arrays args;
  NamedArrays named;
};

void add_named(const char* op, Inputs& in, PyObject* dict) {
  for (auto [key, value] : py::reinterpret_borrow<py::dict>(dict)) {
    if (!PyUnicode_Check(key.ptr())) throw ValueError(cat("[", op, "] a keyword is ", kind_of(key.ptr()), "; need a str."));
    if (!is_array(value.ptr())) {
      throw ValueError(cat("[", op, "] '", py::cast<std::string>(key), "' is ", kind_of(value.ptr()), "; need an array."));
    }
    in.named.emplace(py::cast<std::string>(key), get_array(value.ptr()));
  }
}

// Arrays and keywords, or a tuple or list of arrays, a dict of arrays, or both.
Inputs read_inputs(const char* op, std::span<PyObject* const> args, PyObject* kwargs) {
  Inputs in;
  bool keywords = kwargs && PyDict_GET_SIZE(kwargs) > 0;
  if (std::all_of(args.begin(), args.end(), is_array)) {
    for (PyObject* a : args) in.args.push_back(get_array(a));
    if (keywords) add_named(op, in, kwargs);
    return in;
  }
  PyObject *sequence = nullptr, *dict = nullptr;
  bool fits = !keywords && args.size() <= 2;
  for (size_t i = 0; fits && i < args.size(); ++i) {
    PyObject* a = args[i];
    if (i == 0 && (PyTuple_Check(a) || PyList_Check(a))) {
      sequence = a;
    } else {
      fits = PyDict_Check(a) && !dict && (i == 1) == (sequence != nullptr);
      dict = a;
    }
  }
  if (fits && sequence) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); ++i) {
      PyObject* a = PySequence_Fast_GET_ITEM(sequence, i);
      fits = fits && is_array(a);
      if (fits) in.args.push_back(get_array(a));
    }
  }
  if (!fits) {
    std::string came;
    for (PyObject* a : args) came += (came.empty() ? "" : ", ") + kind_of(a);
    throw ValueError(cat("[", op, "] the inputs are ", came, keywords ? " and keywords" : "",
                         "; need arrays and keywords with arrays, or one tuple or list of arrays and a dict of arrays."));
  }
  if (dict) add_named(op, in, dict);
  return in;
}

// ---- the function

Arrays read_outputs(PyObject* fun, const py::object& result) {
  if (is_array(result.ptr())) return {get_array(result.ptr())};
  Arrays out;
  bool fits = PyTuple_Check(result.ptr()) || PyList_Check(result.ptr());
  for (Py_ssize_t i = 0; fits && i < PySequence_Fast_GET_SIZE(result.ptr()); ++i) {
    PyObject* a = PySequence_Fast_GET_ITEM(result.ptr(), i);
    fits = is_array(a);
    if (fits) out.push_back(get_array(a));
  }
  if (!fits) {
    throw ValueError(cat("[export_function] ", function_name(fun), " returned ", kind_of(result.ptr()),
                         " or something in it that is no array; need an array, or a tuple or list of arrays."));
  }
  return out;
}

// A Python function as one of arrays. While it is run several times, keyless random numbers are the same each time.
class Traceable {
 public:
  Traceable(PyObject* fun, const Inputs& in, bool repeated) : fun_(py::reinterpret_borrow<py::object>(fun)), n_args_(in.args.size()) {
    for (const auto& [name, a] : in.named) names_.push_back(name);
    if (!repeated) return;
    state_ = py::module_::import("mxform._core").attr("random").attr("state");
    before_ = copy_of_state();
  }
  ~Traceable() {
    if (after_ && PyList_SetSlice(state_.ptr(), 0, PyList_GET_SIZE(state_.ptr()), after_.ptr()) != 0) PyErr_Clear();
  }
  Traceable(const Traceable&) = delete;
  Traceable& operator=(const Traceable&) = delete;

  Arrays operator()(const Arrays& xs) {
    py::gil_scoped_acquire gil;
    py::tuple args(n_args_);
    for (size_t i = 0; i < n_args_; ++i) args[i] = py::reinterpret_steal<py::object>(to_python(xs[i]));
    py::dict kwargs;
    for (size_t i = 0; i < names_.size(); ++i) kwargs[py::str(names_[i])] = py::reinterpret_steal<py::object>(to_python(xs[n_args_ + i]));
    if (before_ && PyList_SetSlice(state_.ptr(), 0, PyList_GET_SIZE(state_.ptr()), before_.ptr()) != 0) rethrow();
    FunctionName name(function_name(fun_.ptr()));
    try {
      Arrays out = read_outputs(fun_.ptr(), call(fun_.ptr(), args.ptr(), kwargs.ptr()));
      if (before_ && !after_) after_ = copy_of_state();
      return out;
    } catch (py::error_already_set& e) {
      if (e.matches(PyExc_Exception)) throw;
      throw Interrupted{std::move(e)};
    }
  }

 private:
  py::object copy_of_state() const { return py::reinterpret_steal<py::object>(checked(PySequence_List(state_.ptr()))); }

  py::object fun_;
  size_t n_args_;
  std::vector<std::string> names_;
  py::object state_, before_, after_;
};

Function as_function(Traceable& t) {
  return [&t](const Arrays& xs) { return t(xs); };
}

void check_function(const char* op, PyObject* fun) {
  if (!PyCallable_Check(fun)) throw py::type_error(cat("[", op, "] fun is ", kind_of(fun), "; need a callable."));
}

// ---- what a callback is told

py::object to_object(const Field& f) {
  switch (f.kind) {
    case Field::integer: return py::int_(f.number);
    case Field::real: return py::float_(f.value);
    case Field::text: return py::str(f.str);
    case Field::list:
    case Field::graph: {
      py::list items;
      for (const Field& item : f.items) items.append(to_object(item));
      return items;
    }
    default: return py::none();
  }
}

void tell(PyObject* callback, const exporting::FunctionTrace& t) {
  const Subgraph& g = t.graph;
  std::vector<std::string> names(static_cast<size_t>(g.n_slots));
  std::vector<Type> types(g.input_types);
  types.insert(types.end(), g.captured_types.begin(), g.captured_types.end());
  for (const Step& s : g.steps) types.insert(types.end(), s.types.begin(), s.types.end());
  size_t next = 0;
  auto name = [&](int slot) {
    std::string& s = names[static_cast<size_t>(slot)];
    if (s.empty()) s = array_letters(next++);
    return py::str(s);
  };
  auto described = [&](int slot) {
    const Type& type = types[static_cast<size_t>(slot)];
    return py::make_tuple(name(slot), py::reinterpret_steal<py::object>(to_python(type.shape)), py::reinterpret_steal<py::object>(to_python(type.dtype)));
  };
  auto list = [&](auto&& slots) {
    py::list out;
    for (int s : slots) out.append(described(s));
    return out;
  };
  auto send = [&](const char* type, auto... entries) {
    py::dict d;
    d["type"] = type;
    (entries(d), ...);
    py::reinterpret_steal<py::object>(checked(PyObject_CallOneArg(callback, d.ptr())));
  };
  std::vector<int> inputs;
  for (int i = 0; i < g.n_inputs(); ++i) inputs.push_back(i);
  send("inputs", [&](py::dict& d) { d["inputs"] = list(inputs); });
  py::list keywords;
  for (size_t i = 0; i < t.names.size(); ++i) keywords.append(py::make_tuple(t.names[i], name(t.n_positional + static_cast<int>(i))));
  send("keyword_inputs", [&](py::dict& d) { d["keywords"] = keywords; });
  send("outputs", [&](py::dict& d) { d["outputs"] = list(g.outputs); });
  py::list constants;
  for (size_t i = 0; i < t.captured.size(); ++i) constants.append(py::make_tuple(name(g.n_inputs() + static_cast<int>(i)), t.captured[i]));
  send("constants", [&](py::dict& d) { d["constants"] = constants; });
  for (const Step& s : g.steps) {
    Field params = exporting::params_field(*s.primitive, s.params);
    send("primitive", [&](py::dict& d) {
      d["name"] = std::string(s.primitive->name);
      d["inputs"] = list(s.in);
      d["outputs"] = list(s.out);
      d["arguments"] = params.kind == Field::none ? py::object(py::list()) : to_object(params);
    });
  }
}

// ---- classes

// exporter(): a file that is being written, and the function whose traces go there.
struct Exporter {
  py::object fun;
  FunctionExporter file;
  bool shapeless;

  Exporter(py::object f, std::string path, ExportOptions options) : fun(std::move(f)), file(std::move(path), options), shapeless(options.shapeless) {}

  void add(const py::args& args, const py::kwargs& kwargs) {
    std::vector<PyObject*> all;
    for (py::handle a : args) all.push_back(a.ptr());
    Inputs in = read_inputs("export_function", all, kwargs.ptr());
    Traceable t(fun.ptr(), in, shapeless);
    interruptible([&] { file.add(as_function(t), in.args, in.named); });
  }
};

py::object call_imported(const ImportedFunction& f, const py::args& args, const py::kwargs& kwargs) {
  std::vector<PyObject*> all;
  for (py::handle a : args) all.push_back(a.ptr());
  Inputs in = read_inputs("import_function", all, kwargs.ptr());
  return py::reinterpret_steal<py::object>(to_python(to_tuple(f(in.args, in.named))));
}

// ---- pictures

void flatten_arrays(PyObject* o, Arrays& out) {
  Leaves leaves;
  flatten(o, leaves);
  for (const py::object& leaf : leaves) {
    if (!is_array(leaf.ptr())) throw ValueError(cat("[export_to_dot] ", describe(leaf.ptr()), " is no array; need arrays, or trees of them."));
    out.push_back(get_array(leaf.ptr()));
  }
}

}  // namespace

void bind_export(py::module_& m) {
  py::class_<Exporter>(m, "_Exporter", "The file behind a FunctionExporter.")
      .def(py::init([](py::object fun, py::object path, bool shapeless, std::string metadata) {
        check_function("exporter", fun.ptr());
        return std::make_unique<Exporter>(fun, to_path(path.ptr(), "[exporter] file"), ExportOptions{shapeless, std::move(metadata)});
      }))
      .def("add", &Exporter::add)
      .def("close", [](Exporter& e) { e.file.close(); });

  py::class_<ImportedFunction>(m, "_ImportedFunction", "A function from a file.")
      .def("__call__", call_imported)
      .def_property_readonly("metadata", &ImportedFunction::metadata, "The text that was saved with the function.")
      .def_property_readonly("traces", [](const ImportedFunction& f) {
        py::list traces;
        for (const ImportedFunction::Trace& t : f.traces()) {
          py::list inputs;
          for (const ImportedFunction::Input& in : t.inputs) {
            py::object name = in.name.empty() ? py::object(py::none()) : py::object(py::str(in.name));
            inputs.append(py::make_tuple(name, py::reinterpret_steal<py::object>(to_python(in.example.shape)), py::reinterpret_steal<py::object>(to_python(in.example.dtype))));
          }
          traces.append(inputs);
        }
        return traces;
      }, "The example inputs of each trace: tuples of a name (None by position), a shape and a dtype.")
      .def("__repr__", [](const ImportedFunction& f) { return "imported function of" + f.signatures(); });

  def(m, "export_function(file_or_callback, fun, *args, shapeless=False, metadata=None, **kwargs)", R"(Write a function to a file, to be run without its code.

The function is traced with the example inputs. What it captures becomes part of the file: arrays by their
values, keyless random numbers by the key they were drawn with, so that every call draws the same.

With ``shapeless`` the imported function takes inputs of other sizes. To learn how its operations follow the sizes,
the function is traced many times with inputs of other sizes; sizes that only work together stay together, and
axes that cannot change stay as they are. A function whose operations depend on sizes in a way that cannot be
verified, such as a Python loop over an axis, is refused: export it for several shapes with ``exporter``.

Args:
    file_or_callback (str or callable): Where to write; or a function that is called with a dict for each part of
        the trace: its ``type`` is ``inputs``, ``keyword_inputs``, ``outputs``, ``constants`` or ``primitive``.
    fun (callable): Takes arrays; returns an array, or a tuple or list of arrays.
    *args (array): Example inputs; or one tuple or list of them, and a dict of inputs by name.
    shapeless (bool, optional): Whether inputs may have other sizes than the examples. Default: ``False``.
    metadata (str, optional): A text to save with the function. Only for files.
    **kwargs (array): Example inputs by name.

Raises:
    ValueError: If an input or output is no array, or if the function cannot be exported.
    RuntimeError: If the file cannot be written.

Example:
    >>> def f(x, y):
    ...     return x * y + 1
    >>> mx.export_function("f.mlxfn", f, mx.array(1.0), y=mx.array(2.0))
    >>> mx.import_function("f.mlxfn")(mx.array(3.0), y=mx.array(4.0))
    (array(13, dtype=float32),)
)",
      [](const Args& a) {
        PyObject* to = a.raw(0);
        check_function("export_function", a.raw(1));
        bool shapeless = a.flag(3), callback = !PyUnicode_Check(to) && PyCallable_Check(to);
        std::optional<std::string> metadata = a.opt_str(4);
        if (callback && metadata) throw ValueError("[export_function] metadata cannot be given to a callback; only a file keeps it.");
        std::string path = callback ? "" : to_path(to, a.what(0));
        py::dict keywords = a.keywords();
        Inputs in = read_inputs("export_function", a.rest(), keywords.ptr());
        Traceable t(a.raw(1), in, shapeless);
        interruptible([&] {
          if (callback) {
            tell(to, exporting::record(as_function(t), in.args, in.named, shapeless));
          } else {
            export_function(path, as_function(t), in.args, in.named, {shapeless, metadata.value_or("")});
          }
        });
      });

  def(m, "_import_function(file, /)", "", [](const Args& a) {
    std::string path = to_path(a.raw(0), "[import_function] file");
    ImportedFunction f = [&] {
      WithoutGil unlocked;
      return import_function(path);
    }();
    return py::cast(std::move(f));
  });

  def(m, "export_to_dot(file, *args, **kwargs)", R"(Draw a graph: write what is not evaluated yet in the language of Graphviz.

Args:
    file (str or file-like): A path, or an object with a method ``write`` that takes text.
    *args (array): The graph's outputs, or trees of them. All that they are computed from is drawn.
    **kwargs (array): Arrays with the names to show for them. They are outputs too.

Raises:
    ValueError: If something is no array.

Example:
    >>> x = mx.array(1.0)
    >>> mx.export_to_dot("graph.dot", mx.exp(x) + 1, x=x)
)",
      [](const Args& a) {
        Arrays outputs;
        for (PyObject* o : a.rest()) flatten_arrays(o, outputs);
        std::vector<std::pair<std::string, array>> names;
        for (auto [key, value] : a.keywords()) {
          if (!is_array(value.ptr())) throw ValueError(cat("[export_to_dot] ", py::cast<std::string>(key), " is ", kind_of(value.ptr()), "; need an array."));
          names.emplace_back(py::cast<std::string>(key), get_array(value.ptr()));
          outputs.push_back(names.back().second);
        }
        std::string text = to_dot(outputs, names);
        if (py::hasattr(a.obj(0), "write")) {
          a.obj(0).attr("write")(text);
          return;
        }
        std::string path = [&] {
          try {
            return to_path(a.raw(0), a.what(0));
          } catch (const py::type_error&) {
            throw ValueError(cat("[export_to_dot] file is ", kind_of(a.raw(0)), "; need a path, or an object with a method write."));
          }
        }();
        std::FILE* out = std::fopen(path.c_str(), "wb");
        if (!out) throw std::runtime_error(cat("[export_to_dot] ", path, " cannot be written."));
        bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
        if (std::fclose(out) != 0 || !written) throw std::runtime_error(cat("[export_to_dot] ", path, " cannot be written."));
      });
}

}  // namespace mx::python

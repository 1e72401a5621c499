// signature.cpp — parsing the text of a signature, and the two callable types made from it.
//
// FunctionObject is called through vectorcall without pybind11 in between. Functions and methods are two
// types because CPython asks the type, not the object, whether it binds `self`. There are some nine hundred of
// them, so that importing only copies their texts: a signature is parsed when the function is first called, its
// documentation is laid out when asked for. Start at run().

#include "bindings/signature.h"

#include <structmember.h>

#include <array>
#include <cstddef>
#include <cstdlib>

namespace mx::python {

namespace {

constexpr size_t kMaxParameters = 24;

// What only calling needs to know of a signature.
struct Parsed : Signature {
  std::vector<PyObject*> also;  // per parameter: the interned second name, or null
  int device = -1;              // the position of the keyword `device`, or -1
};

struct FunctionObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* weakrefs;
  Parsed* parsed;  // null before the first call
  Body body;
  std::string_view text, doc_text;
  PyObject* name;
  PyObject* module;
  PyObject* qualname;   // null: the name
  PyObject* doc;        // null until asked for
  PyObject* inspected;  // the inspect.Signature; null until asked for
};

PyTypeObject* function_type;
PyTypeObject* method_type;

// ---- parsing

std::string_view strip(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

// Splits at commas outside brackets and quotes.
std::vector<std::string_view> split_parameters(std::string_view s) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    char c = s[i];
    if (quote) {
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.push_back(strip(s.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (auto last = strip(s.substr(begin)); !last.empty()) parts.push_back(last);
  return parts;
}

// The value of a default: common words here, other literals by Python itself.
PyObject* default_value(std::string_view text) {
  if (text == "None") return Py_NewRef(Py_None);
  if (text == "True") return Py_NewRef(Py_True);
  if (text == "False") return Py_NewRef(Py_False);
  if (text == "inf") return checked(PyFloat_FromDouble(HUGE_VAL));
  for (int t = 0; t < kDtypeCount; ++t) {
    auto dtype = static_cast<Dtype>(t);
    if (text == name(dtype) || (text == "bool_" && dtype == Dtype::bool_)) return Py_NewRef(dtype_object(dtype));
  }
  std::string s(text);
  char* end;
  long integer = std::strtol(s.c_str(), &end, 10);
  if (!*end) return checked(PyLong_FromLong(integer));
  double real = std::strtod(s.c_str(), &end);
  if (!*end) return checked(PyFloat_FromDouble(real));
  py::dict names;
  return checked(PyRun_String(s.c_str(), Py_eval_input, names.ptr(), names.ptr()));
}

// The text as users see it: without second names.
std::string without_second_names(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '|') {
      while (i < text.size() && text[i] != '=' && text[i] != ',' && text[i] != ')') ++i;
    }
    out += text[i];
  }
  return out;
}

Parsed* parse(std::string_view text) {
  auto* s = new Parsed;
  size_t open = text.find('('), close = text.rfind(')');
  if (open == text.npos || close == text.npos) throw ValueError(cat("[def] not a signature: ", text));
  size_t dot = text.rfind('.', open);
  size_t begin = dot == text.npos ? 0 : dot + 1;
  s->name = text.substr(begin, open - begin);
  s->parameters = without_second_names(text.substr(open, close + 1 - open));
  auto kind = Parameter::ordinary;
  for (std::string_view part : split_parameters(text.substr(open + 1, close - open - 1))) {
    if (part == "/") {
      for (Parameter& p : s->list) p.kind = Parameter::positional_only;
      continue;
    }
    if (part == "*") {
      kind = Parameter::keyword_only;
      continue;
    }
    Parameter p{.name = {}, .key = nullptr, .initial = nullptr, .kind = kind};
    auto here = static_cast<int>(s->list.size());
    if (part.starts_with("**")) {
      p.kind = Parameter::keywords;
      s->keywords = here;
      part.remove_prefix(2);
    } else if (part.starts_with("*")) {
      p.kind = Parameter::rest;
      s->rest = here;
      kind = Parameter::keyword_only;
      part.remove_prefix(1);
    } else if (size_t eq = part.find('='); eq != part.npos) {
      p.initial = default_value(strip(part.substr(eq + 1)));
      part = strip(part.substr(0, eq));
    }
    PyObject* second = nullptr;
    if (size_t bar = part.find('|'); bar != part.npos) {
      second = checked(PyUnicode_InternFromString(std::string(part.substr(bar + 1)).c_str()));
      part = part.substr(0, bar);
    }
    s->also.push_back(second);
    p.name = part;
    p.key = checked(PyUnicode_InternFromString(p.name.c_str()));
    // A required `stream` is an ordinary argument, and that of `__dlpack__` is not one of ours.
    if (p.name == "stream" && p.initial && !s->name.starts_with("__")) s->stream = here;
    if (p.name == "device" && p.kind == Parameter::keyword_only) s->device = here;
    if (p.kind == Parameter::ordinary) ++s->n_positional;
    s->list.push_back(std::move(p));
  }
  if (s->list.size() > kMaxParameters) throw ValueError(cat("[def] too many parameters: ", text));
  return s;
}

const Parsed& parsed(FunctionObject& f) {
  if (!f.parsed) [[unlikely]] f.parsed = parse(f.text);
  return *f.parsed;
}

// ---- calling

[[noreturn]] void bad_call(const Signature& s, const std::string& problem) {
  throw py::type_error(cat("[", s.name, "] ", problem, ". Signature: ", s.name, s.parameters, "."));
}

// MLX documents the parameters of these as positional only, and yet takes all but the array by name.
bool taken_by_name(const Signature& s, int i) { return i > 0 && (s.name == "roll" || s.name == "astype"); }

// Puts keyword arguments in their places.
void place_keywords(const Parsed& s, PyObject** values, size_t n_taken, PyObject* const* args, PyObject* kwnames) {
  Py_ssize_t n = PyTuple_GET_SIZE(kwnames);
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject* key = PyTuple_GET_ITEM(kwnames, k);
    int found = -1;
    auto total = static_cast<int>(s.list.size());
    for (int i = 0; i < total && found < 0; ++i) {
      if (s.list[static_cast<size_t>(i)].key == key) found = i;
    }
    for (int i = 0; i < total && found < 0; ++i) {
      PyObject* also = s.also[static_cast<size_t>(i)];
      if (PyUnicode_Compare(s.list[static_cast<size_t>(i)].key, key) == 0 || (also && PyUnicode_Compare(also, key) == 0)) found = i;
    }
    auto kind = found < 0 ? Parameter::rest : s.list[static_cast<size_t>(found)].kind;
    if (kind == Parameter::positional_only && taken_by_name(s, found)) kind = Parameter::ordinary;
    if (kind == Parameter::ordinary || kind == Parameter::keyword_only) {
      if (kind == Parameter::ordinary && static_cast<size_t>(found) < n_taken) {
        bad_call(s, cat("argument '", s.list[static_cast<size_t>(found)].name, "' was given by position and by name"));
      }
      if (s.also[static_cast<size_t>(found)] && values[found] != s.list[static_cast<size_t>(found)].initial) {
        bad_call(s, cat("argument '", s.list[static_cast<size_t>(found)].name, "' was given under both its names"));
      }
      values[found] = args[k];
    } else if (s.keywords >= 0) {
      if (PyDict_SetItem(values[s.keywords], key, args[k]) < 0) rethrow();
    } else {
      const char* text = PyUnicode_AsUTF8(key);
      if (!text) rethrow();
      bad_call(s, kind == Parameter::positional_only ? cat("argument '", text, "' can only be given by position")
                                                     : cat("no argument is called '", text, "'"));
    }
  }
}

PyObject* run(FunctionObject& f, PyObject* const* args, size_t n, PyObject* kwnames) {
  const Parsed& s = parsed(f);
  auto limit = static_cast<size_t>(s.n_positional), total = s.list.size();
  if (n > limit && s.rest < 0) {
    bad_call(s, cat("too many arguments by position: ", n, " were given; at most ", limit, " are taken"));
  }
  std::array<PyObject*, kMaxParameters> values;
  size_t n_taken = std::min(n, limit);
  for (size_t i = 0; i < n_taken; ++i) values[i] = args[i];
  for (size_t i = n_taken; i < total; ++i) values[i] = s.list[i].initial;
  py::dict keywords{py::reinterpret_steal<py::dict>(nullptr)};
  if (s.keywords >= 0) {
    keywords = py::dict();
    values[static_cast<size_t>(s.keywords)] = keywords.ptr();
  }
  if (kwnames) place_keywords(s, values.data(), n_taken, args + n, kwnames);
  for (size_t i = n_taken; i < total; ++i) {
    if (!values[i] && static_cast<int>(i) != s.rest) bad_call(s, cat("argument '", s.list[i].name, "' is missing"));
  }
  Args a(s, values.data(), {args + n_taken, n - n_taken});
  std::optional<StreamScope> on_device;
  if (s.device >= 0 && values[static_cast<size_t>(s.device)] != Py_None) {
    on_device.emplace(to_stream(values[static_cast<size_t>(s.device)], a.what(s.device)));
  }
  if (s.stream >= 0 && values[static_cast<size_t>(s.stream)] != Py_None) {
    StreamScope scope(to_stream(values[static_cast<size_t>(s.stream)], a.what(s.stream)));
    return f.body.run(f.body.function, a);
  }
  return f.body.run(f.body.function, a);
}

PyObject* call_function(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&] {
    return run(*reinterpret_cast<FunctionObject*>(self), args, static_cast<size_t>(PyVectorcall_NARGS(nargsf)), kwnames);
  });
}

PyObject* call_method(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return guarded([&] {
    auto& f = *reinterpret_cast<FunctionObject*>(self);
    auto n = static_cast<size_t>(PyVectorcall_NARGS(nargsf));
    if (n == 0 || !is_array(args[0])) bad_call(parsed(f), "the first argument of a method must be an array");
    return run(f, args, n, kwnames);
  });
}

// ---- the types

FunctionObject& function(PyObject* o) { return *reinterpret_cast<FunctionObject*>(o); }

PyObject* get_name(PyObject* self, void*) { return Py_NewRef(function(self).name); }
PyObject* qualname(const FunctionObject& f) { return f.qualname ? f.qualname : f.name; }
PyObject* get_qualname(PyObject* self, void*) { return Py_NewRef(qualname(function(self))); }
PyObject* get_text_signature(PyObject* self, void*) {
  return guarded([&] { return py::str(parsed(function(self)).parameters).release().ptr(); });
}

// The text without the indentation that its lines after the first have in common.
std::string dedent(std::string_view doc) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= doc.size();) {
    size_t end = std::min(doc.find('\n', begin), doc.size());
    lines.push_back(doc.substr(begin, end - begin));
    begin = end + 1;
  }
  size_t indent = doc.size();
  for (size_t i = 1; i < lines.size(); ++i) {
    if (size_t at = lines[i].find_first_not_of(' '); at != lines[i].npos) indent = std::min(indent, at);
  }
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    line.remove_prefix(i == 0 ? 0 : std::min(indent, line.size()));
    out += line;
    out += '\n';
  }
  size_t first = out.find_first_not_of(" \n"), last = out.find_last_not_of(" \n");
  return first == out.npos ? std::string() : out.substr(first, last + 1 - first);
}

PyObject* get_doc(PyObject* self, void*) {
  FunctionObject& f = function(self);
  return guarded([&] {
    if (!f.doc) f.doc = py::str(dedent(f.doc_text)).release().ptr();
    return Py_NewRef(f.doc);
  });
}

// inspect.Signature, made when first asked for.
PyObject* get_signature(PyObject* self, void*) {
  FunctionObject& f = function(self);
  return guarded([&] {
    if (!f.inspected) {
      py::module_ inspect = py::module_::import("inspect");
      py::object cls = inspect.attr("Parameter");
      static constexpr const char* kKinds[] = {"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "KEYWORD_ONLY",
                                               "VAR_KEYWORD"};
      py::list parameters;
      for (const Parameter& p : parsed(f).list) {
        py::object initial = p.initial ? py::reinterpret_borrow<py::object>(p.initial) : py::object(cls.attr("empty"));
        parameters.append(cls(p.name, cls.attr(kKinds[p.kind]), py::arg("default") = initial));
      }
      f.inspected = inspect.attr("Signature")(parameters).release().ptr();
    }
    return Py_NewRef(f.inspected);
  });
}

// As a descriptor in the type's dict it would also answer for the type itself.
PyObject* getattribute(PyObject* self, PyObject* name) {
  if (PyUnicode_CompareWithASCIIString(name, "__module__") == 0) return Py_NewRef(function(self).module);
  return PyObject_GenericGetAttr(self, name);
}

PyObject* repr(PyObject* self) {
  FunctionObject& f = function(self);
  return guarded([&] { return PyUnicode_FromFormat("<function %U.%U%s>", f.module, qualname(f), parsed(f).parameters.c_str()); });
}

// Pickled, copied and deep-copied by name.
PyObject* reduce(PyObject* self, PyObject*) { return Py_NewRef(qualname(function(self))); }

PyObject* get_itself(PyObject* self, PyObject*, PyObject*) { return Py_NewRef(self); }
PyObject* bind_self(PyObject* self, PyObject* object, PyObject*) {
  return object ? PyMethod_New(self, object) : Py_NewRef(self);
}

void dealloc(PyObject* self) {
  FunctionObject& f = function(self);
  PyTypeObject* type = Py_TYPE(self);
  if (f.weakrefs) PyObject_ClearWeakRefs(self);
  for (PyObject* o : {f.doc, f.name, f.qualname, f.module, f.inspected}) Py_XDECREF(o);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyTypeObject* make_type(const char* name, unsigned long flags, descrgetfunc get) {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(FunctionObject, vectorcall), READONLY, nullptr},
      {"__weaklistoffset__", T_PYSSIZET, offsetof(FunctionObject, weakrefs), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static PyGetSetDef getset[] = {{"__name__", get_name, nullptr, nullptr, nullptr},
                                 {"__qualname__", get_qualname, nullptr, nullptr, nullptr},
                                 {"__doc__", get_doc, nullptr, nullptr, nullptr},
                                 {"__text_signature__", get_text_signature, nullptr, nullptr, nullptr},
                                 {"__signature__", get_signature, nullptr, nullptr, nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                         {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                         {Py_tp_repr, reinterpret_cast<void*>(repr)},
                         {Py_tp_getattro, reinterpret_cast<void*>(getattribute)},
                         {Py_tp_descr_get, reinterpret_cast<void*>(get)},
                         {Py_tp_members, members},
                         {Py_tp_getset, getset},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec{name, sizeof(FunctionObject), 0,
                   static_cast<unsigned int>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                                             Py_TPFLAGS_DISALLOW_INSTANTIATION | flags),
                   slots};
  return reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
}

// A copy that lives as long as the process.
std::string_view kept(std::string_view text) {
  static char* free = nullptr;
  static size_t n_free = 0;
  constexpr size_t kChunk = 1 << 16;
  if (text.size() > kChunk / 4) return *new std::string(text);
  if (text.size() > n_free) {
    free = new char[kChunk];
    n_free = kChunk;
  }
  std::string_view copy(free, text.size());
  std::copy(text.begin(), text.end(), free);
  free += text.size();
  n_free -= text.size();
  return copy;
}

// "sum" of "array.sum(self, ...)", interned.
PyObject* name_of(std::string_view text) {
  std::string_view name = text.substr(0, text.find('('));
  if (size_t dot = name.rfind('.'); dot != name.npos) name.remove_prefix(dot + 1);
  PyObject* o = checked(PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size())));
  PyUnicode_InternInPlace(&o);
  return o;
}

FunctionObject* make_function(PyTypeObject* type, std::string_view text, const char* doc, Body b, PyObject* module, vectorcallfunc entry) {
  auto* f = PyObject_New(FunctionObject, type);
  if (!f) rethrow();
  f->vectorcall = entry;
  f->weakrefs = nullptr;
  f->parsed = nullptr;
  f->body = b;
  f->text = kept(text);
  f->doc_text = doc ? kept(doc) : std::string_view();
  f->name = name_of(text);
  f->module = Py_NewRef(module);
  f->qualname = f->doc = f->inspected = nullptr;
  return f;
}

// The name of a module, and that under which it is known: "mxform.random" for "mxform._core.random".
struct ModuleNames {
  PyObject *module, *dict, *own, *known;
};

const ModuleNames& names_of(const py::module_& m) {
  static ModuleNames last{};  // most functions follow another one of their module
  if (last.module != m.ptr()) {
    auto name = py::cast<std::string>(m.attr("__name__"));
    PyObject* own = py::str(name).release().ptr();
    if (size_t at = name.find("._core"); at != name.npos) name.erase(at, 6);
    last = {Py_NewRef(m.ptr()), checked(PyModule_GetDict(m.ptr())), own, py::str(name).release().ptr()};
  }
  return last;
}

// Puts a function into a dictionary, which then owns it.
void put(PyObject* dict, FunctionObject* f) {
  auto o = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(f));
  if (PyDict_SetItem(dict, f->name, o.ptr()) < 0) rethrow();
}

}  // namespace

void def_body(py::module_& m, std::string_view text, const char* doc, Body b) {
  const ModuleNames& names = names_of(m);
  // Names with an underscore are not re-exported: pickle finds them where they are.
  put(names.dict, make_function(function_type, text, doc, b, text.starts_with("_") ? names.own : names.known, call_function));
}

void def_method_body(std::string_view text, const char* doc, Body b) {
  static PyObject* module = checked(PyUnicode_InternFromString("mxform"));
  FunctionObject* f = make_function(method_type, text, doc, b, module, call_method);
  f->qualname = checked(PyUnicode_FromFormat("array.%U", f->name));
  put(array_type->tp_dict, f);
  PyType_Modified(array_type);
}

void alias(py::module_& m, const char* name, const char* of) { m.attr(name) = m.attr(of); }

void bind_signature(py::module_&) {
  function_type = make_type("mxform.function", 0, get_itself);
  method_type = make_type("mxform.method", Py_TPFLAGS_METHOD_DESCRIPTOR, bind_self);
}

// ---- Args

array Args::convert(int i) const {
  return to_array(values_[i], what(i));
}

std::optional<array> Args::opt_arr(int i) const {
  return opt(i, [&] { return arr(i); });
}

array Args::arr_beside(int i, const array& beside) const {
  return is_array(values_[i]) ? get_array(values_[i]) : to_array_beside(values_[i], beside, what(i));
}

std::optional<array> Args::opt_arr_beside(int i, const array& beside) const {
  return opt(i, [&] { return arr_beside(i, beside); });
}

std::pair<array, array> Args::arr_pair(int i, int j) const {
  PyObject *x = values_[i], *y = values_[j];
  if (is_array(x)) return {get_array(x), arr_beside(j, get_array(x))};
  if (is_array(y)) return {arr_beside(i, get_array(y)), get_array(y)};
  // Neither is an array of ours: a number adapts to what stands beside it, two numbers promote.
  if (is_python_number(x) && !is_python_number(y)) {
    array b = convert(j);
    return {arr_beside(i, b), b};
  }
  array a = convert(i);
  return is_python_number(y) && !is_python_number(x) ? std::pair(a, arr_beside(j, a)) : std::pair(a, convert(j));
}

Arrays Args::arrays(int i) const {
  if (i != signature_.rest) return to_arrays(values_[i], what(i));
  Arrays out;
  out.reserve(rest_.size());
  for (PyObject* o : rest_) out.push_back(to_array(o, what(i)));
  return out;
}

int Args::small(int i) const {
  int64_t x = integer(i);
  if (x != static_cast<int>(x)) throw OverflowError(cat(what(i), " is out of range: ", x, "; need a 32-bit integer."));
  return static_cast<int>(x);
}

Shape Args::shape(int i) const {
  if (i != signature_.rest) return to_shape(values_[i], what(i));
  if (rest_.size() == 1) return to_shape(rest_[0], what(i));
  Shape out;
  for (PyObject* o : rest_) out.push_back(to_integer(o, what(i)));
  return out;
}

Axes Args::axes(int i) const {
  if (i != signature_.rest) return to_axes(values_[i], what(i));
  if (rest_.size() == 1) return to_axes(rest_[0], what(i));
  Axes out;
  for (PyObject* o : rest_) {
    for (int axis : to_axes(o, what(i))) out.push_back(axis);
  }
  return out;
}

Axes Args::axes(int i, int ndim) const {
  if (i != signature_.rest && values_[i] == Py_None) return all_axes(ndim);
  return normalize_axes(axes(i), ndim, signature_.name);
}

}  // namespace mx::python

// compile_function.cpp — the type of compiled functions: called by vectorcall, straight into the cache. Attributes are kept
// in a dict, as a function's are; as an attribute of a class it becomes a method.

#include "bindings/compile.h"
#include "bindings/errors.h"

#include <structmember.h>

namespace mx::python {

namespace {

struct CompiledObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject *cache, *fun, *inputs, *outputs;
  CompileCache* state;  // of `cache`
  PyObject* dict;
  PyObject* weakrefs;
};

CompiledObject& object(PyObject* o) { return *reinterpret_cast<CompiledObject*>(o); }

PyTypeObject* compiled_type = nullptr;

PyObject* call_compiled(PyObject* self, PyObject* const* args, size_t n, PyObject* names) {
  CompiledObject& c = object(self);
  return guarded([&] { return c.state->call(c.fun, c.inputs, c.outputs, args, static_cast<size_t>(PyVectorcall_NARGS(n)), names); });
}

PyObject* get(PyObject* self, PyObject* instance, PyObject*) { return !instance || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance); }

int traverse(PyObject* self, visitproc visit, void* arg) {
  CompiledObject& c = object(self);
  Py_VISIT(Py_TYPE(self));
  for (PyObject* o : {c.cache, c.fun, c.inputs, c.outputs, c.dict}) Py_VISIT(o);
  return 0;
}

int clear(PyObject* self) {
  CompiledObject& c = object(self);
  // The cache stays: a call on its way to the end may need it.
  Py_CLEAR(c.dict);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  CompiledObject& c = object(self);
  if (c.weakrefs) PyObject_ClearWeakRefs(self);
  for (PyObject** o : {&c.dict, &c.cache, &c.fun, &c.inputs, &c.outputs}) Py_CLEAR(*o);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyObject* repr(PyObject* self) { return PyUnicode_FromFormat("<mxform.compile(%R)>", object(self).fun); }

// Pickled and copied like a function: by its name.
PyObject* reduce(PyObject* self, PyObject*) { return PyObject_GetAttrString(self, "__qualname__"); }

}  // namespace

void bind_compiled_function() {
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(CompiledObject, vectorcall), READONLY, nullptr},
                                  {"__weaklistoffset__", T_PYSSIZET, offsetof(CompiledObject, weakrefs), READONLY, nullptr},
                                  {"__dictoffset__", T_PYSSIZET, offsetof(CompiledObject, dict), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
  static PyGetSetDef getset[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
                                 {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
  PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                         {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                         {Py_tp_clear, reinterpret_cast<void*>(clear)},
                         {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                         {Py_tp_repr, reinterpret_cast<void*>(repr)},
                         {Py_tp_descr_get, reinterpret_cast<void*>(get)},
                         {Py_tp_members, members},
                         {Py_tp_getset, getset},
                         {Py_tp_methods, methods},
                         {0, nullptr}};
  PyType_Spec spec{"mxform.CompiledFunction", sizeof(CompiledObject), 0,
                   static_cast<unsigned int>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
                                             Py_TPFLAGS_DISALLOW_INSTANTIATION),
                   slots};
  compiled_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
}

py::object make_compiled(py::object cache, py::object fun, py::object inputs, py::object outputs) {
  auto* c = PyObject_GC_New(CompiledObject, compiled_type);
  if (!c) rethrow();
  c->vectorcall = call_compiled;
  c->state = &py::cast<CompileCache&>(cache);
  c->cache = cache.release().ptr();
  c->fun = fun.release().ptr();
  c->inputs = inputs.release().ptr();
  c->outputs = outputs.release().ptr();
  c->dict = nullptr;
  c->weakrefs = nullptr;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(c));
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(c));
}

}  // namespace mx::python

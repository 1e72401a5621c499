// compile.cpp — the cache of a compiled Python function. A call is taken apart into arrays, structure and constants; the
// last two and the arrays' types are the key of a trace. Containers given as inputs= hold placeholders while
// the function is traced and are restored after it; those given as outputs= are changed in place by every
// call (compile_state.cpp). Start at CompileCache::call().

#include "bindings/compile.h"

#include "bindings/bind.h"
#include "bindings/compile_state.h"
#include "bindings/constant.h"
#include "bindings/errors.h"
#include "compile/compiled_body.h"
#include "compile/program.h"
#include "inspect/cost.h"

namespace mx::python {

namespace {

// Two trees given as inputs= or outputs= serve one trace if arrays are in the same places.
bool same_places(const MixedTree& a, const MixedTree& b) { return a.position == b.position && a.tree == b.tree; }

// Functions that call themselves while they are traced use much of the C stack.
class TraceDepth {
 public:
  TraceDepth() {
    if (Py_EnterRecursiveCall(" while tracing a compiled function")) rethrow();
    if (++depth <= kMost) return;
    leave();
    PyErr_SetString(PyExc_RecursionError, "[compile] compiled functions call one another more than 300 deep while they are traced.");
    rethrow();
  }
  ~TraceDepth() { leave(); }
  TraceDepth(const TraceDepth&) = delete;
  TraceDepth& operator=(const TraceDepth&) = delete;

 private:
  static constexpr int kMost = 300;
  static inline thread_local int depth = 0;
  static void leave() {
    --depth;
    Py_LeaveRecursiveCall();
  }
};

// Held during calls that change state: while one thread traces, the containers hold placeholders.
class StateLock {
 public:
  StateLock(std::recursive_mutex& mutex, bool needed) : mutex_(needed ? &mutex : nullptr) {
    if (!mutex_ || mutex_->try_lock()) return;
    WithoutGil unlocked;
    mutex_->lock();
  }
  ~StateLock() {
    if (mutex_) mutex_->unlock();
  }
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  std::recursive_mutex* mutex_;
};

std::string type_text(const Type& t) { return cat(t.dtype, " of shape ", t.shape); }

}  // namespace

// ---- keys

size_t TraceKey::hash() const {
  size_t h = detail::mix(arguments.tree.hash(), types.size());
  for (const Type& t : types) h = detail::mix(h, detail::mix(static_cast<size_t>(t.dtype), detail::hash_field(t.shape)));
  for (const py::object& leaf : arguments.leaves) {
    if (leaf) h = detail::mix(h, constant_hash(leaf.ptr()));
  }
  return h;
}

bool TraceKey::operator==(const TraceKey& o) const {
  if (types != o.types || !(stream == o.stream) || arguments.position != o.arguments.position) return false;
  if (!arguments.tree.equal(o.arguments.tree, true)) return false;
  for (size_t i = 0; i < arguments.leaves.size(); ++i) {
    if (arguments.leaves[i] && !same_constant(arguments.leaves[i].ptr(), o.arguments.leaves[i].ptr())) return false;
  }
  return same_places(inputs, o.inputs) && same_places(outputs, o.outputs);
}

std::string TraceKey::difference(const TraceKey& o, PyObject* fun) const {
  if (!(arguments.tree == o.arguments.tree)) return "the arguments' structure differs: " + first_difference(arguments.tree, o.arguments.tree);
  if (!arguments.tree.equal(o.arguments.tree, true)) return "the keys of a dict were inserted in another order";
  auto path = [&](size_t leaf) { return argument_path(fun, arguments.tree, leaf); };
  for (size_t i = 0; i < arguments.leaves.size(); ++i) {
    const py::object &a = arguments.leaves[i], &b = o.arguments.leaves[i];
    if (a && b && !same_constant(a.ptr(), b.ptr())) return cat(path(i), " is ", describe(a.ptr()), ", not ", describe(b.ptr()));
    if (bool(a) != bool(b)) return cat(path(i), a ? " is a constant, not an array" : " is an array, not a constant");
  }
  for (size_t k = 0; k < arguments.position.size(); ++k) {
    if (types[k] != o.types[k]) return cat(path(arguments.position[k]), " is ", type_text(types[k]), ", not ", type_text(o.types[k]));
  }
  if (!same_places(inputs, o.inputs)) return "the structure of inputs= changed";
  if (!same_places(outputs, o.outputs)) return "the structure of outputs= changed";
  if (types != o.types) return "the type of an array in inputs= changed";
  return "the stream differs";
}

// ---- the cache

std::shared_ptr<const Trace> CompileCache::find(size_t hash, const TraceKey& key) {
  // Comparing may run Python code and so change the cache: look at what was there.
  SmallVector<std::shared_ptr<const Trace>, 4> candidates;
  auto [first, end] = by_hash_.equal_range(hash);
  for (auto it = first; it != end; ++it) candidates.push_back(*it->second);
  for (const auto& t : candidates) {
    if ((origins_traced() && !t->has_lines) || !(t->key == key)) continue;
    if (entries_.empty() || entries_.front() != t) {
      auto at = std::find(entries_.begin(), entries_.end(), t);
      if (at != entries_.end()) entries_.splice(entries_.begin(), entries_, at);
    }
    return t;
  }
  return nullptr;
}

void CompileCache::insert(size_t hash, std::shared_ptr<const Trace> t) {
  entries_.push_front(std::move(t));
  by_hash_.emplace(hash, entries_.begin());
  if (entries_.size() <= kMaxTraces) return;
  auto oldest = std::prev(entries_.end());
  std::shared_ptr<const Trace> evicted = *oldest;  // released last: that may run Python code
  for (auto it = by_hash_.begin(); it != by_hash_.end(); ++it) {
    if (it->second == oldest) {
      by_hash_.erase(it);
      break;
    }
  }
  entries_.erase(oldest);
}

std::shared_ptr<const Trace> CompileCache::trace(PyObject* fun, PyObject* inputs, PyObject* outputs, TraceKey key) {
  ++n_traces;
  // Comparing and describing may run Python code and so change the cache.
  std::shared_ptr<const Trace> newest = entries_.empty() ? nullptr : entries_.front();
  std::string why = !newest ? "the first call" : newest->key == key ? "the lines of calls are wanted" : key.difference(newest->key, fun);
  reason = why;
  Trace t{std::move(key), nullptr, {}, {}, origins_traced(), std::move(why), 0, {}, {}, {}, {}, {}};
  size_t n = t.key.arguments.position.size();
  Snapshot before;
  Function f = [&](const Arrays& xs) {
    std::span<const array> all(xs);
    before.take(inputs);
    before.take(outputs);
    if (inputs != Py_None) adopt(inputs, t.key.inputs.build(all.subspan(n)), false);
    t.result = MixedTree::split(call_with(fun, t.key.arguments, all.first(n)).ptr());
    Arrays found = std::exchange(t.result.arrays, {});
    if (outputs != Py_None) {
      t.outputs = MixedTree::split(outputs);
      found.insert(found.end(), t.outputs.arrays.begin(), t.outputs.arrays.end());
      t.outputs.arrays.clear();
    }
    before.restore();
    return found;
  };
  FunctionName name(function_name(fun));
  TraceDepth guard;
  t.graph = std::make_shared<CompiledTrace>(f, t.key.types);
  std::shared_ptr<Trace> made = share(std::move(t));
  std::span<const Type> types(made->key.types);
  made->arguments_pattern = Pattern(made->key.arguments, types.first(n), true);
  made->inputs_pattern = Pattern(made->key.inputs, types.subspan(n), false);
  made->outputs_pattern = Pattern(made->key.outputs, {}, false);
  made->new_outputs_pattern = Pattern(made->outputs, {}, false);
  made->result_pattern = Pattern(made->result, {}, true);
  return made;
}

namespace {

PyObject* build_result(const Trace& t, std::span<const array> found) {
  std::span<const array> arrays = found.first(t.result.position.size());
  return t.result_pattern.plain() ? t.result_pattern.build(arrays) : t.result.build(arrays).release().ptr();
}

py::dict keywords(PyObject* const* values, PyObject* names) {
  py::dict d;
  for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
    if (PyDict_SetItem(d.ptr(), PyTuple_GET_ITEM(names, i), values[i]) != 0) rethrow();
  }
  return d;
}

}  // namespace

PyObject* CompileCache::call(PyObject* fun, PyObject* inputs, PyObject* outputs, PyObject* const* args, size_t n_args, PyObject* names) {
  if (!compile_enabled()) return checked(PyObject_Vectorcall(fun, args, n_args, names));
  StateLock lock(state_mutex_, inputs != Py_None || outputs != Py_None);
  if (PyObject* result = call_known(inputs, outputs, args, n_args, names)) return result;
  py::tuple all(n_args);
  for (size_t i = 0; i < n_args; ++i) PyTuple_SET_ITEM(all.ptr(), static_cast<Py_ssize_t>(i), Py_NewRef(args[i]));
  return call_exactly(fun, inputs, outputs, all.ptr(), keywords(args + n_args, names).ptr()).release().ptr();
}

// If one of the two traces used last surely fits. Null without an error: perhaps none does.
PyObject* CompileCache::call_known(PyObject* inputs, PyObject* outputs, PyObject* const* args, size_t n_args, PyObject* names) {
  Stream stream = current_stream();
  for (size_t k = 0; k < 2 && k < entries_.size(); ++k) {
    // Containers of some classes run Python code when they are looked at, which may change the cache.
    std::shared_ptr<const Trace> t = *std::next(entries_.begin(), static_cast<ptrdiff_t>(k));
    if (!(t->key.stream == stream) || (origins_traced() && !t->has_lines)) continue;
    SmallVector<array, 3> arrays;
    arrays.resize(t->key.types.size());
    if (!t->arguments_pattern.match_call(args, n_args, names, arrays.data())) continue;
    if (inputs != Py_None && !t->inputs_pattern.match(inputs, arrays.data() + t->arguments_pattern.n_arrays())) continue;
    if (outputs != Py_None && outputs != inputs && !t->outputs_pattern.match(outputs, nullptr)) continue;
    bool steady = outputs == Py_None || (t->new_outputs_pattern.updatable() && same_places(t->key.outputs, t->outputs));
    if (!steady) continue;
    if (k > 0) {
      auto at = std::find(entries_.begin(), entries_.end(), t);
      if (at != entries_.end()) entries_.splice(entries_.begin(), entries_, at);
    }
    ++t->n_calls;
    if (last != t) last = t;
    Arrays found = t->graph->call(std::move(arrays));
    Leaves before;
    if (outputs != Py_None) t->new_outputs_pattern.update(outputs, std::span<const array>(found).subspan(t->result.position.size()), before);
    return build_result(*t, found);
  }
  return nullptr;
}

py::object CompileCache::call_exactly(PyObject* fun, PyObject* inputs, PyObject* outputs, PyObject* args, PyObject* kwargs) {
  TraceKey key{split_arguments(args, kwargs), {}, {}, {}, current_stream()};
  Arrays arrays = std::exchange(key.arguments.arrays, {});
  if (arrays.size() != key.arguments.leaves.size()) {
    for (size_t i = 0; i < key.arguments.leaves.size(); ++i) {
      PyObject* leaf = key.arguments.leaves[i].ptr();
      if (!leaf || is_constant(leaf)) continue;
      throw TransformError(cat("[compile] ", argument_path(fun, key.arguments.tree, i), " of ", function_name(fun), " is ", describe(leaf),
                               ", which is neither an array nor hashable; need an array, a constant, or a tree of them. Convert numbers with "
                               "mx.array, or let the function capture the object."));
    }
  }
  if (inputs != Py_None) {
    key.inputs = MixedTree::split(inputs);
    arrays.insert(arrays.end(), key.inputs.arrays.begin(), key.inputs.arrays.end());
    key.inputs.arrays.clear();
  }
  if (outputs != Py_None) {
    key.outputs = MixedTree::split(outputs);
    key.outputs.arrays.clear();
  }
  for (const array& x : arrays) key.types.push_back(x.type());
  size_t hash = key.hash();
  std::shared_ptr<const Trace> t = find(hash, key);
  bool first = !t;
  if (first) {
    t = trace(fun, inputs, outputs, std::move(key));
    if (t->graph->cacheable()) insert(hash, t);
  }
  ++t->n_calls;
  last = t;
  Arrays found = (*t->graph)(arrays);
  arrays.clear();
  size_t n = t->result.position.size();
  if (outputs != Py_None) {
    py::object fresh = t->outputs.build(std::span<const array>(found).subspan(n));
    if (!adopt(outputs, fresh, first).is(py::handle(outputs))) {
      throw TransformError(cat("[compile] outputs= of ", function_name(fun), " cannot be updated: ", Py_TYPE(outputs)->tp_name,
                               " came that holds an array itself; need a list or dict."));
    }
  }
  return py::reinterpret_steal<py::object>(build_result(*t, found));
}

int CompileCache::traverse(visitproc visit, void* arg) const {
  for (const auto& t : entries_) {
    for (const MixedTree* tree : {&t->key.arguments, &t->key.inputs, &t->key.outputs, &t->result, &t->outputs}) {
      for (const py::object& leaf : tree->leaves) Py_VISIT(leaf.ptr());
    }
  }
  return 0;
}

void CompileCache::clear() {
  auto gone = std::exchange(entries_, {});
  by_hash_.clear();
  last = nullptr;
}

// ---- what compile_info() shows

namespace {

// "x: float32[3, 2], n=2"
std::string signature_text(const TraceKey& key, PyObject* fun) {
  constexpr size_t kMost = 12;
  std::string out;
  size_t shown = 0, n = key.arguments.leaves.size();
  for (size_t i = 0, k = 0; i < n && shown < kMost; ++i, ++shown) {
    const py::object& leaf = key.arguments.leaves[i];
    out += cat(shown ? ", " : "", argument_path(fun, key.arguments.tree, i));
    if (leaf) {
      out += cat("=", py::repr(leaf).cast<std::string>());
      continue;
    }
    const Type& t = key.types[k++];
    out += cat(": ", t.dtype, "[");
    for (size_t d = 0; d < t.shape.size(); ++d) out += cat(d ? ", " : "", t.shape[d]);
    out += "]";
  }
  if (n > shown) out += cat(", and ", n - shown, " more");
  return out;
}

}  // namespace

py::list describe_traces(const CompileCache& cache, PyObject* fun) {
  py::list out;
  CompileCache::Entries entries = cache.entries();
  for (const auto& t : entries) {
    const CompiledBody& body = t->graph->body();
    const Lowered& run = body.lowered();
    Cost cost = cost_of(run.graph);
    size_t n_fused = 0, n_inside = 0;
    for (const Step& s : run.graph.steps) {
      const Program* program = program_in(*s.primitive, s.params);
      if (!program) continue;
      ++n_fused;
      n_inside += program->code.size();
    }
    py::list captured;
    for (const array& a : body.constants()) captured.append(a);
    py::dict d;
    d["signature"] = signature_text(t->key, fun);
    d["calls"] = t->n_calls;
    d["reason"] = t->reason;
    d["operations"] = t->graph->n_called();
    d["steps"] = run.graph.steps.size();
    d["groups"] = n_fused;
    d["fused"] = n_inside;
    d["flops"] = cost.flops;
    d["bytes"] = cost.bytes;
    d["temporary_bytes"] = run.temporary_bytes;
    d["captured"] = captured;
    out.append(d);
  }
  return out;
}

// ---- Python

namespace {

// The cache takes part in garbage collection: a constant may refer back to the compiled function.
void make_collectable(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return py::detail::is_holder_constructed(self) ? py::cast<CompileCache&>(py::handle(self)).traverse(visit, arg) : 0;
  };
  type->tp_clear = [](PyObject* self) {
    if (py::detail::is_holder_constructed(self)) py::cast<CompileCache&>(py::handle(self)).clear();
    return 0;
  };
}

}  // namespace

void bind_compile(py::module_& m) {
  py::class_<CompileCache>(m, "_CompileCache", py::custom_type_setup(make_collectable),
                           "The traces of one compiled function: its attribute ``cache``.")
      .def(py::init<>())
      .def_property_readonly("n_traces", [](const CompileCache& c) { return c.n_traces; }, "How often the function was traced.")
      .def_property_readonly("reason", [](const CompileCache& c) { return c.reason; }, "Why the function was traced last.")
      .def_property_readonly("captured", [](const CompileCache& c) {
        py::list out;
        if (c.last) {
          for (const array& a : c.last->graph->captured()) out.append(a);
        }
        return out;
      },
                             "The arrays that the last used trace took from outside as constants.")
      .def_property_readonly("graph", [](const CompileCache& c) { return c.last ? to_string(c.last->graph->graph()) : ""; },
                             "The last used trace as text, one operation a line.")
      .def("clear", &CompileCache::clear, "Forget all traces.");
  auto cache_of = [](PyObject* o) -> CompileCache& {
    if (!py::isinstance<CompileCache>(py::handle(o))) throw py::type_error(cat("need a _CompileCache: ", Py_TYPE(o)->tp_name, " came."));
    return py::cast<CompileCache&>(py::handle(o));
  };
  bind_compiled_function();
  def(m, "_compiled(cache, fun, inputs, outputs, /)", "", [=](const Args& a) {
    cache_of(a.raw(0));
    return make_compiled(a.obj(0), a.obj(1), a.obj(2), a.obj(3));
  });
  def(m, "_compile_info(cache, fun, /)", "", [=](const Args& a) -> py::object { return describe_traces(cache_of(a.raw(0)), a.raw(1)); });
  def(m, "disable_compile()", R"(Make compiled functions run uncompiled, everywhere.

The environment variable ``MXFORM_DISABLE_COMPILE`` does the same from the start.
)", [](const Args&) { set_compile_enabled(false); });
  def(m, "enable_compile()", "Undo ``disable_compile``, and the environment variable.", [](const Args&) { set_compile_enabled(true); });
}

}  // namespace mx::python

// compile.cpp — compiled Python functions. A call is taken apart into arrays, structure and constants; the
// last two and the arrays' types are the key of a trace. Containers given as inputs= hold placeholders while
// the function is traced and are restored after it; those given as outputs= are changed in place by every
// call. Start at CompileCache::call().

#include "bindings/compile.h"

#include "bindings/bind.h"
#include "bindings/constant.h"

namespace mx::python {

namespace {

// ---- containers changed in place

// What mutable containers held, to be put back.
class Snapshot {
 public:
  Snapshot() = default;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() {
    // Runs while an error from the traced function is on its way, too.
    py::error_scope pending;
    try {
      restore();
    } catch (...) {
      PyErr_Clear();
    }
  }

  void take(PyObject* o) {
    TreeNode node;
    Leaves children;
    if (is_array(o) || !open_node(o, node, children)) return;
    for (const py::object& child : children) take(child.ptr());
    saved_.push_back({py::reinterpret_borrow<py::object>(o), std::move(node), std::move(children)});
  }
  void restore() {
    for (Saved& s : saved_) fill(s.container.ptr(), s.node, s.children);
    saved_.clear();
  }

  /// Makes the container `o` hold `children` as `node` describes. False if it cannot be changed.
  static bool fill(PyObject* o, const TreeNode& node, const Leaves& children) {
    auto set = [&](PyObject* key, const py::object& child) {
      if (PyObject_SetItem(o, key, child.ptr()) != 0) rethrow();
    };
    switch (node.kind) {
      case TreeNode::list:
      case TreeNode::list_like: {
        py::tuple items = to_tuple_object(children);
        if (PyList_SetSlice(o, 0, PyList_GET_SIZE(o), items.ptr()) != 0) rethrow();
        return true;
      }
      case TreeNode::dict:
      case TreeNode::dict_like: {
        auto present = py::reinterpret_steal<py::object>(checked(PySequence_Tuple(o)));
        for (py::handle key : present) {
          int keep = PySequence_Contains(node.data.ptr(), key.ptr());
          if (keep < 0 || (keep == 0 && PyObject_DelItem(o, key.ptr()) != 0)) rethrow();
        }
        for (size_t i = 0; i < children.size(); ++i) {
          size_t k = node.inserted ? (*node.inserted)[i] : i;
          set(PyTuple_GET_ITEM(node.data.ptr(), static_cast<Py_ssize_t>(k)), children[k]);
        }
        return true;
      }
      case TreeNode::dataclass:
        for (size_t i = 0; i < children.size(); ++i) {
          if (PyObject_GenericSetAttr(o, PyTuple_GET_ITEM(node.data.ptr(), static_cast<Py_ssize_t>(i)), children[i].ptr()) != 0) rethrow();
        }
        return true;
      case TreeNode::custom:
        // A class that is indexed like a list (mx.random.state) is changed in place.
        if (!PyObject_HasAttrString(node.type.ptr(), "__setitem__")) return false;
        for (size_t i = 0; i < children.size(); ++i) set(py::int_(i).ptr(), children[i]);
        return true;
      default: return false;
    }
  }

 private:
  struct Saved {
    py::object container;
    TreeNode node;
    Leaves children;
  };
  std::vector<Saved> saved_;
};

bool same_kind(const TreeNode& a, const TreeNode& b) {
  return a.kind == b.kind && a.type.ptr() == b.type.ptr() && a.kind != TreeNode::none;
}

// What is to stand where `current` (may be null) stands so that it looks like `fresh`: mutable containers are
// changed in place, the rest is taken from `fresh`. Constants stay as they are unless `constants`.
py::object adopt(PyObject* current, const py::object& fresh, bool constants) {
  TreeNode now, wanted;
  Leaves now_children, children;
  if (is_array(fresh.ptr()) || !current) return fresh;
  bool container = open_node(fresh.ptr(), wanted, children);
  bool was_container = !is_array(current) && open_node(current, now, now_children);
  if (!container) {
    bool keep = !constants && !was_container && !is_array(current);
    return keep ? py::reinterpret_borrow<py::object>(current) : fresh;
  }
  if (!was_container || !same_kind(now, wanted)) return fresh;
  bool by_key = wanted.kind == TreeNode::dict || wanted.kind == TreeNode::dict_like;
  bool changed = children.size() != now_children.size();
  for (size_t i = 0; i < children.size(); ++i) {
    PyObject* old = nullptr;
    if (by_key) {
      old = PyDict_GetItem(current, PyTuple_GET_ITEM(wanted.data.ptr(), static_cast<Py_ssize_t>(i)));
    } else if (i < now_children.size()) {
      old = now_children[i].ptr();
    }
    children[i] = adopt(old, children[i], constants);
    changed |= children[i].ptr() != old;
  }
  if (!changed || Snapshot::fill(current, wanted, children)) return py::reinterpret_borrow<py::object>(current);
  // A tuple: a new one, with the containers of the old.
  if (wanted.kind == TreeNode::tuple) return to_tuple_object(children);
  if (wanted.kind == TreeNode::tuple_like) {
    return py::handle(reinterpret_cast<PyObject*>(&PyTuple_Type)).attr("__new__")(wanted.type, to_tuple_object(children));
  }
  return fresh;
}

// Two trees given as inputs= or outputs= serve one trace if arrays are in the same places.
bool same_places(const MixedTree& a, const MixedTree& b) { return a.position == b.position && a.tree == b.tree; }

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
  reason = !newest ? "the first call" : newest->key == key ? "the lines of calls are wanted" : key.difference(newest->key, fun);
  Trace t{std::move(key), nullptr, {}, {}, origins_traced()};
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
  t.graph = std::make_shared<CompiledTrace>(f, t.key.types);
  return share(std::move(t));
}

py::object CompileCache::call(PyObject* fun, PyObject* inputs, PyObject* outputs, PyObject* args, PyObject* kwargs) {
  if (!compile_enabled()) return mx::python::call(fun, args, kwargs);
  StateLock lock(state_mutex_, inputs != Py_None || outputs != Py_None);
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
  last = t;
  Arrays found = (*t->graph)(arrays);
  size_t n = t->result.position.size();
  if (outputs != Py_None) {
    py::object fresh = t->outputs.build(std::span<const array>(found).subspan(n));
    if (!adopt(outputs, fresh, first).is(py::handle(outputs))) {
      throw TransformError(cat("[compile] outputs= of ", function_name(fun), " cannot be updated: ", Py_TYPE(outputs)->tp_name,
                               " came that holds an array itself; need a list or dict."));
    }
  }
  return t->result.build(std::span<const array>(found).first(n));
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
  def(m, "_run_compiled(cache, fun, inputs, outputs, args, kwargs, /)", "", [](const Args& a) {
    return py::cast<CompileCache&>(py::handle(a.raw(0))).call(a.raw(1), a.raw(2), a.raw(3), a.raw(4), a.raw(5));
  });
  def(m, "disable_compile()", R"(Make compiled functions run uncompiled, everywhere.

The environment variable ``MXFORM_DISABLE_COMPILE`` does the same from the start.
)", [](const Args&) { set_compile_enabled(false); });
  def(m, "enable_compile()", "Undo ``disable_compile``, and the environment variable.", [](const Args&) { set_compile_enabled(true); });
}

}  // namespace mx::python
